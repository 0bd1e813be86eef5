"""Comparisons of two models: their options and their results."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, cast

from layerscope_client._error_mapping import failure, unreadable
from layerscope_client._flows import Flow, Progress, Request, fetch, json_object
from layerscope_client._images import Inputs, StoredId, TensorFile, named_by_id, pictures_in
from layerscope_client._options import query, repeated
from layerscope_client._picture import Picture
from layerscope_client._uploads import Uploads

Status: TypeAlias = Literal["same", "rounding", "within", "drifted"]
Measure: TypeAlias = Literal["relative_l2", "max", "cosine", "sqnr_db", "cka", "rsa"]


class ComparisonOptions(TypedDict, total=False):
    """Options of a comparison of two models.

    Attributes:
        layers: One selector or several, of the reference's layers.
        measures: What is computed of each layer.
        match: Layers of equal address, renamed by `rules`, in the best alignment, or all pairs ("matrix").
        rules: "reference=candidate" with the same wildcards in both, such as "backbone/**=encoder/**".
        features: Whether CKA and RSA compare the mean of each channel or all values ("flat").
        most: Largest relative L2 of a layer that is no drift.
        most_outputs: The same of the model's outputs.
        least_agreement: Least share of images that keep their most likely class.
        edit: Changes inside the candidate, such as "conv2;channels=3;set=0": compare a model with its edited self.
        seed: Of the random numbers that the models draw.
    """

    layers: str | Sequence[str]
    measures: Measure | Sequence[Measure]
    match: Literal["address", "rules", "best", "matrix"]
    rules: str | Sequence[str]
    features: Literal["mean", "flat"]
    most: float
    most_outputs: float
    least_agreement: float
    edit: str | Sequence[str]
    seed: int


class ComparedLayer(TypedDict):
    """A layer of the reference and one of the candidate; None for what was not asked for or does not exist."""

    reference: str
    candidate: str
    relative_l2: float | None
    max: float | None
    cosine: float | None
    sqnr_db: float | None
    cka: float | None
    cka_sd: float | None
    rsa: float | None
    silent: list[int] | None
    noise_floor: float
    status: Status | None
    reason: str | None


class Comparison(TypedDict):
    """A comparison of two models.

    Attributes:
        reference: The trusted model.
        candidate: The other one, with the name of its `file` if it is a `.tflite` file.
        images: The ids of the images.
        warnings: What to know of the figures.
        edits: Those of the candidate, where it is edited.
        verdict: The worst status of all layers; None for "best" and "matrix".
        first: The first layer beyond the tolerance.
        origins: The layers that changed although nothing before them did.
        noise_floor: The change of the reference against itself in batches of another size.
        agreement: Of the predictions, by output.
        worst_images: The images that changed most.
        unmatched: The layers without a partner, of both models.
        fused: The layers that have no tensor of their own in a `.tflite` file.
        layers: Each pair of layers.
        matrix: The CKA of all pairs.
    """

    reference: dict[str, Any]
    candidate: dict[str, Any]
    images: list[str]
    warnings: list[str]
    edits: NotRequired[list[str]]
    verdict: Status | None
    first: str | None
    origins: list[str]
    noise_floor: float
    agreement: list[dict[str, Any]]
    worst_images: list[dict[str, Any]]
    unmatched: dict[str, list[str]]
    fused: list[str]
    layers: list[ComparedLayer]
    matrix: dict[str, Any] | None


class ComparedValues(TypedDict):
    """What one layer makes of two images."""

    address: str
    relative_l2: float | None
    max: float
    cosine: float
    channels: int
    changed: float | None


class ImageComparison(TypedDict):
    """A comparison of two images in one model."""

    model: dict[str, Any]
    images: list[str]
    preprocessing: dict[str, Any]
    warnings: list[str]
    layers: list[ComparedValues]


_LISTS = ("layers", "measures", "rules", "edit")


class ComparisonCalls:
    """Flows of the comparisons of two models."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def compare(
        self, images: Inputs, models: tuple[str, str], options: Mapping[str, Any], progress: Progress | None
    ) -> Flow[Comparison]:
        """The comparison of two models."""
        response = yield from self._send("/v1/compare", images, models, options, progress)
        body = json_object(response)
        if progress is None:
            return cast("Comparison", body)
        if "result" not in body:
            raise failure(response) if "code" in body else unreadable("its stream ends without a result")
        return cast("Comparison", body["result"])

    def picture(self, images: Inputs, models: tuple[str, str], options: Mapping[str, Any]) -> Flow[Picture]:
        """The picture of a comparison."""
        return Picture.of((yield from self._send("/v1/compare.png", images, models, options, None)))

    def _send(
        self,
        path: str,
        images: Inputs,
        models: tuple[str, str],
        options: Mapping[str, Any],
        progress: Progress | None,
    ) -> Flow[Any]:
        given = {"reference": models[0], "candidate": models[1], **options}
        params = query({name: value for name, value in given.items() if name not in _LISTS})
        for name in _LISTS:
            params += repeated(name, given.get(name, ()))

        def streamed(request: Request) -> Request:
            headers = {**request.headers, "Accept": "application/x-ndjson"}
            return request if progress is None else replace(request, headers=headers, progress=progress)

        if isinstance(images, TensorFile):
            headers = {"Content-Type": "application/x-npy"}
            return (yield from fetch(streamed(Request("POST", path, params, headers, images.npy))))

        def request(ids: list[StoredId]) -> Request:
            headers = {"Content-Type": "application/json"}
            body = json.dumps(named_by_id(images, ids)).encode()
            return streamed(Request("POST", path, params, headers, body))

        return (yield from self._uploads.use(pictures_in(images), request))
