"""Vocabularies of the layers `TextVectorization` and `StringLookup`: they split texts as these layers do."""

import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from layerscope.text.declaration import Side
from layerscope.text.token import Token
from layerscope.text.vocabulary import Cutting, StandIn, words_between

_SPACES = frozenset(" \t\n\v\f\r")
"""The characters that `tf.strings.split` splits at."""

_PUNCTUATION = frozenset(string.punctuation)
"""The characters that `TextVectorization` strips."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
"""`tf.strings.lower` changes no others, as it works on bytes."""

Span = tuple[str, int, int]
"""A word as it is looked up, and where it begins and ends in the text."""


@dataclass(frozen=True)
class Vectorization(Cutting):
    """Splits texts as `keras.layers.TextVectorization` does in the output mode `int`.

    Attributes:
        words: the vocabulary in the order of the ids.
        oov_id: the id of unknown words.
        lower: whether to look up words in lower case.
        strip: whether to leave out punctuation.
        split: what the tokens are: words between spaces, characters, or the whole text.
        ngrams: the lengths of the phrases that are looked up; `(1,)` for words alone.
        length: the tokens of every text; None if it is not fixed.
    """

    words: tuple[str, ...]
    oov_id: int
    lower: bool
    strip: bool
    split: str
    ngrams: tuple[int, ...] = (1,)
    length: int | None = None
    padding: tuple[Side, int] = ("post", 0)
    truncation: Side | None = "post"

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Vectorization":
        """Read what was written of a layer."""
        fields: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in document.items()
        }
        return cls(**fields)

    @property
    def size(self) -> int:
        """The entries of the vocabulary."""
        return len(self.words)

    @property
    def stand_ins(self) -> Mapping[StandIn, int]:
        """The id of unknown words."""
        return {"unknown": self.oov_id}

    def tokens(self, text: str) -> list[Token]:
        """All tokens of a text: first its words, then its phrases of two, and so on."""
        spans = list(self._spans(text))
        return [self._token(each) for length in self.ngrams for each in _phrases(spans, length)]

    def text_of(self, token_id: int) -> str | None:
        """The word with an id."""
        return self.words[token_id] if 0 <= token_id < len(self.words) else None

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words)}

    def _token(self, span: Span) -> Token:
        word, start, end = span
        number = self._ids.get(word, self.oov_id)
        return Token(self.words[number], number, start, end)

    def _spans(self, text: str) -> Iterator[Span]:
        lowered = text.translate(_LOWER) if self.lower else text
        for start, end in self._ranges(lowered):
            kept = [
                place for place in range(start, end) if not (self.strip and lowered[place] in _PUNCTUATION)
            ]
            if kept or self.split == "whole":
                word = "".join(lowered[place] for place in kept)
                yield (word, kept[0], kept[-1] + 1) if kept else ("", 0, 0)

    def _ranges(self, text: str) -> Iterator[tuple[int, int]]:
        ranges: Mapping[str, Callable[[], Iterator[tuple[int, int]]]] = {
            "whitespace": lambda: words_between(text, _SPACES),
            "character": lambda: ((place, place + 1) for place in range(len(text))),
            "whole": lambda: iter([(0, len(text))]),
        }
        return ranges[self.split]()


def _phrases(spans: Sequence[Span], length: int) -> Iterator[Span]:
    for first in range(len(spans) - length + 1):
        phrase = spans[first : first + length]
        yield " ".join(word for word, _, _ in phrase), phrase[0][1], phrase[-1][2]
