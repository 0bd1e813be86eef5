"""The plan of a comparison: which layers are compared, and the memory that takes. Nothing runs."""

from collections.abc import Sequence
from functools import cached_property
from math import prod

from layerscope.comparison import Matching, Rule, by_rules
from layerscope.errors import AnswerTooLarge, LayerNotFound, OptionInvalid
from layerscope.execution.admission import refusal_of, require_workable
from layerscope.execution.candidate_edits import resolve_candidate_edits
from layerscope.execution.comparison_outputs import output_pairs
from layerscope.execution.comparison_query import ComparisonQuery
from layerscope.execution.inputs import Row, rows_of
from layerscope.execution.job_stream import MAX_PENDING
from layerscope.execution.lanes import total_seconds
from layerscope.execution.loading_memory import loading_bytes
from layerscope.execution.query_plan import Computation
from layerscope.graph.lite.model import LiteModel
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.selectors import require_few, split_selectors
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits

NOISE_IMAGES = 4
"""The images of the batch that the noise floor is measured with."""

_OVERHEAD = 2 * 1024 * 1024
"""Blocks in float64, and the figures."""


class ComparisonPlan:
    """What a comparison computes.

    Args:
        reference: the trusted model, which must stay leased.
        candidate: the other one, or a `.tflite` file.
        query: what to compare.
        limits: the bounds in force.

    Attributes:
        models: both.
        fused: the reference's layers that have no tensor of their own in a `.tflite` file.
        rows: the images of each model, with its own preprocessing.
        matching: the pairs that are compared place by place; empty for `best` and `matrix`.
        layers: the layers of each model whose features are compared all with all; empty for `address` and `rules`.
        outputs: the outputs whose predictions are compared.
        edits: what is changed inside the candidate; None for nothing.

    Raises:
        LayerNotFound, InvalidSelector: a selector selects nothing, or is none.
        InputMismatch: the images do not fit one of the models.
        OptionInvalid: a rule is none, no layer of the one has a partner in the other, or the candidate cannot be edited so.
    """

    def __init__(
        self,
        reference: LoadedModel,
        candidate: LoadedModel | LiteModel,
        query: ComparisonQuery,
        limits: Limits,
    ) -> None:
        self.models = (reference, candidate)
        self.query = query
        self._limits = limits
        self.rows: tuple[list[Row], ...] = tuple(
            rows_of(model.description, query.sources, limits) for model in self.models
        )
        self.is_all_pairs = query.match in {"best", "matrix"}
        # With names that differ, selectors are those of the reference; its layers have partners by name.
        selected = [
            _selected(reference, query, limits, is_lenient=False),
            _selected(candidate, query, limits, is_lenient=not self.is_all_pairs),
        ]
        self.fused: tuple[str, ...] = ()
        if isinstance(candidate, LiteModel):
            self.fused = tuple(tap.address for tap in selected[0] if not candidate.has(tap))
            selected = [[tap for tap in taps if candidate.has(tap)] for taps in selected]
            _require_any(selected[0], candidate)
        self.layers: tuple[list[Tap], ...] = ([], [])
        self.matching = Matching(())
        if self.is_all_pairs:
            self.layers = (selected[0], selected[1])
            self._require_few_pairs()
        else:
            self.matching = self._matching(selected[0], selected[1])
        self.outputs = output_pairs(reference.description, candidate.description)
        self.edits = resolve_candidate_edits(reference, candidate, query, self.fetched[1], limits)

    @cached_property
    def fetched(self) -> tuple[tuple[Tap, ...], tuple[Tap, ...]]:
        """The taps that are fetched of each model."""
        first, second = (
            tuple(
                dict.fromkeys(
                    [
                        *(pair[side] for pair in self.matching.pairs),
                        *self.layers[side],
                        *(output.taps[side] for output in self.outputs),
                    ]
                )
            )
            for side in (0, 1)
        )
        return first, second

    @cached_property
    def noise_rows(self) -> int:
        """How many images the noise floor is measured with: fewer if so many do not fit into one batch."""
        fitting = self._limits.batch_bytes // max(1, self.run_bytes(0))
        return 0 if self.is_all_pairs else max(2, min(NOISE_IMAGES, fitting))

    @cached_property
    def seconds(self) -> float | None:
        """An estimate of the time that all runs take; None where only a run can tell."""
        noise = 0 if self.is_all_pairs else NOISE_IMAGES
        one, other = (
            None
            if isinstance(model, LiteModel)
            else model.executable.inspection.run_seconds(self.fetched[side], self._largest_sizes(side))
            for side, model in enumerate(self.models)
        )
        return total_seconds((len(self.rows[0]) + noise, one), (len(self.rows[1]), other))

    def admitted_bytes(self) -> int:
        """The memory that the comparison takes.

        Raises:
            AnswerTooLarge: it is more than one request may take.
        """
        runs = [self.run_bytes(side) for side in (0, 1)]
        for needed in runs:
            if (refusal := refusal_of(Computation(0, needed), self._limits)) is not None:
                raise refusal
        loading = sum(max(loading_bytes([row], self._limits) for row in rows) for rows in self.rows)
        # As many images as may wait or run, and the one whose values are looked at. A file runs one image at a time.
        images = MAX_PENDING + 1
        waiting = (
            images * (runs[0] + loading) + (1 if isinstance(self.models[1], LiteModel) else images) * runs[1]
        )
        needed = waiting + self.noise_rows * runs[0] + self._kept_bytes()
        if self.edits is not None:
            needed += self.edits.nbytes(self._largest_sizes(1), self._limits)
        require_workable(needed + _OVERHEAD, self._limits)
        return needed + _OVERHEAD

    def run_bytes(self, side: int) -> int:
        """The memory of a run of one image by the reference, 0, or by the candidate, 1."""
        model, taps, sizes = self.models[side], self.fetched[side], self._largest_sizes(side)
        if isinstance(model, LiteModel):
            return model.run_bytes(taps, sizes)
        return model.executable.inspection.peak_bytes(taps, sizes)

    def _largest_sizes(self, side: int) -> list[Shape]:
        """The shapes of the inputs of the largest image."""
        shapes: list[list[Shape]] = [[item.shape(self._limits) for item in row] for row in self.rows[side]]
        return max(shapes, key=lambda sizes: sum(prod(size or 1 for size in sides) for sides in sizes))

    def _kept_bytes(self) -> int:
        """The memory of the features and of the matrices made of them."""
        if not {"cka", "rsa"} & set(self.query.measures) and not self.is_all_pairs:
            return 0
        images = len(self.rows[0])
        numbers = 0
        for taps in self.fetched:
            for tap in taps:
                sizes = [size or 1 for size in tap.shape]
                channels = 1 if tap.channel_axis is None else sizes[tap.channel_axis]
                numbers += prod(sizes) if self.query.features == "flat" else channels
        matrices = sum(map(len, self.layers)) * 2 if self.is_all_pairs else 8
        # A feature exists three times at most: kept, stacked and centred.
        return 8 * images * (3 * numbers + min(images, 512) * matrices)

    def _require_few_pairs(self) -> None:
        pairs = len(self.layers[0]) * len(self.layers[1])
        if pairs > self._limits.json_elements:
            raise AnswerTooLarge(
                f"{pairs:,} pairs of layers are more than {self._limits.json_elements:,}",
                ways=("select fewer layers (layers=)", "compare layers of the same name (match=address)"),
                elements=pairs,
                limit=self._limits.json_elements,
            )

    def _matching(self, references: Sequence[Tap], candidates: Sequence[Tap]) -> Matching:
        first, second = (model.description for model in self.models)
        inputs = dict(
            zip(
                *([tap.address for tap in each.taps.select(["input"])] for each in (first, second)),
                strict=False,
            )
        )
        rules = [Rule(text).partner for text in self.query.rules] if self.query.match == "rules" else []
        # Inputs that nobody named are called by a number of their own in each model.
        every = {tap.address: tap for tap in [*second.taps.outputs(), *candidates]}
        found = by_rules(
            [*rules, lambda address: address if address in every else inputs.get(address)],
            references,
            list(every.values()),
        )
        if not found.pairs:
            raise OptionInvalid(
                f"No layer of {first.name} has the name of one of {second.name}: rename them with rules=, or pair"
                " them with match=best.",
                option="match",
            )
        chosen = {tap.address for tap in candidates}
        alone = tuple(each for each in found.only_candidate if each in chosen)
        return Matching(found.pairs, found.only_reference, alone)


def _require_any(selected: Sequence[Tap], candidate: LiteModel) -> None:
    if not selected:
        raise OptionInvalid(
            f"None of these layers has a tensor of its own in {candidate.file}: the converter fused them into others. Compare"
            " all layers, and see which have.",
            option="layers",
        )


def _selected(
    model: LoadedModel | LiteModel, query: ComparisonQuery, limits: Limits, *, is_lenient: bool
) -> list[Tap]:
    """The layers with numbers that the selectors select.

    Args:
        model: the model.
        query: has the selectors.
        limits: the bounds in force.
        is_lenient: whether selectors may select nothing.
    """
    selectors = split_selectors(query.layers)
    require_few(selectors, limits)
    taps, found = model.description.taps, []
    for selector in selectors:
        try:
            found += taps.select([selector])
        except LayerNotFound:
            if not is_lenient:
                raise
    addresses = [tap.address for tap in found if tap.dtype.kind in "biuf"]
    return taps.select(addresses) if addresses else []
