"""What a service says of a model, and orders to it: without images, for the blocking client."""

from layerscope_client._descriptions import Graph, Layers, ModelDescription, NamedModelVersion
from layerscope_client._model_calls import ModelCalls
from layerscope_client._transport import Transport


class DescribedModel:
    """The calls of `Model` that take no images."""

    _transport: Transport
    _calls: ModelCalls

    def describe(self) -> ModelDescription:
        """Return the inputs, outputs, preprocessing, class names, parameters and memory of the model."""
        return self._transport.run(self._calls.describe())

    def layers(self, *selectors: str) -> Layers:
        """List the layers that match any selector, such as "conv*" or "type:Conv2D"; all layers without a selector."""
        return self._transport.run(self._calls.layers(selectors))

    def load(self) -> NamedModelVersion:
        """Load the version from its files, and replace it if it is loaded. A name without a version means the highest one.

        Raises:
            ControlRefused: The service does not allow it: it must run with `--control explicit`, or with `--control poll` and
                `--allow-upload`.
            ModelRefused: The model cannot be loaded; the message gives the reason.
        """
        return self._transport.run(self._calls.load())

    def unload(self) -> NamedModelVersion:
        """Unload the version from memory, after the requests that use it.

        Raises:
            ControlRefused: The service does not allow it: it must run with `--control explicit`, or with `--control poll` and
                `--allow-upload`.
        """
        return self._transport.run(self._calls.unload())

    def remove(self) -> None:
        """Delete an uploaded version from memory and from disk. The model must be named as name@version.

        Raises:
            ControlRefused: The service does not allow uploads, or the version was not uploaded.
        """
        self._transport.run(self._calls.remove())

    def set_label(self, label: str) -> dict[str, int]:
        """Set a label to this version, which must be loaded, and return all labels of the model.

        Raises:
            ControlRefused: The service does not allow it.
        """
        return self._transport.run(self._calls.set_label(label))

    def remove_label(self, label: str) -> None:
        """Remove a label. The model must be named without a version.

        Raises:
            ControlRefused: The service does not allow it.
            ModelNotFound: There is no such label.
        """
        self._transport.run(self._calls.remove_label(label))

    def graph(self) -> Graph:
        """Return the nodes, edges and nested groups of the model, for drawing."""
        return self._transport.run(self._calls.graph())
