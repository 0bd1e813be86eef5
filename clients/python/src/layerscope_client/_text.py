"""Texts, for models with a tokenizer, and the tokens in answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Text:
    """A text, which a call takes like an image: `model.activations(Text("a film to remember"), "all")`.

    Attributes:
        text: The model's own tokenizer splits it.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text as the ids of its tokens, special ones included, which a call takes like an image.

    Attributes:
        ids: Numbers of the model's vocabulary. Padding is left to the service.
    """

    ids: Sequence[int]


class Token(NamedTuple):
    """One position of the input of a text model.

    Attributes:
        text: The entry of the vocabulary; empty for padding without one.
        id: Its number in the vocabulary.
        start: Where it begins in the text, in characters; None if it stands for no part of the text.
        end: Where it ends, excluded.
    """

    text: str
    id: int
    start: int | None
    end: int | None


def text_body(text: Text | Tokens) -> tuple[bytes, str]:
    """What is sent of a text, and its media type."""
    if isinstance(text, Text):
        return text.text.encode(), "text/plain; charset=utf-8"
    return json.dumps({"tokens": [[int(each) for each in text.ids]]}).encode(), "application/json"


def tokens_of(rows: Sequence[Sequence[dict[str, Any]]]) -> tuple[tuple[Token, ...], ...]:
    """The tokens of each text of an answer."""
    return tuple(tuple(Token(**token) for token in row) for row in rows)
