"""Rows of text: the texts of a request, tokenized and padded together, as items for all inputs of a model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layerscope.errors import NoTokenizer
from layerscope.execution.items import Item, Row, TextOrigin
from layerscope.graph.model import ModelDescription
from layerscope.images import content_id
from layerscope.limits import Limits
from layerscope.models.manifest import FILE_NAME
from layerscope.text import Text, Token, TokenizedText, encoded


@dataclass(frozen=True)
class TextSource:
    """A text, or the ids of its tokens with special ones included."""

    text: Text

    @property
    def id(self) -> str:
        """A name of the content, `sha256-` and 64 hexadecimal digits."""
        return content_id(encoded(self.text))


def rows_of_texts(model: ModelDescription, sources: Sequence[TextSource], limits: Limits) -> list[Row]:
    """One row for each text.

    Raises:
        NoTokenizer: the model takes no text.
        LayerscopeError: see `layerscope.text.Tokenizer.tokenize`.
    """
    texts = [source.text for source in sources]
    if model.tokenizer is not None:
        tokenized = model.tokenizer.tokenize(texts, limits)
    elif len(model.inputs) == 1 and not any(isinstance(text, str) for text in texts):
        tokenized = [_as_they_are(model.inputs[0].name, text) for text in texts if not isinstance(text, str)]
    else:
        raise NoTokenizer(
            f"{model.name} declares no tokenizer, and takes no text: declare one in {FILE_NAME}, or send its"
            f" {'ids as tokens' if len(model.inputs) == 1 else 'inputs as tensors'}.",
            inputs=[each.name for each in model.inputs],
        )
    return [
        tuple(
            Item(
                each,
                made.arrays[each.name],
                None,
                TextOrigin(source.id, made.tokens, made.left_out),
            )
            for each in model.inputs
        )
        for source, made in zip(sources, tokenized, strict=True)
    ]


def _as_they_are(name: str, ids: Sequence[int]) -> TokenizedText:
    """The ids of a model without a tokenizer, whose tokens have no texts."""
    return TokenizedText(tuple(Token("", each) for each in ids), {name: np.array(ids, np.int64)})
