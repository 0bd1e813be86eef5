"""Every call, as a flow: which request it makes and what its answer becomes."""

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, quote

import httpx2

from layerscope_client._activations import Activations
from layerscope_client._answers import (
    Atlas,
    Inspection,
    Plan,
    Predictions,
    ReceptiveField,
    Statistics,
    StoredImage,
)
from layerscope_client._attribution import Attribution, AttributionMethod
from layerscope_client._descriptions import (
    AddedModel,
    Graph,
    Layers,
    Limit,
    ModelDescription,
    ModelSummary,
    NamedModelVersion,
)
from layerscope_client._exchange import Flow, Form, Progress, Request, fetch, fetch_json, json_object
from layerscope_client._failures import failure, unreadable
from layerscope_client._images import ImageFile, Material, Pictures, StoredId, TensorFile, stored_id
from layerscope_client._options import Channels, query, repeated
from layerscope_client._picture import Picture
from layerscope_client._uploads import Uploads

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*")
"""Looser than the service's own rule, but without anything that could lead elsewhere in an address."""

_METHOD_NAME = re.compile(r"[A-Za-z0-9+-]+")


class ServiceCalls:
    """The calls that concern no model in particular."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def models(self) -> Flow[list[ModelSummary]]:
        """Every model."""
        return (yield from _listed("/v1/models", "models"))

    def limits(self) -> Flow[list[Limit]]:
        """Every bound in force."""
        return (yield from _listed("/v1/limits", "limits"))

    def colormaps(self) -> Flow[list[str]]:
        """Every name that `colormap` takes."""
        return (yield from _listed("/v1/colormaps", "colormaps"))

    def attribution_methods(self) -> Flow[list[AttributionMethod]]:
        """Every attribution method."""
        return (yield from _listed("/v1/attributions", "methods"))

    def version(self) -> Flow[dict[str, str]]:
        """The versions of the service and of what it runs on."""
        return (yield from fetch_json(Request("GET", "/v1/version")))

    def add_model(
        self, file: Path, name: str, declaration: Mapping[str, object] | None, *, load: bool
    ) -> Flow[AddedModel]:
        """Send a model file."""
        fields = {"name": name, "load": str(load).lower()}
        if declaration is not None:
            fields["declaration"] = json.dumps(declaration)
        request = Request("POST", "/v1/models", form=Form("model", file, fields))
        return cast("AddedModel", (yield from fetch_json(request)))

    def upload(self, image: ImageFile | StoredId) -> Flow[StoredImage]:
        """Store an image; of one that is stored, renew the time."""
        if isinstance(image, str):
            return StoredImage.of((yield from fetch_json(Request("GET", _image_path(image)))))
        return (yield from self._uploads.upload(image))

    def thumbnail(self, image: StoredImage | StoredId, side: int) -> Flow[bytes]:
        """A small picture of a stored image."""
        path = f"{_image_path(stored_id(image))}/thumbnail.png"
        return (yield from fetch(Request("GET", path, query({"side": side})))).content

    def forget(self, image: StoredImage | StoredId) -> Flow[None]:
        """Delete a stored image."""
        image_id = stored_id(image)
        self._uploads.forget(image_id)
        yield from fetch(Request("DELETE", _image_path(image_id)))


class ModelCalls:
    """The calls that concern one model."""

    def __init__(self, name: str, uploads: Uploads) -> None:
        if _MODEL_NAME.fullmatch(name) is None:
            raise ValueError(f"A model is named as name, name@version or name@label, not {name[:80]!r}.")
        self._path = f"/v1/models/{name}"
        self._uploads = uploads

    def describe(self) -> Flow[ModelDescription]:
        """All about the model."""
        return cast("ModelDescription", (yield from fetch_json(Request("GET", self._path))))

    def layers(self, selectors: Sequence[str]) -> Flow[Layers]:
        """The layers that match any of the selectors."""
        body = yield from fetch_json(Request("GET", f"{self._path}/layers", repeated("layers", selectors)))
        return Layers(_part(body, "layers"), _part(body, "model"), _part(body, "unreachable"))

    def load(self) -> Flow[NamedModelVersion]:
        """Load the version."""
        return cast("NamedModelVersion", (yield from fetch_json(Request("POST", f"{self._path}/load"))))

    def unload(self) -> Flow[NamedModelVersion]:
        """Unload the version."""
        return cast("NamedModelVersion", (yield from fetch_json(Request("POST", f"{self._path}/unload"))))

    def remove(self) -> Flow[None]:
        """Remove the version."""
        yield from fetch(Request("DELETE", self._path))

    def set_label(self, label: str) -> Flow[dict[str, int]]:
        """Let a label point at the version; all labels of the model."""
        body = yield from fetch_json(Request("PUT", self._label_path(label)))
        return cast("dict[str, int]", _part(body, "labels"))

    def remove_label(self, label: str) -> Flow[None]:
        """Let a label point at nothing."""
        yield from fetch(Request("DELETE", self._label_path(label)))

    def _label_path(self, label: str) -> str:
        return f"{self._path}/labels/{quote(label, safe='')}"

    def graph(self) -> Flow[Graph]:
        """The model for drawing."""
        return cast("Graph", (yield from fetch_json(Request("GET", f"{self._path}/graph"))))

    def activations(
        self, images: Material, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Activations]:
        """The values of layers for a batch."""
        response = yield from self._ask("activations", images, _tensors(layers, options))
        return Activations.of(response.content)

    def plan(
        self, images: Material | int, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Plan]:
        """What `activations` would be, and take."""
        params = _tensors(layers, options)
        if isinstance(images, int):
            request = Request("GET", f"{self._path}/plan", params + query({"batch": images}))
            return cast("Plan", (yield from fetch_json(request)))
        return cast("Plan", json_object((yield from self._ask("plan", images, params))))

    def feature_map(
        self,
        images: Material,
        layer: str,
        channel: int | None,
        channels: Channels | None,
        options: Mapping[str, object],
    ) -> Flow[Picture]:
        """A picture of one channel of a layer, or of several."""
        params = query({"layer": layer, "channel": channel, "channels": channels, **options})
        return Picture.of((yield from self._ask("feature-map.png", images, params)))

    def atlas(
        self,
        images: Material,
        layer: str,
        channel: int | None,
        channels: Channels | None,
        options: Mapping[str, object],
    ) -> Flow[Atlas]:
        """What lies where in the picture."""
        params = query({"layer": layer, "channel": channel, "channels": channels, **options})
        return cast("Atlas", json_object((yield from self._ask("feature-map.json", images, params))))

    def overlay(
        self, image: Material, layer: str, channel: int | None, options: Mapping[str, object]
    ) -> Flow[Picture]:
        """A map of a layer over the picture."""
        params = query({"layer": layer, "channel": channel, **options})
        return Picture.of((yield from self._ask("overlay.png", image, params)))

    def statistics(
        self, images: Material, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Statistics]:
        """Figures of layers and channels."""
        params = repeated("layers", layers) + query(options)
        return cast("Statistics", json_object((yield from self._ask("statistics", images, params))))

    def statistics_picture(self, images: Material, layers: str | Sequence[str]) -> Flow[Picture]:
        """A row a layer, with how its values are spread."""
        return Picture.of((yield from self._ask("statistics.png", images, repeated("layers", layers))))

    def predictions(self, images: Material, top: int) -> Flow[Predictions]:
        """The best classes of every output."""
        response = yield from self._ask("predictions", images, query({"top": top}))
        return cast("Predictions", json_object(response))

    def inspect(
        self, images: Material, layers: str | Sequence[str], options: Mapping[str, object]
    ) -> Flow[Inspection]:
        """Predictions, statistics and links, after one run."""
        params = repeated("layers", layers) + query(options)
        return cast("Inspection", json_object((yield from self._ask("inspect", images, params, "POST"))))

    def picture(self, link: str) -> Flow[Picture]:
        """What is behind a link to a picture."""
        path, _, params = link.partition("?")
        if not path.startswith("/v1/"):
            raise ValueError(f"This is no link of the service: {link[:80]!r}.")
        return Picture.of((yield from fetch(Request("GET", path, parse_qsl(params)))))

    def attribution(
        self, images: Material, method: str, options: Mapping[str, object], progress: Progress | None
    ) -> Flow[Attribution]:
        """Heat maps."""
        resource = _attributions(method)
        if progress is None:
            params = query({**options, "format": "safetensors"})
            return Attribution.of((yield from self._ask(resource, images, params)).content)
        response = yield from self._ask(resource, images, query(options), progress=progress)
        body = json_object(response)
        if "result" not in body:
            raise failure(response) if "code" in body else unreadable("its stream ends without a result")
        return Attribution.of_json(body["result"])

    def attribution_picture(
        self, image: Material, method: str, options: Mapping[str, object]
    ) -> Flow[Picture]:
        """A heat map over the picture."""
        return Picture.of((yield from self._ask(f"{_attributions(method)}.png", image, query(options))))

    def receptive_field(
        self, layer: str, unit: Mapping[str, int | None], image: Material | None
    ) -> Flow[ReceptiveField]:
        """The box of each input that a unit sees."""
        params = query({"layer": layer, **unit})
        if image is None:
            request = Request("GET", f"{self._path}/receptive-field", params)
            return cast("ReceptiveField", (yield from fetch_json(request)))
        return cast("ReceptiveField", json_object((yield from self._ask("receptive-field", image, params))))

    def _ask(
        self,
        resource: str,
        images: Material,
        params: list[tuple[str, str]],
        method: str = "GET",
        progress: Progress | None = None,
    ) -> Flow[httpx2.Response]:
        path = f"{self._path}/{resource}"

        def streamed(request: Request) -> Request:
            headers = {**request.headers, "Accept": "application/x-ndjson"}
            return request if progress is None else replace(request, headers=headers, progress=progress)

        match images:
            case TensorFile(npy):
                headers = {"Content-Type": "application/x-npy"}
                return (yield from fetch(streamed(Request("POST", path, params, headers, npy))))
            case dict():
                files, ask = list(itertools.chain(*images.values())), _ask_by_input(path, params, images)
            case list():
                files, ask = images, _ask_by_id(path, params, method)
        return (yield from self._uploads.use(files, lambda ids: streamed(ask(ids))))


def _tensors(layers: str | Sequence[str], options: Mapping[str, object]) -> list[tuple[str, str]]:
    return repeated("layers", layers) + query({**options, "format": "safetensors"})


def _ask_by_id(path: str, params: list[tuple[str, str]], method: str) -> Callable[[list[StoredId]], Request]:
    if method == "GET":
        return lambda ids: Request("GET", path, repeated("image", ids) + params)
    return lambda ids: _with_json(path, params, {"images": [{"id": each} for each in ids]})


def _with_json(path: str, params: list[tuple[str, str]], document: Mapping[str, object]) -> Request:
    body = json.dumps(document).encode()
    return Request("POST", path, params, {"Content-Type": "application/json"}, body)


def _ask_by_input(
    path: str, params: list[tuple[str, str]], images: Mapping[str, Pictures]
) -> Callable[[list[StoredId]], Request]:
    def ask(ids: list[StoredId]) -> Request:
        remaining = iter(ids)
        inputs = {name: [{"id": next(remaining)} for _ in batch] for name, batch in images.items()}
        return _with_json(path, params, {"inputs": inputs})

    return ask


def _attributions(method: str) -> str:
    if _METHOD_NAME.fullmatch(method) is None:
        raise ValueError(f"This is no attribution method: {method[:80]!r}.")
    return f"attributions/{quote(method)}"


def _listed(path: str, key: str) -> Flow[list[Any]]:
    body = yield from fetch_json(Request("GET", path))
    return list(_part(body, key))


def _part(body: Mapping[str, Any], key: str) -> Any:
    if key not in body:
        raise unreadable(f"it has no {key!r}")
    return body[key]


def _image_path(image_id: StoredId) -> str:
    return f"/v1/images/{image_id}"
