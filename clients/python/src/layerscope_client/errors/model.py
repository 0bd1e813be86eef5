"""Errors of a model's files."""

from layerscope_client.errors.request import Impossible


class ModelRefused(Impossible):
    """The model file cannot be opened, traced or run."""


class ModelUnreadable(ModelRefused):
    """The file is damaged, or of another format than its name says."""


class ModelTooLarge(ModelRefused):
    """The model has more bytes, layers, parameters or parts than one may have."""


class ConfigInvalid(ModelRefused):
    """The configuration of the model is not one that Keras writes."""


class LayerNotAllowed(ModelRefused):
    """The model has a layer, class or function that is code or unknown."""


class WeightsExternalReference(ModelRefused):
    """The weights are, or may be, outside the model file."""


class WeightsMalformed(ModelRefused):
    """The weights are not plain arrays of numbers, each in one place."""


class WeightsShapeMismatch(ModelRefused):
    """The weights have other shapes than the configuration implies, or than the file holds."""
