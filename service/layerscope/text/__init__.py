"""Text: from the text of a request to the tokens, ids and masks that a model takes."""

from layerscope.text.declaration import TokenizerDeclaration
from layerscope.text.encoded import Text, decoded, encoded, from_utf8, ids_of, is_text, require_short
from layerscope.text.token import Token
from layerscope.text.tokenizer import TokenizedText, Tokenizer, kind_of

__all__ = [
    "Text",
    "Token",
    "TokenizedText",
    "Tokenizer",
    "TokenizerDeclaration",
    "decoded",
    "encoded",
    "from_utf8",
    "ids_of",
    "is_text",
    "kind_of",
    "require_short",
]
