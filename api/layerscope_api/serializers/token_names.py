"""Tokens in pictures: which of them are drawn, and the names of rows and columns that count them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from layerscope.render import LONGEST_NAME, Sides
from layerscope.tensors.activations import Activation
from layerscope.tensors.spec import TensorSpec
from layerscope.text import Token, Tokenizer

_TOKENS = frozenset({"key", "query", "tokens"})

NamesOf = Callable[[int], Sequence[str]]
"""Gives the names of so many tokens."""


@dataclass(frozen=True)
class DrawnTokens:
    """The tokens of texts, as pictures of layers have them.

    Attributes:
        names: of each text, the name of every token, see `token_texts`.
        kept: the places that are drawn: those that are padding in all texts are left out.
    """

    names: Sequence[Sequence[str]]
    kept: Sequence[int]

    @property
    def notes(self) -> Sequence[str]:
        """A sentence if something is left out."""
        count, drawn = len(self.names[0]), len(self.kept)
        return [] if drawn == count else [f"{drawn} of {count} tokens are drawn: the others are padding."]

    def of(self, activation: Activation) -> Activation:
        """The values of the tokens that are drawn. Axes that count others than those of the texts stay whole."""
        values, count = activation.values, len(self.names[0])
        if len(self.kept) == count:
            return activation
        for axis, name in enumerate(activation.axes):
            if name in _TOKENS and activation.values.shape[axis] == count:
                values = values.take(self.kept, axis)
        return replace(activation, values=values)

    def names_of(self, text: int) -> NamesOf:
        """The names of the tokens of one text that are drawn; numbers where a layer counts others."""
        names = self.names[text]
        return lambda size: (
            [names[place] for place in self.kept] if size == len(names) else numbers_as_names(size)
        )


def drawn_tokens(texts: Sequence[Sequence[Token]], tokenizer: Tokenizer | None) -> DrawnTokens | None:
    """The tokens of the texts of a picture; None if there are no texts. Those of nothing but padding are drawn whole."""
    if not texts:
        return None
    by_place = zip(*(without_padding(text, tokenizer) for text in texts), strict=True)
    kept = [place for place, is_text in enumerate(by_place) if any(is_text)]
    names = [token_texts(text) for text in texts]
    return DrawnTokens(names, kept or range(len(names[0])))


def without_padding(tokens: Sequence[Token], tokenizer: Tokenizer | None) -> Sequence[bool]:
    """Whether each token is a part of a text, and not padding as its tokenizer has it."""
    return [tokenizer is None or not tokenizer.is_padding(each) for each in tokens]


def tokens_of_ids(ids: Sequence[int], tokenizer: Tokenizer) -> Sequence[Token]:
    """The tokens that an array of ids stands for; without text where the vocabulary has no such id."""
    vocabulary = tokenizer.vocabulary
    return [Token(vocabulary.text_of(each) or "" if each >= 0 else "", each) for each in ids]


def token_texts(tokens: Sequence[Token]) -> Sequence[str]:
    """Tokens as they are drawn: those without an entry in the vocabulary by their ids."""
    return [each.text or str(each.id) for each in tokens]


def numbers_as_names(size: int) -> Sequence[str]:
    """Of places of which nobody knows what they are."""
    return [str(number) for number in range(size)]


def widest_names(size: int) -> Sequence[str]:
    """Names as wide as any that are drawn."""
    return ["W" * LONGEST_NAME] * size


def sides_of(spec: TensorSpec, channel_axis: int | None, names: NamesOf) -> Sides | None:
    """The names of the rows and columns of the tiles of one image; None where they count no tokens.

    Args:
        spec: of the values, with all tokens.
        channel_axis: the axis of one image's values of which each number is a tile; None for one tile.
        names: gives those of tokens.
    """
    counted = [
        names(size) if name in _TOKENS else ()
        for axis, (name, size) in enumerate(zip(spec.axes[1:], spec.shape[1:], strict=True))
        if axis != channel_axis
    ]
    if len(spec.shape) <= 2 or not any(counted[-2:]):
        return None
    rows, columns = counted[-2:] if len(counted) > 1 else ((), counted[0])
    return Sides(rows=rows, columns=columns)
