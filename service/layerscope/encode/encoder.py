"""Encoder: activations to the body of an answer, in any format."""

from collections.abc import Callable
from dataclasses import dataclass

from layerscope.encode.arrays import Buffer
from layerscope.encode.formats import EXTENSIONS, MEDIA_TYPES, Format
from layerscope.encode.json_format import encode_json
from layerscope.encode.metadata import Metadata
from layerscope.encode.npy_format import encode_npy
from layerscope.encode.npz_format import encode_npz
from layerscope.encode.safetensors_format import encode_safetensors
from layerscope.encode.size_check import require_fits
from layerscope.limits import Limits
from layerscope.tensors.activations import Activations

_ENCODERS: dict[Format, Callable[[Activations, Metadata], list[Buffer]]] = {
    "json": encode_json,
    "npy": encode_npy,
    "npz": encode_npz,
    "safetensors": encode_safetensors,
}


@dataclass(frozen=True)
class Encoded:
    """The body of an answer as a list of buffers, its media type, and the ending of its file name."""

    buffers: list[Buffer]
    media_type: str
    extension: str


def encode(activations: Activations, form: Format, metadata: Metadata, limits: Limits) -> Encoded:
    """Encode activations. The same activations always give the same bytes.

    Binary formats carry every bit, including the payloads of NaN. JSON carries every finite value exactly.

    Raises:
        AnswerTooLarge: There are more values than JSON may carry, or more bytes than an answer may have.
        UnsupportedFormat: The format cannot hold these activations; .npy, for example, cannot hold two layers.
        OptionInvalid: The values are left out, and the format can send nothing else.
    """
    specs = [activation.spec for activation in activations.values()]
    require_fits(specs, form, limits, values=metadata.values)
    return Encoded(_ENCODERS[form](activations, metadata), MEDIA_TYPES[form], EXTENSIONS[form])
