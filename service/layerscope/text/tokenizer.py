"""Tokenizer of a model: the texts of a request become arrays for its inputs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from layerscope.errors import InputMismatch, ModelRefused, TextTooLong, TextUnreadable
from layerscope.limits import Limits
from layerscope.text.declaration import Length, Role, Side, TokenizerDeclaration
from layerscope.text.encoded import Text, require_short
from layerscope.text.roles import roles_of
from layerscope.text.token import Token
from layerscope.text.tokenizers_file import TokenizersFile
from layerscope.text.vectorization import Vectorization
from layerscope.text.vocabulary import StandIn, Vocabulary
from layerscope.text.word_index import WordIndex, is_keras_tokenizer

Array = np.ndarray[Any, np.dtype[Any]]
Kind = Literal["text_vectorization", "tokenizers", "word_index"]


@dataclass(frozen=True)
class TokenizedText:
    """A text as a model takes it.

    Attributes:
        tokens: one for each position of the input, padding included.
        arrays: for each input its values, int64 of shape (tokens,).
        left_out: how many tokens were cut off.
    """

    tokens: tuple[Token, ...]
    arrays: Mapping[str, Array]
    left_out: int = 0


@dataclass(frozen=True)
class Tokenizer:
    """How text becomes the inputs of a model. Plain data; the vocabulary is read when it is first used.

    Attributes:
        kind: what the vocabulary is of.
        content: the vocabulary as JSON.
        declared: the declaration.
        roles: what each input of the model takes.
        input_length: the length of these inputs; None if they take any.
    """

    kind: Kind
    content: str = field(repr=False)
    declared: TokenizerDeclaration
    roles: Mapping[str, Role]
    input_length: int | None

    @classmethod
    def of(
        cls,
        kind: Kind,
        content: str,
        declared: TokenizerDeclaration,
        inputs: Mapping[str, tuple[int | None, ...]],
    ) -> "Tokenizer":
        """A tokenizer that fits the inputs of a model, by name with their shapes without batch axis.

        Raises:
            ModelRefused: it does not fit, or its file cannot be read.
        """
        roles = roles_of(declared, list(inputs))
        lengths = {shape[0] if len(shape) == 1 else -1 for shape in inputs.values()}
        if len(lengths) > 1 or -1 in lengths:
            shapes = ", ".join(f"{name} {list(shape)}" for name, shape in inputs.items())
            raise ModelRefused(
                f"A tokenizer gives vectors of one length, and the model takes {shapes}.", field="tokenizer"
            )
        made = cls(kind, content, declared, roles, lengths.pop())
        made.require_usable()
        return made

    def __getstate__(self) -> dict[str, Any]:
        # What was read of the content is read again elsewhere.
        return {name: each for name, each in self.__dict__.items() if name != "vocabulary"}

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Splits texts.

        Raises:
            ModelRefused: the content cannot be read.
        """
        if self.kind == "tokenizers":
            return TokenizersFile(self.content)
        document = json.loads(self.content)
        if self.kind == "text_vectorization":
            return Vectorization.of(document)
        return WordIndex.of(document, self.declared)

    @property
    def length(self) -> Length | None:
        """The tokens of every text, `longest` for those of the longest of a request; None if texts are not padded."""
        return self.input_length or self.declared.length or self.vocabulary.length

    @property
    def max_length(self) -> int | None:
        """The most tokens of a text; None for any number."""
        return self.length if isinstance(self.length, int) else self.vocabulary.max_length

    @property
    def padding(self) -> Side:
        """Where short texts are padded."""
        return self.declared.padding or self.vocabulary.padding[0]

    @property
    def padding_id(self) -> int:
        """The id of padding."""
        declared = self.declared.padding_id
        return self.vocabulary.padding[1] if declared is None else declared

    def stand_in(self, wanted: StandIn | None) -> int | None:
        """The id of a token that can stand in the place of any other; None if the vocabulary has no such token.

        Args:
            wanted: which; None for the first that there is of `mask`, `unknown` and `padding`.
        """
        ids: Mapping[StandIn, int] = {**self.vocabulary.stand_ins, "padding": self.padding_id}
        order: Sequence[StandIn] = get_args(StandIn) if wanted is None else [wanted]
        return next((ids[each] for each in order if each in ids), None)

    def is_padding(self, token: Token) -> bool:
        """Whether a token is no part of a text, but fills it up."""
        return token.id == self.padding_id and token.start is None

    @property
    def truncation(self) -> Side | None:
        """Where long texts are cut; None if they are refused."""
        declared = self.declared.truncation
        if declared is not None:
            return None if declared == "none" else declared
        return self.vocabulary.truncation

    def require_usable(self) -> None:
        """Split a text, so that a file that cannot do that is refused with its model.

        Raises:
            ModelRefused: it cannot.
        """
        declared, fixed = self.declared.length, self.input_length
        if fixed and declared not in {None, fixed}:
            raise ModelRefused(
                f"The tokenizer is declared with length {declared}, and the model takes {fixed} tokens.",
                field="tokenizer.length",
            )
        if self.kind != "word_index" and self.declared.of_words:
            name = next(iter(self.declared.of_words))
            raise ModelRefused(
                f"{name} is for ids by word: the file of the tokenizer has its own rules.",
                field=f"tokenizer.{name}",
            )
        try:
            self.vocabulary.tokens("A text, to try it.")
            if self.max_length is not None and self.truncation is not None:
                self.vocabulary.cut("A text, to try it.", self.max_length, self.truncation)
        except TextUnreadable as error:
            raise ModelRefused(error.message, field="tokenizer.file") from error

    def tokenize(self, texts: Sequence[Text], limits: Limits) -> list[TokenizedText]:
        """The texts of one request as the model takes them.

        Args:
            texts: texts, or ids of tokens.
            limits: `text_bytes` and `text_tokens` bound all of them together.

        Raises:
            TextTooLong: they are longer than a request may have, or one is longer than the model takes.
            InputMismatch: an id is not in the vocabulary, or texts of different length are not padded.
        """
        require_short(sum(len(text.encode()) for text in texts if isinstance(text, str)), limits)
        split = [self._split(text, number) for number, text in enumerate(texts)]
        lengths = [len(tokens) for tokens, _ in split]
        length = max(lengths) if self.length == "longest" else self.length
        if length is None and len(set(lengths)) > 1:
            raise InputMismatch(
                "The texts have different numbers of tokens, and the model declares no padding: send them one by one, or"
                ' declare "length" in its tokenizer.',
                tokens=lengths,
            )
        total = sum(lengths) if length is None else length * len(split)
        if total > limits.text_tokens:
            raise _too_long(f"The texts have {total:,} tokens with padding", total, limits.text_tokens)
        return [self._padded(tokens, length, left_out) for tokens, left_out in split]

    def _split(self, text: Text, number: int) -> tuple[list[Token], int]:
        """The tokens of a text, cut to the most that it may have, and how many were cut off."""
        tokens = self.vocabulary.tokens(text) if isinstance(text, str) else self._tokens_of(text)
        if not tokens and self.length is None:
            raise InputMismatch(
                f"Text {number} has no tokens, and the model takes at least one.", text=number
            )
        most, side = self.max_length, self.truncation
        if most is None or len(tokens) <= most:
            return tokens, 0
        if side is None or not isinstance(text, str):
            raise _too_long(f"Text {number} has {len(tokens):,} tokens", len(tokens), most)
        return self.vocabulary.cut(text, most, side), len(tokens) - most

    def _tokens_of(self, ids: Sequence[int]) -> list[Token]:
        found = [(number, self._entry(number)) for number in ids]
        unknown = next((number for number, entry in found if entry is None), None)
        if unknown is not None:
            raise InputMismatch(
                f"The vocabulary of the model has no token {unknown}: its ids are below {self.vocabulary.size}.",
                token=unknown,
            )
        return [Token(entry or "", number) for number, entry in found]

    def _entry(self, number: int) -> str | None:
        entry = self.vocabulary.text_of(number)
        return "" if entry is None and number == self.padding_id else entry

    def _padded(self, tokens: list[Token], length: int | None, left_out: int) -> TokenizedText:
        missing = 0 if length is None else length - len(tokens)
        fill = [Token(self._entry(self.padding_id) or "", self.padding_id)] * missing
        is_before = self.padding == "pre"
        every = [*fill, *tokens] if is_before else [*tokens, *fill]
        mask = np.ones(len(every), np.int64)
        mask[: missing if is_before else 0] = 0
        mask[len(every) if is_before else len(tokens) :] = 0
        values: Mapping[Role, Array] = {
            "ids": np.array([each.id for each in every], np.int64),
            "mask": mask,
            "segments": np.zeros(len(every), np.int64),
        }
        return TokenizedText(
            tuple(every), {name: values[role] for name, role in self.roles.items()}, left_out
        )


def kind_of(document: Any) -> Kind:
    """What the file of a tokenizer is, by its content.

    Raises:
        ModelRefused: it is none.
    """
    if isinstance(document, dict):
        if is_keras_tokenizer(document) or not isinstance(document.get("model"), dict):
            return "word_index"
        return "tokenizers"
    raise ModelRefused(
        "The file of the tokenizer must be a JSON object: of the package tokenizers, of Keras 2's Tokenizer, or of ids by"
        " word.",
        field="tokenizer.file",
    )


def _too_long(what: str, tokens: int, limit: int) -> TextTooLong:
    return TextTooLong(
        f"{what}; at most {limit:,} are taken",
        ways=("send shorter texts", "declare in the tokenizer where long texts are cut (truncation)"),
        tokens=tokens,
        limit=limit,
    )
