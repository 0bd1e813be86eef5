"""Put taps on the layer calls of a saved graph.

No two taps share a tensor that anything else reads: one of them gets a copy of it, as in `recording`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.saved.attention_scores import scores_of
from layerscope.graph.saved.keras_metadata import DeclaredLayer
from layerscope.graph.saved.layer_types import Insides, fused_activation, layer_type
from layerscope.graph.saved.scopes import PASSIVE, ScopeCall
from layerscope.graph.saved.wiring import Reader, Wiring
from layerscope.graph.taps.addresses import Site
from layerscope.graph.taps.tap import Input, LayerCall, Tap


@dataclass(frozen=True)
class _Found:
    """What is known of a call before the taps have addresses."""

    call: ScopeCall
    type: str
    tensors: dict[Site, list[str]]
    children: list["_Found"]


class SavedLayerCalls:
    """Turns calls found by their scopes into `LayerCall`s. Where it must, it makes copies in the graph.

    Args:
        wiring: the graph.
        fed: the names of its nodes that depend on the model's inputs.
        sizes: how many numbers each variable is, by the name of its node.
        declared: gives what the SavedModel tells of a layer, by its path; None where it tells nothing.
    """

    def __init__(
        self,
        wiring: Wiring,
        fed: frozenset[str],
        sizes: Mapping[str, int],
        declared: Callable[[Sequence[str]], DeclaredLayer | None],
    ) -> None:
        self._wiring = wiring
        self._fed = set(fed)
        self._valued = set(fed)
        self._sizes = sizes
        self._declared = declared
        self._indices: dict[str, int] = {}
        self._made_by: dict[str, Tap] = {}

    def collect(
        self, scope_calls: Sequence[ScopeCall], inputs: Sequence[Input], entrances: Sequence[str]
    ) -> list[LayerCall]:
        """All calls in the order in which their values appear, inputs first.

        Args:
            scope_calls: the calls of the outermost layers.
            inputs: of the model.
            entrances: the tensor of each input.
        """
        nodes = [node for call in scope_calls for node in call.nodes]
        self._valued |= {node.name for node in nodes if node.op not in PASSIVE}
        for name in [*(each.name for each in inputs), *(call.path[0] for call in scope_calls)]:
            self._indices.setdefault(name, len(self._indices))
        result = [
            self._layer_call((each.name,), "InputLayer", {"output": [tensor]})
            for each, tensor in zip(inputs, entrances, strict=True)
        ]
        found = [each for call in scope_calls for each in self._find(call)]
        result.extend(layer_call for each in found for layer_call in self._layer_calls(each))
        return result

    def outputs(self, names: Sequence[str]) -> tuple[list[tuple[str, Tap]], list[LayerCall]]:
        """The taps of the model's outputs by name, and a call named after each that no layer makes."""
        made = []
        for name, tensor in zip(names, self._wiring.outputs, strict=True):
            if tensor not in self._made_by:
                path = (name,) if name not in self._indices else (f"{name}_of_model",)
                made.append(self._layer_call(path, "Output", {"output": [tensor]}))
        taps = [self._made_by[tensor] for tensor in self._wiring.outputs]
        return list(zip(names, taps, strict=True)), made

    def _find(self, call: ScopeCall) -> Iterator[_Found]:
        """The call with those inside it, from the outside in: what is copied for a call is not inside it."""
        inputs = self._inputs(call)
        made = self._outputs(call)
        if not made:
            for child in call.children:
                yield from self._find(child)
            return
        insides = self._insides(call, inputs, made)
        tensors: dict[Site, list[str]] = {
            "output": [self._own(tensor, self._outside(tensor, call)) for tensor in made],
            "input": inputs,
        }
        activation = fused_activation(insides)
        if activation is not None and activation.argument in self._wiring.described:
            readers, _ = self._wiring.readers(activation.argument, inside=activation.nodes)
            tensors["preactivation"] = [self._own(activation.argument, readers)]
        declared = self._declared(call.path)
        is_attention = declared is not None and "Attention" in declared.type
        scores = scores_of(call, self._wiring, self._fed, is_declared=is_attention)
        if scores is not None:
            tensors["scores"] = [self._own(*scores)]
        estimated = "Group" if call.children else layer_type(insides)
        kind = declared.type if declared is not None else estimated
        yield _Found(call, kind, tensors, [each for child in call.children for each in self._find(child)])

    def _inputs(self, call: ScopeCall) -> list[str]:
        entering: dict[str, None] = {}
        for node in call.nodes:
            for tensor in self._wiring.nodes[node.name].input:
                maker = node_of(tensor)
                if maker not in call.names and maker in self._valued:
                    entering[tensor] = None
        return [
            self._own(tensor, self._wiring.readers(tensor, inside=call.names)[0])
            for tensor in self._deliverable(entering)
        ]

    def _outputs(self, call: ScopeCall) -> list[str]:
        results = [tensor for node in call.nodes for tensor in self._wiring.results(node.name)]
        return self._deliverable(tensor for tensor in results if self._outside(tensor, call))

    def _outside(self, tensor: str, call: ScopeCall) -> list[Reader]:
        return self._wiring.readers(tensor, inside=call.names)[1]

    def _deliverable(self, tensors: Iterable[str]) -> list[str]:
        """Without sizes, which are computed on the way: they depend on the inputs and have no batch axis."""
        known = [tensor for tensor in tensors if tensor in self._wiring.described]
        values = [tensor for tensor in known if self._has_images(tensor) or node_of(tensor) not in self._fed]
        return values or known

    def _has_images(self, tensor: str) -> bool:
        described = self._wiring.described[tensor]
        return described.batched or described.mixed

    def _own(self, tensor: str, readers: Sequence[Reader]) -> str:
        own = self._wiring.own(tensor, readers)
        if own != tensor:
            self._valued.add(node_of(own))
            if node_of(tensor) in self._fed:
                self._fed.add(node_of(own))
        return own

    def _insides(self, call: ScopeCall, inputs: Sequence[str], made: Sequence[str]) -> Insides:
        names = call.names.difference(*(child.names for child in call.children))
        return Insides(
            nodes={node.name: self._wiring.nodes[node.name] for node in call.nodes if node.name in names},
            fed=names & self._fed,
            inputs=len(inputs),
            output=made[0],
            ranks=(self._rank(inputs[0]) if inputs else 0, self._rank(made[0])),
        )

    def _rank(self, tensor: str) -> int:
        described = self._wiring.described[tensor]
        return len(described.shape) + described.batched

    def _layer_calls(self, found: _Found) -> Iterator[LayerCall]:
        """The calls inside first, as they end first."""
        for child in found.children:
            yield from self._layer_calls(child)
        call = found.call
        yield self._layer_call(
            call.path,
            found.type,
            found.tensors,
            number=call.number,
            parameters=sum(self._sizes[name] for name in call.variables),
            is_group=bool(found.children),
        )

    def _layer_call(
        self,
        path: tuple[str, ...],
        kind: str,
        tensors: Mapping[Site, Sequence[str]],
        *,
        number: int = 0,
        parameters: int = 0,
        is_group: bool = False,
    ) -> LayerCall:
        inbound = self._inbound(tensors.get("input", tensors["output"]))
        declared = self._declared(path)
        result = LayerCall(
            path=path,
            call=number,
            type=kind,
            index=self._indices.get(path[0]) if len(path) == 1 else None,
            parameters=parameters,
            is_group=is_group,
            inbound=tuple(tap.address for tap in inbound),
            tensors={
                site: tuple(self._wiring.described[name] for name in names) for site, names in tensors.items()
            },
            origins=self._origins(tensors["output"]) if is_group else (),
            data_format=None if declared is None else declared.data_format,
            go_backwards=declared is not None and declared.go_backwards,
        )
        outputs = (tap for tap in result.taps if tap.place.site == "output")
        self._made_by.update(zip(tensors["output"], outputs, strict=True))
        return result

    def _origins(self, outputs: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Asked before the group's own outputs are known by its name."""
        return tuple(tuple(tap.address for tap in self._inbound([tensor])) for tensor in outputs)

    def _inbound(self, tensors: Sequence[str]) -> list[Tap]:
        """The taps that `tensors` come from, through operations that belong to no layer."""
        found: dict[Tap, None] = {}
        seen: set[str] = set()
        waiting = list(tensors)
        while waiting:
            tensor = waiting.pop(0)
            if tensor in seen:
                continue
            seen.add(tensor)
            tap = self._made_by.get(tensor)
            if tap is None:
                waiting.extend(self._wiring.nodes[node_of(tensor)].input)
            else:
                found[tap] = None
        return list(found)
