"""What every kind of tokenizer does: split a text into the tokens of its vocabulary."""

from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from layerscope.text.declaration import Length, Side
from layerscope.text.token import Token

StandIn = Literal["mask", "unknown", "padding"]
"""A token that can stand in the place of any other: the best first."""


class Vocabulary(Protocol):
    """Splits texts into tokens."""

    @property
    def size(self) -> int:
        """One more than the highest id."""

    @property
    def padding(self) -> tuple[Side, int]:
        """Where texts are padded by default, and with which id."""

    @property
    def truncation(self) -> Side | None:
        """Where long texts are cut by default; None if they are not."""

    @property
    def length(self) -> Length | None:
        """The tokens of every text by default; None if texts have as many as they have."""

    @property
    def max_length(self) -> int | None:
        """Where texts are cut that have no fixed length; None for nowhere."""

    @property
    def stand_ins(self) -> Mapping[StandIn, int]:
        """The ids of the tokens for masked and for unknown words, of those that there are."""

    def tokens(self, text: str) -> list[Token]:
        """All tokens of a text, special ones included."""

    def cut(self, text: str, length: int, side: Side) -> list[Token]:
        """The first (`post`) or last (`pre`) `length` tokens of a text; special ones are kept where the tokenizer keeps them."""

    def text_of(self, token_id: int) -> str | None:
        """The entry of the vocabulary with an id; None if there is none."""


class Cutting:
    """The `cut` of vocabularies without special tokens."""

    max_length: int | None = None

    def tokens(self, text: str) -> list[Token]:
        """All tokens of a text."""
        raise NotImplementedError

    def cut(self, text: str, length: int, side: Side) -> list[Token]:
        """See `Vocabulary.cut`."""
        tokens = self.tokens(text)
        return tokens[:length] if side == "post" else tokens[-length:]


def words_between(text: str, separators: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Where each word between separators begins and ends."""
    start = None
    for place, character in enumerate(text):
        if character in separators:
            if start is not None:
                yield start, place
            start = None
        elif start is None:
            start = place
    if start is not None:
        yield start, len(text)
