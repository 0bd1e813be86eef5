"""The declaration beside a model, `layerscope.json`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from layerscope.errors import LayerscopeError, ModelRefused
from layerscope.images import Preprocessing
from layerscope.models.regular_files import NotRegular, read_record
from layerscope.text import TokenizerDeclaration

FILE_NAME = "layerscope.json"

_OF_OPERATORS = ("plugins", "trust_code", "architecture", "weights", "options", "tokenizer")

Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,63}$")]
"""Begins with a letter, because a number after `@` is a version."""

Size = Annotated[int, Field(ge=1)]


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice")
    return names


FeatureName = Annotated[str, Field(min_length=1, max_length=256)]
FeatureNames = Annotated[tuple[FeatureName, ...], AfterValidator(_distinct)]
"""Of the numbers of a vector, in their order."""


class Manifest(BaseModel):
    """A model's declaration. Every field may be left out.

    Attributes:
        preprocessing: how images become inputs, the same for every image input.
        inputs: preprocessing by input name, for models whose inputs differ.
        shapes: the shape of an input without its batch axis, by input name, where the model leaves sizes open that its code
            needs, such as the number of steps that it loops over, or does not know its inputs.
        signature: the signature of a SavedModel that is served.
        optional_inputs: the inputs that the model calls optional and that requests give. The others are left out.
        features: names of the numbers of an input that is a vector, by input name.
        classes: names of the classes, in the order of the output.
        labels: names that point at this version, such as `stable`.
        plugins: Python files beside the model that define its custom classes.
        trust_code: whether to run the code that a model file itself holds, in its Lambda layers.
        warm_up: choices of layers to compile a plan for when the model is loaded, so that the first request for
            them does not wait. Each is written as a request has it, such as `conv1` or `conv1,outputs`; see
            `layerscope.graph.taps.selectors`.
        architecture: a name in `keras.applications`, in place of a model file.
        weights: those of the architecture: `random`, or the name of an .h5 file beside the declaration.
        options: further arguments of the architecture, such as `input_shape` and `classes`.
        tokenizer: how text becomes the inputs, see `layerscope.text.TokenizerDeclaration`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preprocessing: dict[str, Any] | None = None
    inputs: dict[str, dict[str, Any]] = {}
    shapes: dict[str, tuple[Size | None, ...]] = {}
    signature: str | None = None
    optional_inputs: tuple[str, ...] = ()
    features: dict[str, FeatureNames] = {}
    classes: tuple[str, ...] | None = None
    labels: tuple[Label, ...] = ()
    plugins: tuple[str, ...] = ()
    trust_code: bool = False
    warm_up: tuple[str, ...] = ()
    architecture: str | None = None
    weights: str | None = None
    options: dict[str, Any] = {}
    tokenizer: TokenizerDeclaration | None = None

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the declaration in `folder`; without a file, everything is left out.

        Raises:
            ModelRefused: the file is not JSON, or a field is unknown or wrong.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            return cls()
        try:
            return cls.parse(read_record(path, follow=True).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ModelRefused(f"{FILE_NAME} is not valid JSON in UTF-8.") from error
        except NotRegular as error:
            raise ModelRefused(
                f"{FILE_NAME} is no regular file, or longer than a declaration may be."
            ) from error

    @classmethod
    def parse(cls, text: str) -> "Manifest":
        """Read a declaration.

        Raises:
            ModelRefused: it is not JSON, or a field is unknown or wrong.
        """
        try:
            # The reader of pydantic refuses half a surrogate pair, which no answer could carry.
            return cls.model_validate(from_json(text))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ModelRefused(f"{FILE_NAME} is wrong at {field}: {first['msg']}.", field=field) from error
        except ValueError as error:
            raise ModelRefused(f"{FILE_NAME} is not valid JSON in UTF-8.") from error

    @classmethod
    def of_untrusted(cls, text: str) -> "Manifest":
        """Read the declaration of an uploaded model. It may hold data only: no names of files, and no code.

        Raises:
            ModelRefused: it is not JSON, a field is unknown or wrong, or names files or code.
        """
        declared = cls.parse(text)
        for field in _OF_OPERATORS:
            if getattr(declared, field):
                raise ModelRefused(
                    f"Only an operator can declare {field}: leave it out, or have the model put into the model directory.",
                    field=field,
                )
        return declared

    def require_inputs(self, names: Sequence[str]) -> None:
        """Check the names of the inputs that are declared.

        Raises:
            ModelRefused: the model has no such input.
        """
        declared: Mapping[str, Mapping[str, object]] = {"inputs": self.inputs, "features": self.features}
        for field, of_inputs in declared.items():
            unknown = sorted(set(of_inputs) - set(names))
            if unknown:
                raise ModelRefused(
                    f"{FILE_NAME} declares input {unknown[0]!r}; the model has {', '.join(names)}.",
                    field=field,
                )

    def preprocessing_of(self, input_name: str) -> Mapping[str, Any] | None:
        """The declaration for one input, None where nothing was declared.

        Raises:
            ModelRefused: the declaration has an unknown or wrong field.
        """
        declaration = self.inputs.get(input_name, self.preprocessing)
        if declaration is not None:
            try:
                Preprocessing.declared(declaration)
            except LayerscopeError as error:
                raise ModelRefused(f"{FILE_NAME}: {error.message}", **error.details) from error
        return declaration

    def layout_of(self, input_name: str) -> str | None:
        """The layout that is declared for an input, None where none was declared."""
        declared = (self.preprocessing_of(input_name) or {}).get("layout")
        return None if declared is None else str(declared)
