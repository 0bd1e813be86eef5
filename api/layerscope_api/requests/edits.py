"""Edits and sweeps of requests, and the stored images whose values they put in place of others."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from layerscope.execution.comparison_query import ComparisonQuery
from layerscope.execution.inputs import ANY_INPUT, Sources, source_of
from layerscope.execution.interface import AblationOptions, Query
from layerscope.images import ImageStore
from layerscope.interventions import parse_edit

Edited = TypeVar("Edited", Query, ComparisonQuery)


def with_edits(query: Edited, texts: Sequence[str], store: ImageStore) -> Edited:
    """The query of the edited model, or of a comparison with it. It blocks: call it in a worker thread.

    Args:
        query: of the model as it is.
        texts: the edits.
        store: where the images are that edits name.

    Raises:
        OptionInvalid: a text is no edit.
        ImageNotFound: no image is stored under an id.
    """
    if not texts:
        return query
    edits = [parse_edit(text) for text in texts]
    named = [edit.patch for edit in edits if edit.patch is not None]
    return replace(query, edits=edits, patches={**query.patches, **patches_of(named, store)})


def with_sweep(query: Query, ablation: AblationOptions, store: ImageStore) -> Query:
    """The query with a sweep. It blocks: call it in a worker thread.

    Raises:
        ImageNotFound: no image is stored under the id whose values are put in place of others.
    """
    named = [] if ablation.patch is None else [ablation.patch]
    return replace(query, ablation=ablation, patches={**query.patches, **patches_of(named, store)})


def patches_of(images: Sequence[str], store: ImageStore) -> dict[str, Sources]:
    """Stored images by id.

    Raises:
        ImageNotFound: one is not stored.
    """
    return {image: {ANY_INPUT: [source_of(store.get(image).data)]} for image in images}
