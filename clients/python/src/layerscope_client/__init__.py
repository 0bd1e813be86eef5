"""The Python client of Layerscope: any layer of any registered Keras model, for any image, over HTTP.

    from layerscope_client import Client

    scope = Client("http://127.0.0.1:8000")
    digits = scope.model("digits")
    acts = digits.activations("seven.png", layers=["conv*"])

`AsyncClient` has the same calls, awaited. `layerscope_client.errors` has all exceptions.
"""

from layerscope_client import errors
from layerscope_client._ablations import Ablations
from layerscope_client._activations import Activations
from layerscope_client._async_client import AsyncClient
from layerscope_client._async_data_sets import AsyncDataSets
from layerscope_client._async_job import AsyncJob
from layerscope_client._async_model import AsyncModel
from layerscope_client._attribution import Attribution
from layerscope_client._client import Client
from layerscope_client._comparisons import Comparison, ComparisonOptions, ImageComparison
from layerscope_client._data_sets import DataSets
from layerscope_client._descriptions import Layers
from layerscope_client._images import ImageSource, ImageSources
from layerscope_client._interventions import Intervention
from layerscope_client._job import Job
from layerscope_client._job_calls import ExtractOptions
from layerscope_client._model import Model
from layerscope_client._options import (
    AblationOptions,
    AblationPictureOptions,
    AttributionOptions,
    AttributionPictureOptions,
    InterventionOptions,
    OverlayOptions,
    PictureOptions,
    TensorOptions,
)
from layerscope_client._picture import Picture
from layerscope_client._results import StoredImage
from layerscope_client._text import Text, Token, Tokens
from layerscope_client.errors import LayerscopeError

__all__ = [
    "AblationOptions",
    "AblationPictureOptions",
    "Ablations",
    "Activations",
    "AsyncClient",
    "AsyncDataSets",
    "AsyncJob",
    "AsyncModel",
    "Attribution",
    "AttributionOptions",
    "AttributionPictureOptions",
    "Client",
    "Comparison",
    "ComparisonOptions",
    "DataSets",
    "ExtractOptions",
    "ImageComparison",
    "ImageSource",
    "ImageSources",
    "Intervention",
    "InterventionOptions",
    "Job",
    "Layers",
    "LayerscopeError",
    "Model",
    "OverlayOptions",
    "Picture",
    "PictureOptions",
    "StoredImage",
    "TensorOptions",
    "Text",
    "Token",
    "Tokens",
    "errors",
]
