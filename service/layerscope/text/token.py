"""Tokens: the parts of a text that a model sees."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Token:
    """One position of the input of a text model.

    Attributes:
        text: the entry of the vocabulary, such as `##ing` or `[CLS]`; empty for padding that has no entry.
        id: its number in the vocabulary.
        start: the place in the text of its first character; None for a token that stands for no part of the text, such as padding.
        end: the place behind its last character.
    """

    text: str
    id: int
    start: int | None = None
    end: int | None = None
