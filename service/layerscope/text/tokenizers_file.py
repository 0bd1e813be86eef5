"""Files of the package `tokenizers` (`tokenizer.json`), which the extra `text` installs."""

import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

from layerscope.errors import ModelRefused, TextUnreadable
from layerscope.text.declaration import Length, Side
from layerscope.text.token import Token
from layerscope.text.vocabulary import StandIn

_SIDES: Mapping[str, Side] = {"Left": "pre", "Right": "post"}
_DIRECTIONS: Mapping[Side, str] = {"pre": "left", "post": "right"}
_PADDING_TOKENS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>")
"""The usual names, for files that declare no padding."""

_MASK_TOKENS, _UNKNOWN_TOKENS = ("[MASK]", "<mask>"), ("[UNK]", "<unk>")


class TokenizersFile:
    """Splits texts as the package `tokenizers` does with a file.

    Args:
        content: the file.

    Raises:
        ModelRefused: it is no such file, or the package is not installed.
    """

    def __init__(self, content: str) -> None:
        self._content = content
        self._tokenizer = _opened(content)
        document = json.loads(content)
        self._padding: Mapping[str, Any] = document.get("padding") or {}
        self._truncation: Mapping[str, Any] = document.get("truncation") or {}
        # One instance for each length: setting it on a shared one would change what other threads get.
        self._cutting = cache(self._that_cuts)

    @cached_property
    def size(self) -> int:
        """One more than the highest id."""
        return max(self._tokenizer.get_vocab().values(), default=-1) + 1

    @cached_property
    def padding(self) -> tuple[Side, int]:
        """As the file has it; else behind the text, with the id of a usual name."""
        usual = (self._tokenizer.token_to_id(name) for name in _PADDING_TOKENS)
        found = next((each for each in usual if each is not None), 0)
        return _SIDES[self._padding.get("direction", "Right")], self._padding.get("pad_id", found)

    @property
    def truncation(self) -> Side | None:
        """As the file has it."""
        return _SIDES[self._truncation.get("direction", "Right")] if self._truncation else None

    @property
    def length(self) -> Length | None:
        """The fixed length of the file's padding, or that of the longest text."""
        strategy = self._padding.get("strategy")
        if isinstance(strategy, dict):
            fixed: int | None = strategy.get("Fixed")
            return fixed
        return "longest" if strategy == "BatchLongest" else None

    @property
    def max_length(self) -> int | None:
        """As the file has it."""
        return self._truncation.get("max_length")

    @cached_property
    def stand_ins(self) -> Mapping[StandIn, int]:
        """The ids of the tokens with the usual names, and of that which the file has for unknown words."""
        own = json.loads(self._content)["model"].get("unk_token")
        usual: Mapping[StandIn, Sequence[str | None]] = {
            "mask": _MASK_TOKENS,
            "unknown": (own, *_UNKNOWN_TOKENS),
        }
        ids = {
            role: [self._tokenizer.token_to_id(name) for name in names if name is not None]
            for role, names in usual.items()
        }
        known = {role: [each for each in own if each is not None] for role, own in ids.items()}
        return {role: each[0] for role, each in known.items() if each}

    def tokens(self, text: str) -> list[Token]:
        """All tokens of a text, with those that the file puts around it."""
        return _tokens(self._tokenizer, text)

    def cut(self, text: str, length: int, side: Side) -> list[Token]:
        """The tokens of a text that is cut so that they are no more than `length` with those around it."""
        return _tokens(self._cutting(length, side), text)

    def text_of(self, token_id: int) -> str | None:
        """The entry of the vocabulary with an id."""
        found: str | None = self._tokenizer.id_to_token(token_id)
        return found

    def _that_cuts(self, length: int, side: Side) -> Any:
        tokenizer = _opened(self._content)
        try:
            tokenizer.enable_truncation(length, direction=_DIRECTIONS[side])
        except Exception as error:
            raise ModelRefused(
                f"A text of {length} tokens has no room for those that the tokenizer puts around it: declare a greater"
                " length.",
                field="tokenizer.length",
            ) from error
        return tokenizer


def _opened(content: str) -> Any:
    try:
        import tokenizers  # noqa: PLC0415 - it comes with an extra
    except ImportError as error:
        raise ModelRefused(
            "The tokenizer of the model needs the Python package tokenizers: pip install 'layerscope[text]'",
            field="tokenizer.file",
        ) from error
    try:
        tokenizer = tokenizers.Tokenizer.from_str(content)
    except Exception as error:
        raise ModelRefused(
            f"The package tokenizers {tokenizers.__version__} cannot read the file of the tokenizer: {str(error)[:200]}",
            field="tokenizer.file",
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _tokens(tokenizer: Any, text: str) -> list[Token]:
    try:
        # A batch of one: encode() lets no other thread run.
        found = tokenizer.encode_batch([text])[0]
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise TextUnreadable(
                f"The tokenizer of the model cannot split the text: {str(error)[:200]}"
            ) from error
        raise
    rows = zip(found.tokens, found.ids, found.offsets, found.special_tokens_mask, strict=True)
    return [
        Token(entry, number) if special else Token(entry, number, *place)
        for entry, number, place, special in rows
    ]
