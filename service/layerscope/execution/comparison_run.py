"""The run of a comparison: two models on the same images, image by image, of which only sums and features are kept."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from layerscope.comparison import FEWEST_IMAGES, Matching, Status, align, cka_matrix, origins, verdict_of
from layerscope.comparison.status import is_rounding
from layerscope.errors import InputMismatch
from layerscope.execution.ablation_query import Partial
from layerscope.execution.batches import Outcome
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.comparison_jobs import ComparisonJobs
from layerscope.execution.comparison_layers import Features, LayerPair, similarities
from layerscope.execution.comparison_plan import ComparisonPlan
from layerscope.execution.comparison_query import Agreement, Comparison, ImageChange, LayerComparison
from layerscope.execution.inputs import stack
from layerscope.execution.items import cut_warnings, tokens_of
from layerscope.execution.job_stream import JobStream, RunBudget
from layerscope.execution.lanes import Lane, Lanes
from layerscope.execution.lite_runs import LiteRuns
from layerscope.execution.progress import Progress
from layerscope.execution.working_memory import MEMORY_WAIT, Account, WorkingMemory
from layerscope.graph.lite.model import LiteModel
from layerscope.graph.taps.tap import Tap
from layerscope.limits import Limits
from layerscope.tensors.timing import Stopwatch

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[Tap, Array]

_FEW_IMAGES = 16
_WORST = 5


class ComparisonRun:
    """A comparison whose models are leased.

    Args:
        plan: what is compared.
        limits: the bounds in force.
        lanes: where jobs run.
        memory: what all requests share.
    """

    def __init__(self, plan: ComparisonPlan, limits: Limits, lanes: Lanes, memory: WorkingMemory) -> None:
        self.plan = plan
        self._limits = limits
        self._lanes = lanes
        self._memory = memory
        query, outputs = plan.query, {tap for _, tap in plan.models[0].description.outputs}
        seconds = limits.attribution_milliseconds / 1000
        self._deadline = time.monotonic() + (
            seconds if query.timeout is None else min(seconds, query.timeout)
        )
        self._pairs = [
            LayerPair(one, other, query, is_output=one in outputs) for one, other in plan.matching.pairs
        ]
        self._features = [
            [Features(tap, is_flat=query.features == "flat") for tap in taps] for taps in plan.layers
        ]
        self._stopwatch = Stopwatch()

    @property
    def is_long(self) -> bool:
        """See `layerscope.execution.interface.Prepared`."""
        return self._lanes.is_long(self.plan.seconds)

    @contextmanager
    def run(
        self,
        answer_bytes: int = 0,
        *,
        cancellation: CancellationToken | None = None,
        progress: Progress | None = None,
        partial: Partial | None = None,  # noqa: ARG002 - a comparison has none
        account: Account | None = None,
    ) -> Iterator[Comparison]:
        """Compare: see `layerscope.execution.interface.Prepared`."""
        owner = account.owner if account else None
        lane = self._lanes.lane(self.plan.seconds, cancellation, owner)
        patience = MEMORY_WAIT * max(0.0, self._deadline - time.monotonic())
        needed = self.plan.admitted_bytes() + answer_bytes
        with self._memory.reserved(needed, patience, owner):
            self._compare(lane, progress)
            yield self._result()

    def _compare(self, lane: Lane, progress: Progress | None) -> None:
        once = JobStream(self._budget(lane, None))
        jobs = ComparisonJobs(self.plan, self._limits, self._deadline, lane, once, self._stopwatch)
        noise = self._together(jobs, once)
        # Each model has as many jobs in the queue as there are threads. Only one of them reports the progress.
        with (
            closing(self._outcomes(0, jobs, lane, None)) as first,
            closing(self._outcomes(1, jobs, lane, progress)) as second,
        ):
            for number, outcomes in enumerate(zip(first, second, strict=True)):
                for outcome in outcomes:
                    for moment in outcome.moments:
                        self._stopwatch.add(*moment)
                values = [
                    {tap: array[0] for tap, array in zip(taps, outcome.arrays, strict=True)}
                    for taps, outcome in zip(self.plan.fetched, outcomes, strict=True)
                ]
                with self._stopwatch.timed("compare"):
                    self._add(values[0], values[1], noise.pop(number, {}))

    def _outcomes(
        self, side: int, jobs: ComparisonJobs, lane: Lane, progress: Progress | None
    ) -> Generator[Outcome, None, None]:
        """The values of each image in one of the models."""
        model, images = self.plan.models[side], self.plan.rows[side]
        if isinstance(model, LiteModel):
            runs = LiteRuns(model, self.plan.fetched[side], self.plan.run_bytes(side), self._deadline)
            return runs.outcomes(
                len(images), lambda row: stack([jobs.load(images[row])]), lane.cancellation, progress
            )
        stream = JobStream(self._budget(lane, progress))
        return stream.outcomes(len(images), lambda rows: jobs.image(model, side, rows.start))

    def _add(self, reference: Values, candidate: Values, together: Values) -> None:
        """Add one image: its values in both models, and those of the reference in a batch of another size."""
        for pair in self._pairs:
            pair.add(reference[pair.reference], candidate[pair.candidate])
            if together:
                pair.add_noise(reference[pair.reference], together[pair.reference])
        for output in self.plan.outputs:
            output.add(reference[output.taps[0]], candidate[output.taps[1]])
        for taps, features, values in zip(
            self.plan.layers, self._features, (reference, candidate), strict=True
        ):
            for tap, each in zip(taps, features, strict=True):
                each.add(values[tap])

    def _budget(self, lane: Lane, progress: Progress | None) -> RunBudget:
        return RunBudget(
            batch_rows=1,
            deadline=self._deadline,
            lane=lane,
            total=len(self.plan.rows[0]),
            progress=progress,
        )

    def _together(self, jobs: ComparisonJobs, stream: JobStream) -> dict[int, Values]:
        """The reference's values of the first images, by their numbers, computed in one batch, to measure the noise floor.

        A model that takes no batches has no such noise.
        """
        rows = self.plan.rows[0][: self.plan.noise_rows]
        shapes = [[item.shape(self._limits) for item in row] for row in rows]
        alike = [number for number, each in enumerate(shapes) if each == shapes[0]]
        if not alike:
            return {}
        try:
            outcome = stream.run(jobs.together(alike))
        except InputMismatch:
            return {}
        arrays = dict(zip(self.plan.fetched[0], outcome.arrays, strict=True))
        return {
            number: {tap: array[row] for tap, array in arrays.items()} for row, number in enumerate(alike)
        }

    def _result(self) -> Comparison:
        plan = self.plan
        reference, candidate = (model.description for model in plan.models)
        other = plan.models[1]
        images = tuple(item.id for row in plan.rows[0] for item in row[:1])
        layers = tuple(pair.result() for pair in self._pairs)
        agreement = tuple(output.agreement(images) for output in plan.outputs)
        found = Comparison(
            reference=reference,
            candidate=candidate,
            images=images,
            layers=layers,
            file=other.file if isinstance(other, LiteModel) else None,
            only_reference=plan.matching.only_reference,
            only_candidate=plan.matching.only_candidate,
            fused=plan.fused,
            origins=self._origins(layers),
            first=next((each.reference for each in layers if each.status == "drifted"), None),
            agreement=agreement,
            worst_images=self._worst(images),
            noise_floor=max((each.noise_floor for each in layers), default=0.0),
            verdict=_verdict(layers, plan.matching, agreement, plan.query.tolerance.agreement),
            warnings=self._warnings(len(images)),
            edits=() if plan.edits is None else plan.edits.query.texts,
            seed=plan.query.seed if reference.samples or candidate.samples else None,
            timings=self._stopwatch.timings,
            tokens=tokens_of(plan.rows[0]),
        )
        return found if not plan.is_all_pairs else _all_pairs(found, plan, self._features)

    def _origins(self, layers: tuple[LayerComparison, ...]) -> tuple[str, ...]:
        taps = self.plan.models[0].description.taps
        every = {tap.address: tap for tap in taps.outputs()}
        every |= {pair.reference.address: pair.reference for pair in self._pairs}
        changed = [
            pair.reference.address
            for pair, layer in zip(self._pairs, layers, strict=True)
            if layer.status not in {"same", "rounding"}
        ]
        return tuple(origins(every, [each.reference for each in layers], changed))

    def _worst(self, images: tuple[str, ...]) -> tuple[ImageChange, ...]:
        largest: dict[int, ImageChange] = {}
        for pair in self._pairs:
            for number, change in enumerate(pair.by_image):
                known = largest.get(number)
                if not is_rounding(change, pair.noise_floor) and (
                    known is None or change > known.relative_l2
                ):
                    largest[number] = ImageChange(images[number], pair.reference.address, change)
        return tuple(sorted(largest.values(), key=lambda each: -each.relative_l2)[:_WORST])

    def _warnings(self, images: int) -> tuple[str, ...]:
        own = (model.description.warnings for model in self.plan.models)
        every = [*own, *(cut_warnings(rows) for rows in self.plan.rows)]
        warnings = [*dict.fromkeys(text for texts in every for text in texts)]
        if {"cka", "rsa"} & set(self.plan.query.measures) or self.plan.is_all_pairs:
            if images < FEWEST_IMAGES:
                warnings.append(f"CKA takes at least {FEWEST_IMAGES} images; there are {images}.")
            elif images < _FEW_IMAGES:
                warnings.append(
                    f"CKA of {images} images says little: mind its standard deviation, or send {_FEW_IMAGES} or more."
                )
        return tuple(warnings)


def _verdict(
    layers: tuple[LayerComparison, ...], matching: Matching, agreement: tuple[Agreement, ...], least: float
) -> Status | None:
    if not layers:
        return None
    disagree = any(each.argmax < least for each in agreement)
    if matching.only_reference or matching.only_candidate or disagree:
        return "drifted"
    return verdict_of(each.status for each in layers if each.status is not None)


def _all_pairs(found: Comparison, plan: ComparisonPlan, features: list[list[Features]]) -> Comparison:
    """The matrix of all pairs of layers, or their best alignment."""
    references, candidates = plan.layers
    grams = [[each.grams for each in side] for side in features]
    matrix = cka_matrix(grams[0], grams[1])
    if plan.query.match == "matrix":
        return replace(
            found,
            matrix=tuple(tuple(None if np.isnan(v) else float(v) for v in row) for row in matrix),
            rows=tuple(tap.address for tap in references),
            columns=tuple(tap.address for tap in candidates),
        )
    places = align(matrix)
    pairs = [(references[row], candidates[column]) for row, column in places]
    matching = Matching.of(pairs, references, candidates)
    layers = tuple(
        LayerComparison(
            reference=references[row].address,
            candidate=candidates[column].address,
            **similarities([features[0][row], features[1][column]], {"cka", *plan.query.measures}),
        )
        for row, column in places
    )
    return replace(
        found,
        layers=layers,
        only_reference=matching.only_reference,
        only_candidate=matching.only_candidate,
    )
