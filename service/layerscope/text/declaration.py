"""The declaration of a tokenizer in `layerscope.json`."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Side = Literal["pre", "post"]
"""An end of a sequence: its beginning or its end."""

Role = Literal["ids", "mask", "segments"]
"""What an input takes: the ids of the tokens; 1 for tokens and 0 for padding; or the number of the segment of each token."""

Length = Annotated[int, Field(ge=1, le=1_000_000)] | Literal["longest"]
"""The tokens of every text, padding included, or `longest` for those of the longest text of a request."""

Id = Annotated[int, Field(ge=0, le=2**31 - 1)]


class TokenizerDeclaration(BaseModel):
    """How text becomes the inputs of a model. What is left out is as the file of the tokenizer has it.

    Attributes:
        file: the file beside the declaration: of the package `tokenizers`, a `Tokenizer` of Keras 2 as JSON, or an object of ids
            by word. Left out for a model that has its vocabulary itself.
        inputs: what each input takes, by its name; left out where their names tell.
        length: of every text. Left out, it is that of the model's input; if that is free too, texts are not padded.
        padding: where short texts are padded.
        truncation: where long texts are cut; `none` refuses them.
        padding_id: the id of padding.
        lower: whether words are looked up in lower case. This and the following are for ids by word.
        filters: the characters that separate words besides the space.
        num_words: ids from this one on count as unknown.
        index_from: what is added to the ids of the file.
        start_id: the id that every text begins with.
        oov_id: the id of unknown words, which are left out otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str | None = None
    inputs: dict[str, Role] = {}
    length: Length | None = None
    padding: Side | None = None
    truncation: Side | Literal["none"] | None = None
    padding_id: Id | None = None
    lower: bool | None = None
    filters: str | None = None
    num_words: Annotated[int, Field(ge=1)] | None = None
    index_from: Id | None = None
    start_id: Id | None = None
    oov_id: Id | None = None

    @property
    def of_words(self) -> dict[str, object]:
        """The given fields that only ids by word have."""
        names = {"lower", "filters", "num_words", "index_from", "start_id", "oov_id"}
        return self.model_dump(include=names, exclude_none=True)
