"""Edits and sweeps of requests, and the stored images whose values they put in place of others."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from layerscope.execution.comparison_query import ComparisonQuery
from layerscope.execution.inputs import ANY_INPUT, Sources
from layerscope.execution.interface import AblationOptions, Query
from layerscope.extraction.catalog import NamedImages
from layerscope.interventions import parse_edit

Edited = TypeVar("Edited", Query, ComparisonQuery)


def with_edits(query: Edited, texts: Sequence[str], images: NamedImages) -> Edited:
    """The query of the edited model, or of a comparison with it. It blocks: call it in a worker thread.

    Args:
        query: of the model as it is.
        texts: the edits.
        images: fetches the images that edits name.

    Raises:
        OptionInvalid: a text is no edit.
        LayerscopeError: an image cannot be fetched, see `NamedImages.source`.
    """
    if not texts:
        return query
    edits = [parse_edit(text) for text in texts]
    named = [edit.patch for edit in edits if edit.patch is not None]
    return replace(query, edits=edits, patches={**query.patches, **_patches(named, images)})


def with_sweep(query: Query, ablation: AblationOptions, images: NamedImages) -> Query:
    """The query with a sweep. It blocks: call it in a worker thread.

    Raises:
        LayerscopeError: the image whose values are put in place of others cannot be fetched, see `NamedImages.source`.
    """
    named = [] if ablation.patch is None else [ablation.patch]
    return replace(query, ablation=ablation, patches={**query.patches, **_patches(named, images)})


def _patches(names: Sequence[str], images: NamedImages) -> dict[str, Sources]:
    return {name: {ANY_INPUT: [images.source(name)]} for name in names}
