"""Ids by word, as Keras 2 kept them: `Tokenizer.to_json()`, or a plain JSON object such as `imdb_word_index.json`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from layerscope.errors import ModelRefused
from layerscope.text.declaration import Side, TokenizerDeclaration
from layerscope.text.token import Token
from layerscope.text.vocabulary import Cutting, StandIn, words_between

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""The characters that Keras leaves out by default."""

_UNKNOWN, _START = "[UNK]", "[START]"


@dataclass(frozen=True)
class WordIndex(Cutting):
    """Splits texts as `keras.preprocessing.text.Tokenizer` did; padding and truncation are by default as in `pad_sequences`.

    Attributes:
        ids: the id of each word.
        lower: whether words are looked up in lower case.
        filters: the characters that separate words besides `split`.
        split: the character that separates words.
        char_level: whether every character is a token.
        num_words: ids from this one on count as unknown; None for no bound.
        start_id: the id that every text begins with; None for none.
        oov_id: the id of unknown words; None if they are left out.
    """

    ids: Mapping[str, int]
    lower: bool = True
    filters: str = _FILTERS
    split: str = " "
    char_level: bool = False
    num_words: int | None = None
    start_id: int | None = None
    oov_id: int | None = None
    padding: tuple[Side, int] = ("pre", 0)
    truncation: Side | None = "pre"
    length: int | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any], declared: TokenizerDeclaration) -> "WordIndex":
        """Read the file of a word index.

        Raises:
            ModelRefused: it is not what Keras wrote, or the declaration does not fit it.
        """
        fields: dict[str, Any] = declared.of_words
        shift = fields.pop("index_from", 0)
        if is_keras_tokenizer(document):
            document, own = _keras_fields(document["config"])
            fields = {**own, **fields}
        ids = {str(word): number + shift for word, number in document.items() if _is_id(number)}
        if len(ids) != len(document) or not ids:
            raise ModelRefused(
                'A word index must be a JSON object of ids by word, such as {"the": 1, "film": 2}.',
                field="tokenizer",
            )
        return cls(ids, **fields)

    @cached_property
    def size(self) -> int:
        """One more than the highest id."""
        known = max(self.ids.values()) + 1
        bounded = known if self.num_words is None else min(known, self.num_words)
        return max(bounded, *((each or 0) + 1 for each in (self.start_id, self.oov_id)))

    @property
    def stand_ins(self) -> Mapping[StandIn, int]:
        """The id of unknown words, if they have one."""
        return {} if self.oov_id is None else {"unknown": self.oov_id}

    def tokens(self, text: str) -> list[Token]:
        """All tokens of a text: the known words, and the others if they have an id."""
        lowered = text.lower() if self.lower else text
        places = _places(text) if len(lowered) != len(text) else range(len(text) + 1)
        found = (
            [] if self.start_id is None else [Token(self._words.get(self.start_id, _START), self.start_id)]
        )
        for start, end in self._spans(lowered):
            known = self._known(lowered[start:end])
            if known is not None:
                found.append(Token(*known, places[start], places[end - 1] + 1))
        return found

    def text_of(self, token_id: int) -> str | None:
        """The word with an id."""
        special = {self.padding[1]: "", self.start_id: _START, self.oov_id: _UNKNOWN}
        return self._words.get(token_id, special.get(token_id))

    @cached_property
    def _words(self) -> dict[int, str]:
        return {number: word for word, number in self.ids.items()}

    def _spans(self, text: str) -> Any:
        if self.char_level:
            return ((place, place + 1) for place in range(len(text)))
        return words_between(text, frozenset({*self.filters, self.split}))

    def _known(self, word: str) -> tuple[str, int] | None:
        number = self.ids.get(word)
        if number is not None and (self.num_words is None or number < self.num_words):
            return word, number
        return None if self.oov_id is None else (self._words.get(self.oov_id, _UNKNOWN), self.oov_id)


def is_keras_tokenizer(document: Mapping[str, Any]) -> bool:
    """Whether a document is a `Tokenizer` of Keras 2 as JSON."""
    return document.get("class_name") == "Tokenizer" and isinstance(document.get("config"), dict)


def _keras_fields(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ids and the fields of a `Tokenizer` of Keras 2, which wrote some of them as JSON in JSON."""
    try:
        ids = config["word_index"]
        ids = json.loads(ids) if isinstance(ids, str) else ids
        oov = config.get("oov_token")
        split = config.get("split", " ")
        fields = {
            "num_words": config.get("num_words"),
            "filters": config.get("filters", _FILTERS),
            "lower": config.get("lower", True),
            "char_level": config.get("char_level", False),
            "split": split,
            "oov_id": None if oov is None else ids[oov],
        }
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelRefused(
            "The file of the tokenizer is not as Keras 2 wrote it: save it with Tokenizer.to_json().",
            field="tokenizer",
        ) from error
    if not isinstance(ids, dict) or not isinstance(split, str) or len(split) != 1:
        raise ModelRefused(
            "The Tokenizer of Keras 2 must have a word_index, and split at one character.", field="tokenizer"
        )
    return ids, fields


def _is_id(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**31


def _places(text: str) -> list[int]:
    """Where each character of a text in lower case comes from: some become several."""
    places = [place for place, character in enumerate(text) for _ in character.lower()]
    return [*places, len(text)]
