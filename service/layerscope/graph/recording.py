"""Listen to every layer call of a model while it is traced.

Keras gives one door that every layer and every operation of a functional graph goes through when it is called:
`keras.Operation.__call__`. Standing in that door for the time of one trace sees nested, shared and subclassed
layers alike, where `layer.output` knows only a layer's first call.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras

from layerscope.graph.addresses import Site

_the_door = threading.Lock()


@dataclass
class Call:
    """One call as it was heard. `tensors` are symbolic, by site; `parent` is the path of the calling layer."""

    path: tuple[str, ...]
    number: int
    operation: Any
    tensors: dict[Site, list[Any]] = field(default_factory=dict)
    is_group: bool = False


class Recorder:
    """Collects the calls that `model` makes, in the order in which they return."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._stack: list[Call] = []
        self._names: dict[tuple[tuple[str, ...], int], str] = {}
        self._counts: Counter[tuple[str, ...]] = Counter()
        self.calls: list[Call] = []
        self.outputs: list[Any] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear every call made in this thread; other threads use Keras undisturbed meanwhile."""
        original = keras.Operation.__call__
        thread = threading.get_ident()

        def heard(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread or not self._concerns(operation):
                return original(operation, *args, **kwargs)
            return self._record(operation, original, args, kwargs)

        with _the_door:
            keras.Operation.__call__ = heard
            try:
                yield
            finally:
                keras.Operation.__call__ = original

    def _concerns(self, operation: Any) -> bool:
        """Layers always; plain operations only as nodes of a functional graph, not inside a layer's own code."""
        if isinstance(operation, keras.Layer) or not self._stack:
            return True
        nodes = getattr(self._stack[-1].operation, "operations", ())
        return any(node is operation for node in nodes)

    def _record(
        self, operation: Any, original: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        call = self._open(operation)
        self._stack.append(call)
        try:
            with _listening_to_activation(operation) as preactivations:
                result = original(operation, *args, **kwargs)
        finally:
            self._stack.pop()
        if operation is self._model and not self._stack:
            self.outputs = _tensors(result)
            return result
        call.tensors["output"] = _tensors(result)
        call.tensors["input"] = _tensors((args, {k: v for k, v in kwargs.items() if "mask" not in k}))
        if len(preactivations) == 1:
            call.tensors["preactivation"] = preactivations
        self.calls.append(call)
        return result

    def _open(self, operation: Any) -> Call:
        if not self._stack:
            return Call((), 0, operation)
        parent = self._stack[-1]
        if isinstance(operation, keras.Layer):
            parent.is_group = True
        path = (*parent.path, self._unique_name(parent.path, operation))
        number = self._counts[path]
        self._counts[path] += 1
        return Call(path, number, operation)

    def _unique_name(self, parent: tuple[str, ...], operation: Any) -> str:
        """Two layers of one name under one parent become `name` and `name_1`, as Keras does it elsewhere."""
        known = self._names.get((parent, id(operation)))
        if known is not None:
            return known
        taken = {name for (path, _), name in self._names.items() if path == parent}
        name, number = operation.name, 0
        while name in taken:
            number += 1
            name = f"{operation.name}_{number}"
        self._names[parent, id(operation)] = name
        return str(name)


@contextmanager
def _listening_to_activation(operation: Any) -> Iterator[list[Any]]:
    """Collect what the layer hands to its fused activation function, unless that is a layer of its own."""
    heard: list[Any] = []
    activation = vars(operation).get("activation")
    if not callable(activation) or isinstance(activation, keras.Layer) or activation is keras.activations.linear:
        yield heard
        return

    def listen(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        heard.append(tensor)
        return activation(tensor, *args, **kwargs)

    # Through __dict__, because Keras' own __setattr__ would refuse the change or track it as state.
    vars(operation)["activation"] = listen
    try:
        yield heard
    finally:
        vars(operation)["activation"] = activation


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if hasattr(leaf, "graph") and hasattr(leaf, "op")]
