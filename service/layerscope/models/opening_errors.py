"""Errors of Keras when it cannot open a file, told as what is wrong and who can mend it."""

import importlib.metadata
import re
from collections.abc import Sequence

from layerscope.errors import ModelRefused
from layerscope.models.manifest import FILE_NAME

_DAMAGED = "The file is damaged, cut off or not a Keras model: copy it again, or save it again with model.save('model.keras')."

_ADVICE: Sequence[tuple[str, str]] = (
    (
        r"`Lambda` layer|Python `?lambda|identifier: \{'value'|Lambda\.call\(\)",
        (
            f'The model has a Lambda layer, which is code in a data file: declare "trust_code": true in {FILE_NAME} if you'
            " trust whoever made it, or save it with a layer class of your own and name its plugin."
        ),
    ),
    (
        r"class '(?P<name>[^']+)' because its parent module (?P<module>\S+) cannot be imported",
        (
            "The model uses the class {name!r} of the module {module}, which is not installed: install it beside Layerscope and"
            f" import it in a plugin, or write the class into a plugin that {FILE_NAME} names."
        ),
    ),
    (
        r"Could not locate (?P<kind>class|function) '(?P<name>[^']+)'",
        (
            "The model uses the {kind} {name!r}, which Keras does not have: write it into a plugin, a .py file beside the model"
            f" that {FILE_NAME} names."
        ),
    ),
    (
        r"Unknown (?P<kind>layer|object|\w+ function): '?(?P<name>[\w>]+)'?",
        (
            "The model uses the {kind} {name!r}, which Keras does not have: write it into a plugin, a .py file beside the model"
            f" that {FILE_NAME} names."
        ),
    ),
    (
        r"Could not interpret (?P<kind>\w+)(?: function)? identifier: '?(?P<name>[^\s']+)",
        (
            "The model uses the {kind} {name!r}, which Keras does not have: write it into a plugin, a .py file beside the model"
            f" that {FILE_NAME} names."
        ),
    ),
    (
        r"No model config",
        (
            "The file holds nothing but weights: save the whole model with model.save('model.keras'), or declare its"
            f" architecture in {FILE_NAME}."
        ),
    ),
    (
        r"requires the (?P<name>\w+) module",
        "The model needs the Python package {name}: install it beside Layerscope.",
    ),
    (
        r"No module named '(?P<name>[\w.]+)'",
        "The model needs the Python module {name!r}, which is not installed: install it beside Layerscope.",
    ),
    (
        r"Layer '(?P<name>[^']+)' (?:was never built|expected (?P<wanted>\d+) variables, but received (?P<got>\d+))",
        (
            "The weights in the file are not those of layer {name!r} as the configuration has it: save the whole model again"
            " where it was trained, and if it is of a class of your own, with the plugin's version of the class."
        ),
    ),
    (
        r"(?:(?P<name>\w+)\.__init__\(\) got an|passed to (?P<other>\w+): \{'|unexpected keyword|nrecognized keyword|eyword argument not understood)",
        (
            "The model was saved by another version of Keras than this one ({version}), which does not know all arguments of"
            " its layer {name}: save it again with {version}, or export it with model.export('folder')."
        ),
    ),
    (
        r"not a KerasSaveable",
        "The model was saved by another version of Keras than this one ({version}) can read: save it again with {version}.",
    ),
    (r"(?i)not a zip|accessible", _DAMAGED),
)
"""Patterns of the messages of Keras, each with what it means."""


def cannot_open(error: Exception, package: str = "keras") -> ModelRefused:
    """The refusal of a file that Keras raised an error about. The error itself belongs into the log.

    Args:
        error: what was raised.
        package: the distribution that raised it, `keras` or `tf-keras`.
    """
    version = f"{package} {importlib.metadata.version(package)}"
    return ModelRefused(_meaning(error, version), cause=type(error).__name__)


def _meaning(error: Exception, version: str) -> str:
    if isinstance(error, (OSError, KeyError)):
        return _DAMAGED
    # Keras quotes the configuration before this text, and a configuration could contain any of the patterns.
    text = str(error).rpartition("Exception encountered: ")[2]
    for pattern, meaning in _ADVICE:
        match = re.search(pattern, text)
        if match:
            return meaning.format(version=version, **_named(match))
    return (
        f"{version} cannot open the file ({type(error).__name__}, see the log): load it where it was trained,"
        " and save it again."
    )


def _named(match: re.Match[str]) -> dict[str, str]:
    found = {key: (value or "")[:100] for key, value in match.groupdict().items()}
    return {**found, "name": found.get("name") or found.get("other") or "classes"}
