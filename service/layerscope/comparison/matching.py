"""Matching: which layer of one network is compared with which of another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import re2
from numpy.typing import NDArray

from layerscope.errors import OptionInvalid
from layerscope.graph.taps.tap import Tap

_WILDCARDS = {"**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
_LONGEST = 1_000


Partner = Callable[[str], str | None]


@dataclass(frozen=True)
class Matching:
    """Pairs of layers.

    Attributes:
        pairs: taps of the reference and of the candidate, in the reference's graph order.
        only_reference: the addresses of the reference's layers without a partner.
        only_candidate: those of the candidate's.
    """

    pairs: tuple[tuple[Tap, Tap], ...]
    only_reference: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, pairs: Sequence[tuple[Tap, Tap]], references: Sequence[Tap], candidates: Sequence[Tap]
    ) -> "Matching":
        """Pairs, and the layers that are in none of them."""
        first, second = ({pair[side].address for pair in pairs} for side in (0, 1))
        return cls(
            tuple(pairs),
            tuple(tap.address for tap in references if tap.address not in first),
            tuple(tap.address for tap in candidates if tap.address not in second),
        )


class Rule:
    """How a layer of the reference is called in the candidate: two patterns with the same wildcards in the same order.

    Args:
        text: `pattern=pattern`. What `**`, `*` and `?` stand for in the first is put in their places in the second.

    Raises:
        OptionInvalid: it is not of that form.
    """

    def __init__(self, text: str) -> None:
        reference, equals, candidate = text.partition("=")
        first, second = _parts(reference), _parts(candidate)
        wildcards = [part for part in first if part in _WILDCARDS]
        if (
            not (equals and reference and candidate)
            or wildcards != [part for part in second if part in _WILDCARDS]
            or len(text) > _LONGEST
        ):
            raise OptionInvalid(
                f"{text[:100]!r} is no rule: write reference=candidate, with the same wildcards in both, as in"
                " backbone/**=encoder/**.",
                option="rules",
            )
        self._pattern = re2.compile("".join(_WILDCARDS.get(part) or re2.escape(part) for part in first))
        self._parts = second

    def partner(self, address: str) -> str | None:
        """The candidate's address of a layer; None if the rule is not for it."""
        match = self._pattern.fullmatch(address)
        if match is None:
            return None
        found = iter(match.groups())
        return "".join(next(found) if part in _WILDCARDS else part for part in self._parts)


def by_address(references: Sequence[Tap], candidates: Sequence[Tap]) -> Matching:
    """Layers with the same address."""
    return by_rules([], references, candidates)


def by_rules(rules: Sequence[Partner], references: Sequence[Tap], candidates: Sequence[Tap]) -> Matching:
    """Layers whose address the first rule that is for them gives; those that no rule is for, by their own address.

    Args:
        rules: each gives the candidate's address of a layer, or None if it is not for that layer; see `Rule.partner`.
        references: the reference's layers.
        candidates: the candidate's.
    """
    named = {tap.address: tap for tap in candidates}
    pairs, taken = [], set()
    for tap in references:
        given = (rule(tap.address) for rule in rules)
        partner = named.get(next((each for each in given if each is not None), tap.address))
        if partner is not None and partner.address not in taken:
            taken.add(partner.address)
            pairs.append((tap, partner))
    return Matching.of(pairs, references, candidates)


def align(similarities: NDArray[Any]) -> list[tuple[int, int]]:
    """The pairs in ascending order, in both lists, whose similarities have the largest sum, by dynamic programming.

    Args:
        similarities: (references, candidates). NaN and values below zero are never paired.
    """
    gains = np.where(similarities > 0, similarities, 0.0)
    rows, columns = gains.shape
    best = np.zeros((rows + 1, columns + 1))
    for row in range(rows):
        with_pair = best[row, :-1] + gains[row]
        # The best of a row grows from left to right, so that its running maximum is the choice of a gap.
        best[row + 1, 1:] = np.maximum.accumulate(np.maximum(best[row, 1:], with_pair))
    pairs = []
    row, column = rows, columns
    while row and column:
        if best[row, column] == best[row - 1, column]:
            row -= 1
        elif best[row, column] == best[row, column - 1]:
            column -= 1
        else:
            row, column = row - 1, column - 1
            pairs.append((row, column))
    return pairs[::-1]


def _parts(pattern: str) -> list[str]:
    """A pattern, cut at its wildcards."""
    parts: list[str] = []
    rest = pattern
    while rest:
        wildcard = next((each for each in _WILDCARDS if rest.startswith(each)), None)
        if wildcard is not None:
            parts.append(wildcard)
            rest = rest[len(wildcard) :]
        elif parts and parts[-1] not in _WILDCARDS:
            parts[-1] += rest[0]
            rest = rest[1:]
        else:
            parts.append(rest[0])
            rest = rest[1:]
    return parts
