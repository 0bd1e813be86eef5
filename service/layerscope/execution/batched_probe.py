"""The batched probe: runs the versions of images that an attribution needs, as jobs in turn with all other requests."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from layerscope.attribution.embeddings import takes_tokens
from layerscope.attribution.maps import resized
from layerscope.attribution.model_probe import Box
from layerscope.attribution.target_layers import varied_geometry
from layerscope.attribution.targets import Target
from layerscope.errors import InputMismatch
from layerscope.execution.attribution_spec import AttributionSpec
from layerscope.execution.batches import Job
from layerscope.execution.gradient_jobs import GradientJob
from layerscope.execution.image_arrays import Array, Version, as_input, stacked_versions
from layerscope.execution.job_stream import JobStream, RunBudget
from layerscope.execution.local_change_jobs import LocalChangeJob
from layerscope.execution.query_run import QueryRun
from layerscope.graph.edits import Edit
from layerscope.graph.local import LocalChanges
from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.batch_arrays import same_but_for_rounding
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.geometry import MapGeometry
from layerscope.graph.taps.tap import AxisName, Tap
from layerscope.tensors.activations import Activations
from layerscope.text.vocabulary import StandIn

_LOCAL_CHANGE_FACTOR = 4
"""How many times as many versions run together if only the part that a box changes is run.

