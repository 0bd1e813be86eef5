"""Edits of requests: their texts, and the stored images whose values they put in place of others."""

from collections.abc import Sequence
from dataclasses import replace

from layerscope.execution.inputs import ANY_INPUT, ImageSource
from layerscope.execution.interface import Query
from layerscope.images import ImageStore
from layerscope.interventions import parse_edit


def with_edits(query: Query, texts: Sequence[str], store: ImageStore) -> Query:
    """The query of the edited model. It blocks: call it in a worker thread.

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
    named = {edit.patch for edit in edits if edit.patch is not None}
    patches = {image: {ANY_INPUT: [ImageSource(store.get(image).data)]} for image in named}
    return replace(query, edits=edits, patches=patches)
