"""The edits of the candidate of a comparison: what is changed inside it, planned before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from layerscope.errors import OptionInvalid
from layerscope.execution.comparison_query import ComparisonQuery
from layerscope.execution.inputs import Row, rows_of
from layerscope.execution.job_stream import MAX_PENDING
from layerscope.execution.loading_memory import loading_bytes
from layerscope.execution.query_edits import QueryEdits, require_patches
from layerscope.graph.edits import Edit
from layerscope.graph.lite.model import LiteModel
from layerscope.graph.model import LoadedModel
from layerscope.graph.taps.tap import Shape, Tap
from layerscope.limits import Limits


@dataclass(frozen=True)
class CandidateEdits:
    """What is changed inside the candidate.

    Attributes:
        model: the candidate.
        query: the edits.
        patches: the images whose values they put in place of others, by id.
        neutral: what the reference runs with if it is the same model: edits that change nothing. Both then run by one plan, and
            values before the edits are equal to the last bit.
    """

    model: LoadedModel
    query: QueryEdits
    patches: Mapping[str, Row]
    neutral: Mapping[Tap, Edit]

    def nbytes(self, sizes: Sequence[Shape], limits: Limits) -> int:
        """The memory of the values that edits are made of, and of the edits, which are in float64 while they are made."""
        inspection, waiting = self.model.executable.inspection, MAX_PENDING + 2
        own = inspection.value_bytes(self.query.own_taps, sizes)
        patches = sum(inspection.value_bytes(taps, sizes) for taps in self.query.patches.values())
        return loading_bytes(list(self.patches.values()), limits) + waiting * (own + 4 * patches)


def resolve_candidate_edits(
    reference: LoadedModel,
    candidate: LoadedModel | LiteModel,
    query: ComparisonQuery,
    fetched: Sequence[Tap],
    limits: Limits,
) -> CandidateEdits | None:
    """The edits of a comparison; None if it has none.

    Args:
        reference: the trusted model.
        candidate: the other one.
        query: has the edits.
        fetched: the taps of the candidate whose values are compared.
        limits: the bounds in force.

    Raises:
        LayerscopeError: see `QueryEdits`.
        OptionInvalid: the candidate is a `.tflite` file, an edit changes nothing that is compared, or an image is missing.
    """
    if not query.edits:
        return None
    if isinstance(candidate, LiteModel):
        raise OptionInvalid("A .tflite file cannot be edited: compare two Keras models.", option="edit")
    edits = QueryEdits(candidate, query.edits, limits)
    edits.require_reach(fetched)
    require_patches(edits.patches, query.patches)
    patches = {
        image: rows_of(candidate.description, query.patches[image], limits)[0] for image in edits.patches
    }
    is_itself = reference.description.digest == candidate.description.digest
    neutral = edits.neutral(reference.description.taps, fetched) if is_itself else {}
    return CandidateEdits(candidate, edits, patches, neutral)
