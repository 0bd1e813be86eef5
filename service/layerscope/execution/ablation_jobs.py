"""The jobs of a sweep: versions of one image in which one unit of a layer is replaced, with the image as it is in the first row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from layerscope.attribution.targets import Target
from layerscope.execution.ablation_spec import AblationSpec
from layerscope.execution.batches import Job
from layerscope.execution.cut_jobs import CutJob
from layerscope.execution.gradient_jobs import GradientJob
from layerscope.execution.lanes import Lane
from layerscope.execution.query_run import QueryRun
from layerscope.graph.edits import Edit
from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.derivatives import Derivative
from layerscope.graph.taps.tap import Tap
from layerscope.interventions import Units, replaced
from layerscope.tensors.activations import Activations

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class SweptImage:
    """One image of a sweep.

    Attributes:
        number: its row in the query.
        target: what effects are measured on.
        replacements: what is put in place of the values of each layer: a number, or an array that broadcasts against (1, *shape).
        units: the numbers of the units that are run.
    """

    number: int
    target: Target
    replacements: Sequence[Array | float]
    units: Sequence[int]


class AblationJobs:
    """Makes the jobs of one sweep.

    Args:
        model: the model that runs.
        spec: what is swept.
        query: the images.
        found: the values of `spec.taps` for them.
        units: those of each layer.
        deadline: of the jobs, on the clock of `time.monotonic`.
        lane: where they run, and for whom.
    """

    def __init__(
        self,
        model: LoadedModel,
        spec: AblationSpec,
        query: QueryRun,
        found: Activations,
        units: Sequence[Units],
        deadline: float,
        lane: Lane,
    ) -> None:
        self._model = model
        self._spec = spec
        self._query = query
        self._found = found
        self._units = units
        self._deadline = deadline
        self._lane = lane

    def behind(self, image: SweptImage, places: range) -> Job:
        """Versions of which only what lies behind the layer is run, with known values before.

        Args:
            image: the image.
            places: of the versions' units in `image.units`.
        """
        (tap,), frontier, rows = self._spec.layers, self._spec.frontier or (), 1 + len(places)
        values = {each: self._values(image, each) for each in (tap, *frontier)}
        others = {each: np.broadcast_to(values[each], (rows, *values[each].shape[1:])) for each in frontier}
        # What is known before the layer and at it is of the edited model, if there are edits.
        edits = {each: edit for each, edit in self._edits(image).items() if self._is_behind(each, tap)}
        return CutJob(
            **self._versions(rows),
            inputs=[np.arange(rows)],
            taps=self._spec.measured,
            edits={**edits, tap: self._replaced(image, 0, Edit(), places)},
            sources={tap: values[tap], **others},
            image_shapes=self._query.sizes(),
        )

    def whole(self, image: SweptImage, places: range) -> Job:
        """Versions that are run through the whole model. Arguments as for `behind`."""
        rows = 1 + len(places)
        edits = self._edits(image)
        by_tensor = {tap.tensor.name: tap for tap in edits}
        for number, layer in enumerate(self._spec.layers):
            tap = by_tensor.get(layer.tensor.name, layer)
            edits[tap] = self._replaced(image, number, edits.get(tap, Edit()), places)
        return Job(
            **self._versions(rows),
            inputs=[np.broadcast_to(each, (rows, *each.shape)) for each in self._query.load(image.number)],
            taps=self._spec.measured,
            edits=edits,
        )

    def gradient(self, image: SweptImage) -> Job:
        """The gradient of the score by the layer."""
        (tap,), output = self._spec.layers, self._spec.output
        weights = image.target.weights(self._values(image, output.score_tap)[0])
        inputs = [each[np.newaxis] for each in self._query.load(image.number)]
        return GradientJob(
            **self._versions(1),
            inputs=[*inputs, weights[np.newaxis]],
            taps=(tap,),
            edits=self._edits(image),
            derivative=Derivative(output.score_tap, tap),
        )

    def _replaced(self, image: SweptImage, layer: int, edit: Edit, places: range) -> Edit:
        """The edit of one layer, with a row for the image without a change and one for each version."""
        units = self._units[layer]
        own = [image.units[place] for place in places]
        if units.by == "layer":
            changed = np.array([number == layer for number in own], bool)
            changed = changed.reshape(-1, *[1] * len(units.size))
        else:
            changed = units.changed(own)
        unchanged = np.zeros_like(changed, shape=(1, *changed.shape[1:]))
        return replaced(edit, np.concatenate([unchanged, changed]), image.replacements[layer])

    def _edits(self, image: SweptImage) -> dict[Tap, Edit]:
        """The edits of the request that the measured values depend on."""
        return self._query.edited(self._spec.measured, [image.number], self._lane)

    def _is_behind(self, tap: Tap, layer: Tap) -> bool:
        is_same = tap.tensor.name == layer.tensor.name
        return not is_same and self._model.executable.inspection.depends(tap, layer)

    def _values(self, image: SweptImage, tap: Tap) -> Array:
        return self._found[tap.address].values[image.number : image.number + 1]

    def _versions(self, count: int) -> dict[str, Any]:
        return self._query.versions(count, self._deadline, self._lane)
