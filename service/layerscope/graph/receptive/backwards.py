"""Backward pass of receptive fields: from places of a tensor to the places of the inputs that they are computed from."""

from collections.abc import Mapping

from layerscope.graph.analysis.subgraph import node_of
from layerscope.graph.receptive.arrangements import Step
from layerscope.graph.receptive.operations import Operations
from layerscope.graph.receptive.reach import Read, is_nothing, united
from layerscope.graph.receptive.rules import moved, reads
from layerscope.graph.receptive.windows import undivided

Found = tuple[list[tuple[str, Read]], bool]
"""What is read, by the tensor's name, and whether that is exact and not an upper bound."""


def seen_from(
    graph: Operations, wanted: Mapping[str, Read], layer: str, layers: Mapping[str, str]
) -> tuple[dict[str, Read], bool]:
    """What is read of each entrance of a graph, and whether that is exact.

    Args:
        graph: the operations.
        wanted: the places of some tensors, by name.
        layer: the layer that these belong to, for explanations.
        layers: the address of the layer whose output a node is, by the node's name.
    """
    # Operations are visited in reverse topological order, so that all readers of a tensor are united before its own
    # operation is followed. Each operation is visited once, however many paths lead through it.
    waiting = {tensor: [read] for tensor, read in wanted.items()}
    owners = {node_of(tensor): layer for tensor in wanted}
    found: dict[str, Read] = {}
    is_exact = True
    for name in reversed(graph.by_name):
        for output in range(len(graph.by_name[name].gives)):
            read = waiting.pop(f"{name}:{output}", None)
            if read is None:
                continue
            if f"{name}:{output}" in graph.entrances:
                found[f"{name}:{output}"] = united(read)
                continue
            owner = layers.get(name, owners[name])
            sources, is_certain = _step(graph, Step(graph.by_name[name], output, united(read), owner))
            is_exact = is_exact and is_certain
            for source, own in sources:
                waiting.setdefault(source, []).append(own)
                owners.setdefault(node_of(source), owner)
    return found, is_exact


def output_of(tensor: str) -> int:
    """The number of a tensor among the outputs of its node."""
    return int(tensor.partition(":")[2] or 0)


def _step(graph: Operations, step: Step) -> Found:
    operation = step.operation
    if operation.kind == "BatchToSpaceND" and (whole := undivided(operation, graph.by_name)):
        divided, windows = whole
        return [(divided.sources[0], moved(operation, windows, step.wanted, divided.taken(0)))], True
    if operation.body is not None and step.wanted:
        return _inside(operation.body, step)
    by_number, is_certain = reads(step)
    return [
        (operation.sources[number], read) for number, read in by_number if not is_nothing(read)
    ], is_certain


def _inside(body: Operations, step: Step) -> Found:
    """What a call of a function reads: what the function's body reads of its arguments."""
    seen, is_exact = seen_from(body, {body.exits[step.output]: step.wanted}, step.layer, {})
    sources = zip(step.operation.sources, body.entrances, strict=True)
    return [(source, seen[own]) for source, own in sources if own in seen], is_exact
