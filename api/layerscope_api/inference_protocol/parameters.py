"""The parameters of a request for inference, and of its inputs and outputs."""

from collections.abc import Mapping
from typing import Any

from layerscope.errors import InvalidRequest

Parameters = Mapping[str, Any]

_UNSUPPORTED = {
    "shared_memory_region": "Shared memory",
    "sequence_id": "A sequence of requests",
    "classification": "Classification",
}
"""Parameters of extensions that are not supported, and how the error message calls them."""


def read_parameters(document: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a request or of one of its tensors.

    Raises:
        InvalidRequest: they are no object, or ask for a feature that is not supported.
    """
    parameters = document.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidRequest("parameters must be an object.")
    for name, feature in _UNSUPPORTED.items():
        if parameters.get(name):
            raise InvalidRequest(f"{feature} ({name}) is not supported.", parameter=name)
    return parameters
