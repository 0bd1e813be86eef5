"""The options of attributions: the options of the answer and those of the method in one model."""

from copy import copy
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from layerscope.attribution import METHODS, Method, MethodOptions
from layerscope_api.schemas.option_types import Slices
from layerscope_api.schemas.options import FormatOptions, ImageOptions
from layerscope_api.schemas.picture_options import BackgroundOptions

Kind = TypeVar("Kind", bound=ImageOptions)


class HeatMapOptions(FormatOptions):
    """The options of heat maps as tensors."""

    values: bool = Field(default=True, description="whether JSON carries the values")


class HeatPictureOptions(BackgroundOptions):
    """The options of a heat map over the input."""

    slice: Slices | None = Field(
        default=None,
        description="`0,3,5-8` or `all`: the slices of a volume, or the frames of a film, that are drawn; left out, up to 16",
    )


@cache
def options_of(method: Method, answer: type[Kind]) -> type[Kind]:
    """The options of an answer joined with those of a method."""
    name = f"{answer.__name__} of {method.name}"
    bases: tuple[type[Any], ...] = (answer, method.options)
    return cast("type[Kind]", create_model(name, __base__=bases))


@cache
def options_of_all(answer: type[Kind]) -> type[Kind]:
    """The options of an answer joined with those of all methods, for the documentation. Each says which methods have it."""
    fields: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in _by_name().items()
        if name not in answer.model_fields
    }
    made: type[Kind] = create_model(answer.__name__, __base__=answer, **fields)
    return made


def method_options(method: Method, given: ImageOptions) -> MethodOptions:
    """The options of the method among all options of a request."""
    return method.options(**{name: getattr(given, name) for name in method.options.model_fields})


def _by_name() -> dict[str, FieldInfo]:
    takers: dict[str, list[tuple[str, FieldInfo]]] = {}
    for method in METHODS.values():
        for name, field in method.options.model_fields.items():
            takers.setdefault(name, []).append((method.name, field))
    return {name: _documented(each) for name, each in takers.items()}


def _documented(takers: list[tuple[str, FieldInfo]]) -> FieldInfo:
    """An option of several methods. Where its meaning differs, the description has each meaning with its methods."""
    meanings: dict[str, list[str]] = {}
    for method, field in takers:
        meanings.setdefault(field.description or "", []).append(method)
    documented = copy(takers[0][1])
    documented.description = "; ".join(
        meaning if len(methods) > 2 else f"{meaning} ({', '.join(methods)})"
        for meaning, methods in meanings.items()
    )
    return documented
