"""A comparison of two models as data: what to compare, and the result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from layerscope.comparison import Similarity, Status, Tolerance
from layerscope.execution.inputs import Sources
from layerscope.graph.model import ModelDescription
from layerscope.interventions import EditOptions
from layerscope.tensors.timing import Timing
from layerscope.text import Token

Match = Literal["address", "rules", "best", "matrix"]
"""How layers are paired: by equal address; by rules that rename; by the best alignment of their CKA; or all with all."""

Measure = Literal["relative_l2", "max", "cosine", "sqnr_db", "cka", "rsa"]

MEASURES: tuple[Measure, ...] = ("relative_l2", "max", "cosine", "sqnr_db", "cka", "rsa")


@dataclass(frozen=True, kw_only=True)
class ComparisonQuery:
    """Two models that are compared on the same images, each with its own preprocessing.

    Attributes:
        reference: the trusted model, `name`, `name@version` or `name@label`.
        candidate: the other one, or a `.tflite` file beside one, `name@version/file.tflite`.
        sources: images or tensors by input name; both models get all of them.
        layers: selectors of the reference's layers; of both models' layers for `best` and `matrix`.
        measures: what is computed.
        match: how layers are paired.
        rules: of `match="rules"`, see `layerscope.comparison.Rule`.
        features: what CKA and RSA compare: the `mean` of each channel over its places, or all values (`flat`).
        tolerance: what is no drift.
        edits: what is changed inside the candidate.
        patches: the images whose values edits put in place of others, by the id that they name.
        seed: of the random numbers that models draw.
        timeout: the seconds that the caller gives it, if they are fewer than the limits allow.
    """

    reference: str
    candidate: str
    sources: Sources
    layers: Sequence[str] = ("all",)
    measures: Sequence[Measure] = ("relative_l2", "max", "cosine", "cka")
    match: Match = "address"
    rules: Sequence[str] = ()
    features: Literal["mean", "flat"] = "mean"
    tolerance: Tolerance = field(default_factory=Tolerance)
    edits: Sequence[EditOptions] = ()
    patches: Mapping[str, Sources] = field(default_factory=dict)
    seed: int = 0
    timeout: float | None = None


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """Two layers, compared. None stands for what was not asked for or does not exist.

    Attributes:
        reference: the address of the reference's layer.
        candidate: that of the candidate's.
        relative_l2: norm of the difference by norm of the reference; infinite if only the reference is zero.
        largest: the largest absolute difference.
        cosine: the mean over images of the cosine between both.
        sqnr_db: the signal to quantisation noise ratio in decibels.
        cka: the unbiased linear CKA.
        rsa: the rank correlation of the dissimilarities of all pairs of images.
        silent: channels that are zero for all images, in each model.
        noise_floor: the relative L2 of the reference against itself in batches of another size.
        status: what became of the layer.
        reason: why values cannot be compared place by place.
    """

    reference: str
    candidate: str
    relative_l2: float | None = None
    largest: float | None = None
    cosine: float | None = None
    sqnr_db: float | None = None
    cka: Similarity | None = None
    rsa: float | None = None
    silent: tuple[int, int] | None = None
    noise_floor: float = 0.0
    status: Status | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Flip:
    """An image whose most likely class changed."""

    image: str
    reference: int
    candidate: int


@dataclass(frozen=True)
class Agreement:
    """How often both models predict the same, for one output with classes.

    Attributes:
        output: the name of the output in the reference.
        argmax: the share of images with the same most likely class.
        top5: the share of images whose class in the reference is among the candidate's five most likely.
        flips: the images with another class.
    """

    output: str
    argmax: float
    top5: float
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class ImageChange:
    """The layer in which an image changed most, relative to its values there."""

    image: str
    layer: str
    relative_l2: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        reference: the trusted model.
        candidate: the other one; a `.tflite` file is described as the reference, with the name of the model that it stands
            beside, and a digest of its own.
        file: the name of the `.tflite` file, if the candidate is one.
        images: the names of the images.
        layers: each pair, in the reference's graph order.
        only_reference: the addresses of the reference's layers without a partner.
        only_candidate: those of the candidate's.
        fused: the addresses of the reference's layers that have no tensor of their own in a `.tflite` file, because the
            converter fused them into others. They are not compared.
        origins: where changes begin that rounding does not explain: nothing before them changed. Addresses of the reference.
        first: the first layer beyond the tolerance.
        agreement: of the predictions, one for each output with classes.
        worst_images: the images that changed most, largest first.
        matrix: the CKA of all pairs of layers, by rows of the reference; None where there is none. Only for `matrix`.
        rows: the reference's layers of the matrix.
        columns: the candidate's.
        noise_floor: the largest of all layers.
        verdict: the worst status of all layers, `drifted` also if layers have no partner or predictions disagree too often;
            None for `best` and `matrix`, which compare layers that need not mean the same.
        warnings: what to know of the figures.
        edits: those of the candidate, as texts.
        seed: of the random numbers that the models drew; None if both draw none.
        timings: where the time went.
        tokens: of each text in the reference, see `layerscope.tensors.activations.Activations`.
    """

    reference: ModelDescription
    candidate: ModelDescription
    images: tuple[str, ...]
    layers: tuple[LayerComparison, ...]
    file: str | None = None
    only_reference: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()
    fused: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    first: str | None = None
    agreement: tuple[Agreement, ...] = ()
    worst_images: tuple[ImageChange, ...] = ()
    matrix: tuple[tuple[float | None, ...], ...] | None = None
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    noise_floor: float = 0.0
    verdict: Status | None = None
    warnings: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    seed: int | None = None
    timings: Sequence[Timing] = ()
    tokens: tuple[tuple[Token, ...], ...] = ()

    @property
    def statuses(self) -> Mapping[str, Status]:
        """The status of each of the reference's layers that has one."""
        return {each.reference: each.status for each in self.layers if each.status is not None}
