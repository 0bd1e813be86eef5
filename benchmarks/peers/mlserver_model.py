"""A custom runtime of MLServer for one layer: adaptive batching, REST, the Open Inference Protocol.

Tensors go out as base64 of float32: MLServer's REST has no binary tensors, and as JSON numbers this layer would take
it twenty times as long.
"""

import base64

import numpy as np
from layer_function import Array, decode, layer_function
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, Parameters, ResponseOutput


class Activations(MLModel):
    """`image` is one base64 string an image, and so is `values`."""

    async def load(self) -> bool:
        """Build the function."""
        parameters = self.settings.parameters
        self._run = layer_function(parameters.uri, parameters.extra["layer"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The layer's values for the images of one batch."""
        images = np.stack([decode(base64.b64decode(image)) for image in payload.inputs[0].data])
        values = [_encoded(each) for each in self._run(images)]
        output = ResponseOutput(
            name="values",
            shape=[len(values), 1],
            datatype="BYTES",
            data=values,
            parameters=Parameters(content_type="base64"),
        )
        return InferenceResponse(model_name=self.name, outputs=[output])


def _encoded(values: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(values)).decode()
