"""Query plans: what a query would compute and how much memory that takes, known before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from layerscope.errors import AnswerTooLarge, LayerscopeError
from layerscope.execution.ablation_query import AblationPlan
from layerscope.graph.model import ModelDescription
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.tensors.spec import TensorSpec
from layerscope.text import Token


@dataclass(frozen=True)
class Computation:
    """The memory that computing a query takes, in bytes.

    Attributes:
        fetched: the values of the layers.
        intermediate: an estimate of the values that exist besides at the fullest moment of the run.
        attributions: the heat maps, and what making them takes besides the values of the layers.
        inputs: the images as tensors, and what decoding them takes.
    """

    fetched: int
    intermediate: int
    attributions: int = 0
    inputs: int = 0

    def working_bytes(self, answer_bytes: int) -> int:
        """The most memory that is in use at once, if making the answer takes `answer_bytes` besides the values.

        A batch is taken apart for the cache and put together again, so for a moment its values are there twice.
        """
        return (
            self.inputs
            + self.fetched
            + max(self.intermediate, self.fetched, self.attributions + answer_bytes)
        )


@dataclass(frozen=True)
class LayerPlan:
    """A tap and the shape of its values, batch axis first.

    None stands for a size that only a run can tell, as behind a loop of unknown length.
    """

    tap: Tap
    shape: Shape

    @cached_property
    def spec(self) -> TensorSpec | None:
        """The shape and dtype of the values; None if part of the shape is not known."""
        sizes = [size for size in self.shape if size is not None]
        return TensorSpec.of(self.tap, tuple(sizes)) if len(sizes) == len(self.shape) else None


@dataclass(frozen=True, kw_only=True)
class QueryPlan:
    """What a query would compute. Plain data: it can be sent to another process and compared.

    Attributes:
        model: the exact version that would compute it, with its digest.
        images: the number of images.
        layers: the layers that are asked for, and those that attributions are made of.
        seconds: an estimate of the time that all its runs take; None where only a run can tell.
        computation: the memory that it would take; None where only a run can tell.
        refusal: why it may not be computed; None if it may, or if only a run can tell.
        pictured: for each layer and heat map, by address, the input with the image that it was computed from: the first, if
            there are several. Layers that are computed from no image are left out.
        maps: the shape of the heat maps of each attribution, by name of the method.
        refused_methods: why there is no attribution, where the model cannot have one, by name of the method.
        ablation: the layers and units of the sweep; None without one.
        tokens: of each text, as the answer has them; nothing if the images are no texts.
        warnings: those of the answer.
    """

    model: ModelDescription
    images: int
    layers: tuple[LayerPlan, ...]
    seconds: float | None
    computation: Computation | None
    refusal: AnswerTooLarge | None
    pictured: Mapping[str, str] = field(default_factory=dict)
    maps: Mapping[str, TensorSpec] = field(default_factory=dict)
    refused_methods: Mapping[str, LayerscopeError] = field(default_factory=dict)
    ablation: AblationPlan | None = None
    tokens: tuple[tuple[Token, ...], ...] = ()
    warnings: tuple[str, ...] = ()

    @cached_property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The shape and dtype of the values of each layer whose shape is known."""
        return tuple(spec for layer in self.layers if (spec := layer.spec) is not None)

    def require_computable(self) -> None:
        """Check that the query may be computed.

        Raises:
            AnswerTooLarge: it may not.
        """
        if self.refusal is not None:
            raise self.refusal

    def map_of(self, method: str) -> TensorSpec:
        """The shape of the heat maps of an attribution, (images, *places).

        Raises:
            LayerscopeError: the model cannot have it.
        """
        if method in self.refused_methods:
            raise self.refused_methods[method]
        return self.maps[method]
