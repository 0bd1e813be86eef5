"""Recorder of every layer call of a model while it is traced.

Every layer, and every operation of a functional graph, is called through one function: `keras.Operation.__call__`, or
`Layer.__call__` of Keras 2. Replacing it for the time of one trace records nested, shared and subclassed layers alike, where
`layer.output` knows only the first call of a layer.

A tensor that is recorded a second time is copied, so that no two taps share one: feeding `block/conv@input` changes the
input of that layer, and not the shortcut that starts from the same tensor. Copies keep TensorFlow from fusing operations;
`needless_copies` names those that nothing else needs, and they are removed after the trace.
"""

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from layerscope.graph.taps.addresses import Site
from layerscope.graph.tracing.attention_scores import attention_scores_recorded
from layerscope.graph.tracing.keras_versions import version_of
from layerscope.graph.tracing.layer_patches import (
    activation_input_recorded,
    compiled_functions_inlined,
    loop_of_steps_kept,
    time_steps_recorded,
)

_patch_lock = threading.Lock()

_NO_SCOPE = re.compile(r"^[^A-Za-z0-9.]|[^A-Za-z0-9_./-]")
"""Characters that TensorFlow refuses in the name of a scope, or, as `>` and the backslash, when it reads the graph again."""


@dataclass
class Call:
    """One call as it was recorded: the `number`-th of `operation` at `path`. `tensors` are symbolic, by site."""

    path: tuple[str, ...]
    number: int
    operation: Any
    tensors: dict[Site, list[Any]] = field(default_factory=dict)
    is_group: bool = False


