"""The edits of one query: which values they reach, and the arrays that a run takes for them."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from layerscope.errors import OptionInvalid, TooMany
from layerscope.graph.edits import Edit
from layerscope.graph.model import LoadedModel
from layerscope.graph.runtime.batch_arrays import require_editable
from layerscope.graph.taps.selectors import TapIndex
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.interventions import EditOptions, TapEdit, tap_edits
from layerscope.limits import Limits
from layerscope.tensors.activations import Activations


class QueryEdits:
    """The edits of one query.

    Args:
        model: the model that runs.
        edits: the options, in any order.
        limits: the bounds in force.

    Raises:
        TooMany: there are more edits than one request may have.
        LayerNotFound, InvalidSelector: an edit selects nothing.
        OptionInvalid: an option of an edit is impossible.
        InputMismatch: a tap cannot be edited.
    """

    def __init__(self, model: LoadedModel, edits: Sequence[EditOptions], limits: Limits) -> None:
        self._model = model
        _require_few(len(edits), limits)
        self._edits = tap_edits(model.description.taps, edits)
        self._reaching: dict[Tap, tuple[TapEdit, ...]] = {}
        _require_few(len(self._edits), limits)
        require_editable([edit.tap for edit in self._edits])

    def __bool__(self) -> bool:
        return bool(self._edits)

    @property
    def texts(self) -> tuple[str, ...]:
        """The edits as texts, each of one tap by its address."""
        return tuple(part.text for edit in self._edits for part in edit.parts)

    @property
    def own_taps(self) -> list[Tap]:
        """The taps whose unedited values of the same images the edits are made of."""
        return [edit.tap for edit in self._edits if edit.needs_own_values]

    @property
    def patches(self) -> dict[str, list[Tap]]:
        """The ids of other images that the edits are made of, with the taps whose values are needed."""
        found: dict[str, list[Tap]] = {}
        for edit in self._edits:
            for image in edit.patches:
                found.setdefault(image, []).append(edit.tap)
        return found

    def reaching(self, tap: Tap) -> tuple[TapEdit, ...]:
        """The edits that the values of a tap depend on."""
        if tap not in self._reaching:
            depends = self._model.executable.inspection.depends
            self._reaching[tap] = tuple(edit for edit in self._edits if depends(tap, edit.tap))
        return self._reaching[tap]

    def neutral(self, index: TapIndex, taps: Iterable[Tap]) -> dict[Tap, Edit]:
        """Edits that change nothing at the taps of another model of the same digest, where these edits reach some taps.

        A run with them is one by the same plan, so that values before the edits keep all bits.
        """
        return {index[edit.tap.address]: Edit() for edit in self._reaching_any(taps)}

    def _reaching_any(self, taps: Iterable[Tap]) -> list[TapEdit]:
        """The edits that the values of any of some taps depend on."""
        if not self._edits:
            return []
        return list(dict.fromkeys(edit for tap in taps for edit in self.reaching(tap)))

    def changed_layers(self, most: int) -> list[Tap]:
        """The outputs of layers that some edit changes, of more than `most` as many, evenly spaced over the network."""
        outputs = [
            tap for tap in self._model.description.taps.outputs() if tap.shape and tap.dtype.kind == "f"
        ]
        changed = [tap for tap in outputs if self.reaching(tap)]
        if len(changed) <= most:
            return changed
        return [changed[round(place)] for place in np.linspace(0, len(changed) - 1, most)]

    def name(self, taps: Iterable[Tap]) -> str:
        """A text that names everything that the edits change in the values of some taps; empty where nothing is.

        Values before every edit have the same name, and so the same place in the cache, as without edits.
        """
        reaching = self._reaching_any(taps)
        if not reaching:
            return ""
        text = "\n".join(sorted(f"{edit.tap.address} {edit.name}" for edit in reaching))
        return f" edited {hashlib.sha256(text.encode()).hexdigest()}"

    def require_reach(self, taps: Sequence[Tap]) -> None:
        """Check that every edit changes something that is asked for.

        Raises:
            OptionInvalid: one changes nothing, so that the answer would be silent about it.
        """
        for edit in self._edits:
            if not any(edit in self.reaching(tap) for tap in taps):
                address = edit.tap.address
                raise OptionInvalid(
                    f"Nothing that is asked for depends on {address}, which the edit changes: ask for a layer behind it.",
                    option="edit",
                    layer=address,
                )

    def arrays(
        self,
        taps: Iterable[Tap],
        sizes: Sequence[Shape],
        rows: Sequence[int],
        own: Activations | None,
        patches: Mapping[str, Activations],
    ) -> dict[Tap, Edit]:
        """The edits that some taps depend on, as arrays with a row for each image.

        Args:
            taps: what is computed.
            sizes: the shapes of the inputs, without batch axis.
            rows: the numbers of the images that run.
            own: the unedited values of `own_taps` for all images of the query.
            patches: those of the other images, by id.

        Raises:
            OptionInvalid, ChannelNotFound: an edit does not fit the values.
        """
        reaching = self._reaching_any(taps)
        shapes = self._model.executable.inspection.shapes([edit.tap for edit in reaching], sizes)
        found: dict[Tap, Edit] = {}
        for edit, shape in zip(reaching, shapes, strict=True):
            address = edit.tap.address
            values = own[address].values[list(rows)] if edit.needs_own_values and own is not None else None
            others = {image: patches[image][address].values[0] for image in edit.patches}
            found[edit.tap] = edit.edit(shape, values, others)
        return found


def require_patches(named: Iterable[str], images: Collection[str]) -> None:
    """Check that there are the images whose values are put in place of others.

    Raises:
        OptionInvalid: one is missing.
    """
    for image in named:
        if image not in images:
            message = f"The image {image[:100]}, whose values are put in place of others, is not there."
            raise OptionInvalid(message, option="patch")


def _require_few(edits: int, limits: Limits) -> None:
    if edits > limits.edits:
        raise TooMany(
            f"{edits} edited layers are more than the {limits.edits} one request may have",
            ways=("edit fewer layers at once", "edit a layer behind them"),
            edits=edits,
            limit=limits.edits,
        )
