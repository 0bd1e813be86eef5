"""Layerscope's engine: any layer of any Keras model, for any image, without a web framework."""

__version__ = "0.1.0"
