"""Errors of a model's files: the model is saved again, changed, or put into the directory by an operator."""

from layerscope.errors.request import Impossible


class ModelRefused(Impossible):
    """The model file cannot be opened, traced or run."""

    code = "model_refused"


class ModelUnreadable(ModelRefused):
    """The file is damaged, or of another format than its name says."""

    code = "model_unreadable"


class ModelTooLarge(ModelRefused):
    """The model has more bytes, layers, parameters or parts than one may have. `details` carry both numbers."""

    code = "model_too_large"


class ConfigInvalid(ModelRefused):
    """The model's configuration is not one that Keras writes. `details["path"]` is where."""

    code = "config_invalid"


class LayerNotAllowed(ModelRefused):
    """The model has a layer, class or function that is code or unknown. `details["path"]` is where."""

    code = "layer_not_allowed"


class WeightsExternalReference(ModelRefused):
    """The weights refer, or may refer, to another file than the model's own."""

    code = "weights_external_reference"


class WeightsMalformed(ModelRefused):
    """The weights are not plain arrays of numbers, each stored once."""

    code = "weights_malformed"


class WeightsShapeMismatch(ModelRefused):
    """The weights have other shapes than the model's configuration implies, or than the file holds."""

    code = "weights_shape_mismatch"


def model_refusal(code: str, message: str, details: dict[str, object]) -> ModelRefused:
    """The error that another process reported as a code: of the class with that code, else a plain `ModelRefused`."""
    kinds = {kind.code: kind for kind in ModelRefused.__subclasses__()}
    return kinds.get(code, ModelRefused)(message, **details)