class Recorder:
    """Collects the calls that `model` makes, in the order in which they return, and the innermost that failed.

    Args:
        model: whose calls are wanted.
        entrances: the tensors that it will be called with, by the names that no layer may take then.
        inline: whether to look into compiled functions. They are traced without AutoGraph then.
    """

    def __init__(self, model: Any, entrances: Mapping[str, Any], *, inline: bool = True) -> None:
        self._model = model
        self._keras = version_of(model)
        self._inline = inline
        self._stack: list[Call] = []
        self._names: dict[tuple[tuple[str, ...], int], str] = {}
        self._names |= {((), id(tensor)): name for name, tensor in entrances.items()}
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._seen = {tensor.ref() for tensor in entrances.values()}
        self._masked: dict[Any, list[Any]] = {}
        self.calls: list[Call] = []
        self.failed: Call | None = None
        self.outputs: dict[str, Any] = {}
        self.copies: list[Any] = []

    @contextmanager
    def recording(self) -> Iterator[None]:
        """A context that records every call of this thread. Other threads use Keras as usual meanwhile."""
        callables = self._keras.callables
        original = callables.__call__
        thread = threading.get_ident()

        def recorded(operation: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != thread or not self._concerns(operation):
                return original(operation, *args, **kwargs)
            return self._record(operation, original, args, kwargs)

        inlined = compiled_functions_inlined() if self._inline else nullcontext()
        with _patch_lock, _any_name_for_scopes(), inlined:
            callables.__call__ = recorded
            try:
                yield
            finally:
                callables.__call__ = original

    def _concerns(self, operation: Any) -> bool:
        """Layers count always, plain operations only as nodes of a functional graph, not in the code of a layer."""
        if isinstance(operation, self._keras.layer) or not self._stack:
            return True
        nodes = getattr(self._stack[-1].operation, "operations", ())
        return any(node is operation for node in nodes)

    def _record(
        self, operation: Any, original: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        call = self._open(operation)
        if self._stack:
            args, kwargs = self._own((args, kwargs))
        with attention_scores_recorded(operation) as scores, self._inside(call) as preactivations:
            try:
                result = original(operation, *args, **kwargs)
            except Exception:
                self.failed = self.failed or call
                raise
        self._agree_on_masks(args, kwargs)
        if not self._stack:
            self.outputs = _outputs(self._model, result)
            return result
        result = self._own(result)
        call.tensors["output"] = _tensors(result)
        call.tensors["input"] = _tensors((args, {k: v for k, v in kwargs.items() if "mask" not in k}))
        if len(preactivations) == 1:
            call.tensors["preactivation"] = preactivations
        if scores and not self._attends_inside(call):
            call.tensors["scores"] = scores
        self.calls.append(call)
        return result

    @contextmanager
    def _inside(self, call: Call) -> Iterator[list[Any]]:
        """A context for one call: calls inside have it as parent. Yields the inputs of its activation function."""
        self._stack.append(call)
        try:
            with ExitStack() as intercepted:
                intercepted.enter_context(loop_of_steps_kept(call.operation))
                intercepted.enter_context(time_steps_recorded(call.operation, self._record))
                yield intercepted.enter_context(activation_input_recorded(call.operation))
        finally:
            self._stack.pop()

    def _own(self, structure: Any) -> Any:
        """Replace every tensor that was seen before by a copy."""

        def own(leaf: Any) -> Any:
            if _is_tensor(leaf) and leaf.ref() in self._seen:
                leaf = self._copy(leaf)
            if _is_tensor(leaf):
                self._seen.add(leaf.ref())
            return leaf

        return keras.tree.map_structure(own, structure)

    def _copy(self, tensor: Any) -> Any:
        copy = tf.identity(tensor)
        self.copies.append(copy)
        mask = _mask(tensor)
        if mask is not None:
            copy._keras_mask = mask  # noqa: SLF001
            same = self._masked.setdefault(tensor.ref(), [tensor])
            same.append(copy)
            self._masked[copy.ref()] = same
        return copy

    def _agree_on_masks(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Remove the mask of all copies of a tensor where a layer removed it.

        Keras keeps the mask of a sequence as an attribute of the tensor, and attention layers delete the attribute for
        all layers behind.
        """
        for tensor in _tensors((args, kwargs)):
            if _mask(tensor) is None:
                for same in self._masked.pop(tensor.ref(), ()):
                    same._keras_mask = None  # noqa: SLF001

    def _open(self, operation: Any) -> Call:
        if not self._stack:
            return Call((), 0, operation)
        parent = self._stack[-1]
        if isinstance(operation, self._keras.layer):
            parent.is_group = True
        path = (*parent.path, self._unique_name(parent.path, id(operation), operation.name))
        number = self._counts[path]
        self._counts[path] += 1
        return Call(path, number, operation)

    def _attends_inside(self, call: Call) -> bool:
        """Whether attention scores are those of a layer inside."""
        depth = len(call.path)
        return any("scores" in each.tensors and each.path[:depth] == call.path for each in self.calls)

    def _unique_name(self, parent: tuple[str, ...], identity: int, wanted: str) -> str:
        """Two layers of one name under one parent become `name` and `name_1`, as Keras does it elsewhere."""
        known = self._names.get((parent, identity))
        if known is not None:
            return known
        taken = {name for (path, _), name in self._names.items() if path == parent}
        candidates = (wanted, *(f"{wanted}_{number}" for number in range(1, len(taken) + 2)))
        name = next(name for name in candidates if name and name not in taken)
        self._names[parent, identity] = name
        return name


def needless_copies(copies: Iterable[Any], graph: Any) -> dict[str, str]:
    """The copies in `graph` of tensors that nothing else uses, by name, and the names of what they copy."""
    originals: dict[str, str] = {}
    for copy in copies:
        original = copy.op.inputs[0]
        if copy.graph is graph and len(original.consumers()) == 1:
            originals[copy.name] = originals.get(original.name, original.name)
    return originals


def _mask(tensor: Any) -> Any:
    return getattr(tensor, "_keras_mask", None)


@contextmanager
def _any_name_for_scopes() -> Iterator[None]:
    """Allow any layer name: TensorFlow opens a scope of the same name and refuses some characters."""
    original = tf.Graph.name_scope

    def name_scope(graph: Any, name: str | None) -> Any:
        return original(graph, name and _NO_SCOPE.sub(".", name))

    tf.Graph.name_scope = name_scope
    try:
        yield
    finally:
        tf.Graph.name_scope = original


def _outputs(model: Any, result: Any) -> dict[str, Any]:
    """The model's outputs by the names it gives them: the keys of a dictionary, its own, or their numbers."""
    tensors = _tensors(result)
    declared = [
        sorted(result) if isinstance(result, dict) else (),
        getattr(model, "output_names", None) or (),
    ]
    for names in declared:
        if len(names) == len(set(names)) == len(tensors):
            return dict(zip(map(str, names), tensors, strict=True))
    return {f"output_{number}": tensor for number, tensor in enumerate(tensors)}


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if _is_tensor(leaf)]


def _is_tensor(leaf: Any) -> bool:
    """Whether it is a symbolic tensor of real numbers and known rank, the only kind that can be delivered."""
    if not (hasattr(leaf, "graph") and hasattr(leaf, "op")):
        return False
    is_real = leaf.dtype.is_floating or leaf.dtype.is_integer or leaf.dtype.is_bool
    return bool(is_real and leaf.shape.rank is not None)
