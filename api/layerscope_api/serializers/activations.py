"""Activations as answers: their metadata, and the memory that encoding them takes."""

from collections.abc import Sequence

from layerscope.encode import Format, Metadata, building_bytes, require_fits
from layerscope.graph.model import ModelDescription
from layerscope.limits import Limits
from layerscope.tensors.spec import TensorSpec
from layerscope_api.schemas.options import ActivationOptions
from layerscope_api.serializers.models import preprocessing_body


def activation_bytes(
    specs: Sequence[TensorSpec], options: ActivationOptions, form: Format, limits: Limits
) -> int:
    """The bytes of memory that making the answer takes besides the values, from the shapes of the layers alone.

    Raises:
        LayerscopeError: the format cannot carry the tensors, see `layerscope.encode.require_fits`.
    """
    reduction = options.tensor_options()
    require_fits([spec.reduced(reduction) for spec in specs], form, limits, values=options.values)
    return building_bytes(specs, reduction, form, values=options.values, statistics=options.statistics)


def activation_metadata(model: ModelDescription, options: ActivationOptions) -> Metadata:
    """The metadata that every format carries with the values, without statistics."""
    return Metadata(
        model=model.name,
        version=model.version,
        digest=model.digest,
        preprocessing=preprocessing_body(model),
        values=options.values,
    )
