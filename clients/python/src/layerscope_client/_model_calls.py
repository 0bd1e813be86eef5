"""Flows of the calls that concern one model: their requests, and the results of their answers."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast
from urllib.parse import parse_qsl, quote

import httpx2

from layerscope_client._ablations import Ablations
from layerscope_client._activations import Activations
from layerscope_client._attribution import Attribution
from layerscope_client._comparisons import ImageComparison
from layerscope_client._descriptions import (
    Graph,
    Layers,
    ModelDescription,
    NamedModelVersion,
)
from layerscope_client._error_mapping import failure, unreadable
from layerscope_client._flows import Flow, Progress, Request, fetch, fetch_json, json_object, part_of
from layerscope_client._images import Inputs, StoredId, TensorFile, named_by_id, pictures_in
from layerscope_client._interventions import Intervention
from layerscope_client._notebook import ShownDict
from layerscope_client._options import Channels, query, repeated
from layerscope_client._picture import Picture
from layerscope_client._results import (
    Atlas,
    Inspection,
    Plan,
    Predictions,
    ReceptiveField,
    Statistics,
    predictions_html,
    statistics_html,
)
from layerscope_client._uploads import Uploads

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
"""Less strict than the rule of the service, but without characters that have a meaning in a path."""

_METHOD_NAME = re.compile(r"[A-Za-z0-9+-]+")


class ModelCalls:
    """Flows of the calls that concern one model."""

    def __init__(
        self, name: str, uploads: Uploads, edits: Sequence[str] = (), seed: int | None = None
    ) -> None:
        if _MODEL_NAME.fullmatch(name) is None:
            raise ValueError(f"A model is named as name, name@version or name@label, not {name[:80]!r}.")
        self._path = f"/v1/models/{name}"
        self._uploads = uploads
        self._edits = repeated("edit", edits)
        self._seed = query({"seed": seed})

    def describe(self) -> Flow[ModelDescription]:
        """The description of the model."""
        return cast("ModelDescription", (yield from fetch_json(Request("GET", self._path))))

    def layers(self, selectors: Sequence[str]) -> Flow[Layers]:
        """The layers that match any of the selectors."""
        body = yield from fetch_json(Request("GET", f"{self._path}/layers", repeated("layers", selectors)))
        return Layers(part_of(body, "layers"), part_of(body, "model"), part_of(body, "unreachable"))

    def load(self) -> Flow[NamedModelVersion]:
        """Load the version."""
        return cast("NamedModelVersion", (yield from fetch_json(Request("POST", f"{self._path}/load"))))

    def unload(self) -> Flow[NamedModelVersion]:
        """Unload the version."""
        return cast("NamedModelVersion", (yield from fetch_json(Request("POST", f"{self._path}/unload"))))

    def remove(self) -> Flow[None]:
        """Delete the version."""
        yield from fetch(Request("DELETE", self._path))

    def set_label(self, label: str) -> Flow[dict[str, int]]:
        """Set a label to the version; the result is all labels of the model."""
        body = yield from fetch_json(Request("PUT", self._label_path(label)))
        return cast("dict[str, int]", part_of(body, "labels"))

    def remove_label(self, label: str) -> Flow[None]:
        """Remove a label."""
        yield from fetch(Request("DELETE", self._label_path(label)))

    def _label_path(self, label: str) -> str:
        return f"{self._path}/labels/{quote(label, safe='')}"

    def graph(self) -> Flow[Graph]:
        """The graph of the model, for drawing."""
        return cast("Graph", (yield from fetch_json(Request("GET", f"{self._path}/graph"))))

    def activations(
        self, images: Inputs, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Activations]:
        """The values of layers for a batch."""
        response = yield from self._send("activations", images, _tensors(layers, options))
        return Activations.of(response.content)

    def plan(
        self, images: Inputs | int, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Plan]:
        """The shapes, bytes and memory that `activations` would have."""
        params = _tensors(layers, options)
        if isinstance(images, int):
            params += [*query({"batch": images}), *self._of_run(params)]
            request = Request("GET", f"{self._path}/plan", params)
            return cast("Plan", (yield from fetch_json(request)))
        return cast("Plan", json_object((yield from self._send("plan", images, params))))

    def feature_map(
        self,
        images: Inputs,
        layer: str,
        channel: int | None,
        channels: Channels | None,
        options: Mapping[str, object],
    ) -> Flow[Picture]:
        """A picture of one channel of a layer, or of several."""
        params = query({"layer": layer, "channel": channel, "channels": channels, **options})
        return Picture.of((yield from self._send("feature-map.png", images, params)))

    def atlas(
        self,
        images: Inputs,
        layer: str,
        channel: int | None,
        channels: Channels | None,
        options: Mapping[str, object],
    ) -> Flow[Atlas]:
        """The sprite atlas of the picture of `feature_map`."""
        params = query({"layer": layer, "channel": channel, "channels": channels, **options})
        return cast("Atlas", json_object((yield from self._send("feature-map.json", images, params))))

    def overlay(
        self, image: Inputs, layer: str, channel: int | None, options: Mapping[str, object]
    ) -> Flow[Picture]:
        """A picture of one channel of a layer over the image."""
        params = query({"layer": layer, "channel": channel, **options})
        return Picture.of((yield from self._send("overlay.png", image, params)))

    def statistics(
        self, images: Inputs, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Statistics]:
        """Statistics of layers and channels."""
        params = repeated("layers", layers) + query(options)
        body = json_object((yield from self._send("statistics", images, params)))
        return cast("Statistics", ShownDict(body, statistics_html))

    def statistics_picture(self, images: Inputs, layers: str | Sequence[str]) -> Flow[Picture]:
        """A picture with one row of statistics per layer."""
        return Picture.of((yield from self._send("statistics.png", images, repeated("layers", layers))))

    def compare(
        self, images: Inputs, layers: str | Sequence[str], changed_by: float, features: str
    ) -> Flow[ImageComparison]:
        """The distance of two images in each layer."""
        params = repeated("layers", layers) + query({"changed_by": changed_by, "features": features})
        return cast("ImageComparison", json_object((yield from self._send("compare", images, params))))

    def comparison_picture(self, images: Inputs, layers: str | Sequence[str], features: str) -> Flow[Picture]:
        """A picture of the distance of two images in each layer."""
        params = repeated("layers", layers) + query({"features": features})
        return Picture.of((yield from self._send("compare.png", images, params)))

    def predictions(self, images: Inputs, top: int) -> Flow[Predictions]:
        """The best classes of every output."""
        response = yield from self._send("predictions", images, query({"top": top}))
        return cast("Predictions", ShownDict(json_object(response), predictions_html))

    def inspect(
        self, images: Inputs, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Inspection]:
        """Predictions, statistics and links, after one run."""
        params = repeated("layers", layers) + query(options)
        return cast("Inspection", json_object((yield from self._send("inspect", images, params, "POST"))))

    def picture(self, link: str) -> Flow[Picture]:
        """The picture of a link."""
        path, _, params = link.partition("?")
        if not path.startswith("/v1/"):
            raise ValueError(f"This is no link of the service: {link[:80]!r}.")
        return Picture.of((yield from fetch(Request("GET", path, parse_qsl(params)))))

    def attribution(
        self, images: Inputs, method: str, options: Mapping[str, object], progress: Progress | None
    ) -> Flow[Attribution]:
        """Heat maps."""
        resource = _attributions(method)
        if progress is None:
            params = query({**options, "format": "safetensors"})
            return Attribution.of((yield from self._send(resource, images, params)).content)
        response = yield from self._send(resource, images, query(options), progress=progress)
        return Attribution.of_json(_result(response))

    def attribution_picture(self, image: Inputs, method: str, options: Mapping[str, object]) -> Flow[Picture]:
        """A picture of a heat map over the image."""
        return Picture.of((yield from self._send(f"{_attributions(method)}.png", image, query(options))))

    def ablations(
        self,
        images: Inputs,
        layer: str | None,
        layers: str | Sequence[str],
        options: Mapping[str, object],
        progress: Progress | None,
    ) -> Flow[Ablations]:
        """The effect of each unit."""
        params = repeated("layers", layers) + query({"layer": layer, **options})
        response = yield from self._send("ablations", images, params, progress=progress)
        return Ablations.of_json(json_object(response) if progress is None else _result(response))

    def ablations_picture(
        self, image: Inputs, layer: str | None, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Picture]:
        """A picture of the effects."""
        params = repeated("layers", layers) + query({"layer": layer, **options})
        return Picture.of((yield from self._send("ablations.png", image, params)))

    def interventions(
        self, images: Inputs, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Intervention]:
        """What the edits do to outputs and layers."""
        params = repeated("layers", layers) + query(options)
        return cast("Intervention", json_object((yield from self._send("interventions", images, params))))

    def receptive_field(
        self, layer: str, unit: Mapping[str, int | None], image: Inputs | None
    ) -> Flow[ReceptiveField]:
        """The receptive field of a unit in each input."""
        params = query({"layer": layer, **unit})
        if image is None:
            request = Request("GET", f"{self._path}/receptive-field", params)
            return cast("ReceptiveField", (yield from fetch_json(request)))
        # What a unit sees does not depend on values, so that edits and seeds change nothing.
        response = yield from self._send("receptive-field", image, params, is_run=False)
        return cast("ReceptiveField", json_object(response))

    def _send(
        self,
        resource: str,
        images: Inputs,
        params: list[tuple[str, str]],
        method: str = "GET",
        progress: Progress | None = None,
        *,
        is_run: bool = True,
    ) -> Flow[httpx2.Response]:
        path = f"{self._path}/{resource}"
        params = [*params, *self._of_run(params)] if is_run else params

        def streamed(request: Request) -> Request:
            headers = {**request.headers, "Accept": "application/x-ndjson"}
            return request if progress is None else replace(request, headers=headers, progress=progress)

        if isinstance(images, TensorFile):
            headers = {"Content-Type": "application/x-npy"}
            return (yield from fetch(streamed(Request("POST", path, params, headers, images.npy))))

        def request(ids: list[StoredId]) -> Request:
            if method == "GET" and isinstance(images, list):
                return Request("GET", path, repeated("image", ids) + params)
            body = json.dumps(named_by_id(images, ids)).encode()
            return Request("POST", path, params, {"Content-Type": "application/json"}, body)

        return (yield from self._uploads.use(pictures_in(images), lambda ids: streamed(request(ids))))

    def _of_run(self, params: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The edits and the seed of every run. A seed among the options of the call comes first."""
        is_given = any(name == "seed" for name, _ in params)
        return [*self._edits, *([] if is_given else self._seed)]


def _tensors(layers: str | Sequence[str], options: Mapping[str, object]) -> list[tuple[str, str]]:
    return repeated("layers", layers) + query({**options, "format": "safetensors"})


def _result(response: httpx2.Response) -> dict[str, Any]:
    """The result at the end of a stream."""
    body = json_object(response)
    if "result" not in body:
        raise failure(response) if "code" in body else unreadable("its stream ends without a result")
    return cast("dict[str, Any]", body["result"])


def _attributions(method: str) -> str:
    if _METHOD_NAME.fullmatch(method) is None:
        raise ValueError(f"This is no attribution method: {method[:80]!r}.")
    return f"attributions/{quote(method)}"
