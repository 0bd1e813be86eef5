"""Origins of a change: the layers that changed although nothing that they compute from did."""

from collections.abc import Collection, Iterator, Mapping

from layerscope.graph.taps.tap import Tap


def origins(taps: Mapping[str, Tap], compared: Collection[str], changed: Collection[str]) -> list[str]:
    """Where a change begins.

    A layer that was not compared is passed by: what counts is what it computes from. A group of layers, such as a nested model,
    is no origin if what it gives out comes from a layer inside that changed.

    Args:
        taps: all output taps of the network by address, in graph order.
        compared: the addresses of the layers of which is known whether they changed.
        changed: the addresses of those that did.

    Returns:
        The addresses of the origins, in graph order.
    """
    known, different = frozenset(compared), frozenset(changed)
    return [
        address
        for address in taps
        if address in different and different.isdisjoint(_nearest(taps, address, known))
    ]


def _nearest(taps: Mapping[str, Tap], address: str, compared: frozenset[str]) -> Iterator[str]:
    """The compared layers that a layer computes from, through layers that were not compared."""
    waiting, seen = list(_before(taps[address])), {address}
    while waiting:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        if each in compared:
            yield each
        elif each in taps:
            waiting += _before(taps[each])


def _before(tap: Tap) -> tuple[str, ...]:
    """What a layer computes from; for an output of a group, the taps inside that it comes from as well."""
    layer, output = tap.layer, tap.place.output
    inside = layer.origins[output] if output < len(layer.origins) else ()
    return (*inside, *layer.inbound)