Such a version takes less room in the caches of a processor.
"""


class BatchedProbe:
    """What an attribution method can compute with some rows of a query: a `layerscope.attribution.ModelProbe`.

    Args:
        model: the model that runs.
        spec: what is attributed.
        query: the rows.
        found: the values of `spec.taps` for the rows.
        rows: the numbers of the rows that maps are made for.
        targets: the target of each of these; empty if the method has none.
        budget: what the runs may take.
    """

    def __init__(
        self,
        model: LoadedModel,
        spec: AttributionSpec,
        query: QueryRun,
        found: Activations,
        rows: Sequence[int],
        targets: Sequence[Target],
        budget: RunBudget,
    ) -> None:
        self._model = model
        self._spec = spec
        self._query = query
        self._found = found
        self._rows = rows
        self._targets = targets
        self._budget = budget
        self._jobs = JobStream(budget)
        self._inputs = model.description.taps.select(["input"])
        self._input = self._inputs[spec.input]
        self._varied = spec.embedded or self._input

    @cached_property
    def _geometry(self) -> MapGeometry:
        """How the values that are varied are maps. Methods that only look at a layer need none."""
        return varied_geometry(self._varied)

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self._rows)

    @property
    def places(self) -> tuple[AxisName, ...]:
        """What the axes of an image's places count."""
        return self._geometry.places

    def activations(self) -> Array:
        """The values of the target layer, or of the input: (images, *places, channels)."""
        if not self._spec.is_over_layer:
            return np.stack([self.image(number) for number in range(self.images)])
        return _maps(self._spec.geometry, self._values(self._spec.target_layer))

    def gradients(self) -> Array:
        """The gradient of each image's score with respect to `activations()`, in the same shape."""
        spec, derivative = self._spec, self._spec.derivative
        scored = self._values(derivative.target)
        weights = [target.weights(row) for target, row in zip(self._targets, scored, strict=True)]
        values = self._values(spec.target_layer) if derivative.is_fed else None
        outcomes = self._jobs.outcomes(
            self.images, lambda rows: self._gradient_job(rows, derivative, weights, values)
        )
        gradients = np.concatenate([outcome.arrays[0] for outcome in outcomes])
        return _maps(spec.geometry, gradients)

    def image(self, number: int) -> Array:
        """The model's input for an image, or what its tokens are embedded as: (*places, channels)."""
        if self._spec.embedded is not None:
            values = self._values(self._spec.embedded)[number]
        else:
            values = self._query.load(self._rows[number])[self._spec.input]
        (image,) = _maps(self._geometry, values[np.newaxis])
        return np.asarray(image)

    def over_image(self, values: Array) -> Array:
        """One map over the target layer resized to the places of the image; see `ModelProbe.over_image`."""
        geometry, sizes = self._geometry, self.image(0).shape[:-1]
        own = self._spec.geometry.places
        known = [size for name, size in zip(geometry.places, sizes, strict=True) if name in own]
        missing = [axis for axis, name in enumerate(geometry.places) if name not in own]
        return np.broadcast_to(np.expand_dims(resized(values, known), missing), sizes)

    def grey_values(self, pixel: float) -> Array | None:
        """The values that a grey pixel of 0 to 255 has in the model's input; None if the input takes no images."""
        described = self._model.description
        preprocessing = described.preprocessing[described.inputs[self._spec.input].name]
        return None if preprocessing is None else preprocessing.grey_values(pixel)

    @property
    def has_ids(self) -> bool:
        """Whether the values of an image are the ids of tokens."""
        return takes_tokens(self._varied)

    def stand_in(self, wanted: StandIn | None) -> int | None:
        """The id of the token that stands for the absence of one; see `ModelProbe.stand_in`."""
        tokenizer = self._model.description.tokenizer
        return None if tokenizer is None else tokenizer.stand_in(wanted)

    def padding(self, number: int) -> Array:
        """Which tokens of a text fill it up; see `ModelProbe.padding`."""
        tokenizer, texts = self._model.description.tokenizer, self._found.tokens
        if tokenizer is None or not texts:
            return np.zeros(len(self.image(number)), bool)
        return np.array([tokenizer.is_padding(each) for each in texts[self._rows[number]]], bool)

    def finish(self) -> None:
        """Report that all runs are made that are needed."""
        self._jobs.finish()

    def outputs(self) -> list[float]:
        """The model's output for the target of each image."""
        return [
            float(target.outputs(self._values(target.output.tap)[number : number + 1])[0])
            for number, target in enumerate(self._targets)
        ]

    def scores_of(self, number: int, count: int, version: Version) -> Iterator[float]:
        """The scores of `count` versions of an image, in order."""
        target = self._targets[number]
        for values in self._values_of(number, count, version, target.output.score_tap):
            yield from target.scores(values)

    def occluded_outputs(self, number: int, boxes: Sequence[Box], cover: Array) -> Iterator[float]:
        """The model's output for the target when a part of an image is covered, once for each box."""
        target, image = self._targets[number], self.image(number)

        def version(index: int) -> Array:
            box = tuple(slice(each.start, each.stop) for each in boxes[index])
            covered = image.copy()
            covered[box] = cover[box]
            return covered

        changes = self._local_changes(number, boxes, cover, version)
        if changes is None:
            found = self._values_of(number, len(boxes), version, target.output.tap)
        else:
            found = self._changed_values(changes, range(len(boxes)), target.output.tap)
        for values in found:
            yield from target.outputs(values)

    def gradients_of(self, number: int, count: int, version: Version) -> Iterator[Array]:
        """The gradients of the scores of `count` versions of an image with respect to the version, one each."""
        score_tap, embedded = self._targets[number].output.score_tap, self._spec.embedded
        derivative = Derivative(
            score_tap, self._varied, self._spec.method.is_guided, is_fed=embedded is not None
        )

        def job(indices: range) -> Job:
            inputs, edits = self._versions(number, indices, version, score_tap)
            weights = self._weights(number, inputs, edits, score_tap)
            fed = [] if embedded is None else [np.asarray(edits.pop(embedded).shift)]
            return GradientJob(
                **self._job(inputs, edits),
                taps=(self._varied,),
                derivative=derivative,
                inputs=[*inputs, weights, *fed],
            )

        for outcome in self._jobs.outcomes(count, job):
            yield from _maps(self._geometry, outcome.arrays[0])

    def _values_of(self, number: int, count: int, version: Version, tap: Tap) -> Iterator[Array]:
        def job(indices: range) -> Job:
            inputs, edits = self._versions(number, indices, version, tap)
            return Job(**self._job(inputs, edits), inputs=inputs, taps=(tap,))

        for outcome in self._jobs.outcomes(count, job):
            yield outcome.arrays[0]

    def _local_changes(
        self, number: int, boxes: Sequence[Box], cover: Array, version: Version
    ) -> LocalChanges | None:
        """A way to run only the part of the model that the boxes change; None if there is none with the same values."""
        if not self._geometry.is_upright or self._query.edits or self._model.description.samples:
            # A part of an image would get the edits, and the random numbers, of the whole.
            return None
        own, tap = self._query.load(self._rows[number]), self._targets[number].output.tap
        sides = max(len(rows) for rows, _ in boxes), max(len(columns) for _, columns in boxes)
        path = self._model.local_paths.best(self._input, tap, [array.shape for array in own], sides)
        if path is None or path.is_trusted is False:
            return None
        inputs = [array[np.newaxis] for array in own]
        taps = [checkpoint.tap for checkpoint in path.checkpoints]
        job = Job(**self._job(inputs), inputs=inputs, taps=tuple(taps))
        values = dict(zip(taps, (each[0] for each in self._jobs.run(job).arrays), strict=True))
        others = {
            each: array for each, array in zip(self._inputs, own, strict=True) if each is not self._input
        }
        arranged = as_input(cover[np.newaxis], self._geometry, own[self._spec.input].dtype)[0]
        changes = LocalChanges(self._model.executable, path, values, others, boxes, arranged)
        if path.is_trusted is None:
            # Nothing in a graph tells whether its layers compute a part of an image as they compute the whole: a layer
            # may depend on positions or on one image size. So some versions are run both ways, once for each path.
            path.is_trusted = self._agrees(number, changes, len(boxes), version, taps[-1])
        return changes if path.is_trusted else None

    def _agrees(self, number: int, changes: LocalChanges, count: int, version: Version, last: Tap) -> bool:
        """Whether a sample of the versions has the same values as in the whole model, at the last tap of the path."""
        some = sorted({0, count // 3, count // 2, count - 1})
        try:
            found = np.concatenate([*self._changed_values(changes, some, last)])
        except InputMismatch:
            return False
        whole = np.concatenate(
            [*self._values_of(number, len(some), lambda index: version(some[index]), last)]
        )
        return same_but_for_rounding(found, whole)

    def _changed_values(self, changes: LocalChanges, numbers: Sequence[int], tap: Tap) -> Iterator[Array]:
        def job(indices: range) -> Job:
            own = [np.array([numbers[index] for index in indices])]
            common, whole = self._job(own), self._query.sizes()
            return LocalChangeJob(**common, inputs=own, taps=(tap,), changes=changes, image_shapes=whole)

        for outcome in self._jobs.outcomes(len(numbers), job, _LOCAL_CHANGE_FACTOR * self._budget.batch_rows):
            yield outcome.arrays[0]

    def _weights(
        self, number: int, inputs: Sequence[Array], edits: Mapping[Tap, Edit], score_tap: Tap
    ) -> Array:
        """The derivative of the scores of versions by the values at the score tap, see `Target.weights`."""
        target, count = self._targets[number], len(inputs[0])
        if target.is_linear:
            own = self._found[score_tap.address].values[self._rows[number]]
            return np.repeat(target.weights(own)[np.newaxis], count, axis=0)
        job = Job(**self._job(inputs, edits), inputs=inputs, taps=(score_tap,))
        # The derivative of a probability depends on the values, so the versions are run forwards first.
        values = self._jobs.run(job).arrays[0]
        return np.stack([target.weights(row) for row in values])

    def _gradient_job(
        self, rows: range, derivative: Derivative, weights: Sequence[Array], values: Array | None
    ) -> Job:
        own = [self._query.load(self._rows[row]) for row in rows]
        inputs = [np.stack(column) for column in zip(*own, strict=True)]
        fed = [] if values is None else [values[rows.start : rows.stop]]
        names = [f"{self._query.names[self._rows[row]]} {self._targets[row].key}" for row in rows]
        edits = self._edits([self._rows[row] for row in rows], derivative.target)
        if derivative.is_fed:
            # The values of the source that are fed are the edited ones.
            source = derivative.source.tensor.name
            edits = {tap: edit for tap, edit in edits.items() if tap.tensor.name != source}
        return GradientJob(
            # Other requests may ask for the same gradient: it has a name, is shared, and must be exact.
            **{**self._job(inputs), "keys": names, "is_exact": True, "edits": edits},
            taps=(derivative.source,),
            derivative=derivative,
            inputs=[*inputs, np.stack([weights[row] for row in rows]), *fed],
        )

    def _edits(self, rows: Sequence[int], tap: Tap) -> dict[Tap, Edit]:
        return self._query.edited([tap], rows, self._budget.lane)

    def _job(self, inputs: Sequence[Array], edits: Mapping[Tap, Edit] | None = None) -> dict[str, Any]:
        """What all jobs have in common."""
        common = self._query.versions(len(inputs[0]), self._budget.deadline, self._budget.lane)
        return {**common, "edits": edits or {}}

    def _versions(
        self, number: int, indices: range, version: Version, tap: Tap
    ) -> tuple[list[Array], dict[Tap, Edit]]:
        """The inputs and the edits that versions of one image run with, to fetch a tap.

        The input that is varied has the versions, and the others are as they are. What tokens are embedded as is replaced.
        """
        own, varied = self._query.load(self._rows[number]), self._spec.input
        inputs = [np.broadcast_to(array, (len(indices), *array.shape)) for array in own]
        edits = self._edits([self._rows[number]], tap)
        versions = stacked_versions(indices, version)
        if self._spec.embedded is None:
            inputs[varied] = as_input(versions, self._geometry, own[varied].dtype)
        else:
            values = as_input(versions, self._geometry, self._varied.dtype)
            edits = {
                each: edit for each, edit in edits.items() if each.tensor.name != self._varied.tensor.name
            }
            edits[self._varied] = Edit(scale=0.0, shift=values)
        return inputs, edits

    def _values(self, tap: Tap) -> Array:
        return self._found[tap.address].values[list(self._rows)]


def _maps(geometry: MapGeometry, values: Array) -> Array:
    """Values, (rows, *shape), as float32 of shape (rows, *places, channels)."""
    return geometry.folded(values).astype(np.float32, copy=False)
