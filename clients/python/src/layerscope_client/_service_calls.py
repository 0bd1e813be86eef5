"""Flows of the calls that concern no model in particular: their requests, and the results of their answers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from layerscope_client._attribution import AttributionMethod
from layerscope_client._descriptions import (
    AddedModel,
    Limit,
    ModelSummary,
)
from layerscope_client._flows import Flow, Form, Request, fetch, fetch_json, part_of
from layerscope_client._images import ImageFile, StoredId, stored_id
from layerscope_client._options import query
from layerscope_client._results import (
    StoredImage,
)
from layerscope_client._uploads import Uploads


class ServiceCalls:
    """Flows of the calls that concern no model in particular."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    def models(self) -> Flow[list[ModelSummary]]:
        """Every model."""
        return (yield from _listed("/v1/models", "models"))

    def limits(self) -> Flow[list[Limit]]:
        """Every limit in force."""
        return (yield from _listed("/v1/limits", "limits"))

    def colormaps(self) -> Flow[list[str]]:
        """The names of all colormaps."""
        return (yield from _listed("/v1/colormaps", "colormaps"))

    def attribution_methods(self) -> Flow[list[AttributionMethod]]:
        """Every attribution method."""
        return (yield from _listed("/v1/attributions", "methods"))

    def version(self) -> Flow[dict[str, str]]:
        """The versions of the service and of its libraries."""
        return (yield from fetch_json(Request("GET", "/v1/version")))

    def add_model(
        self, file: Path, name: str, declaration: Mapping[str, object] | None, *, load: bool
    ) -> Flow[AddedModel]:
        """Upload a model file."""
        fields = {"name": name, "load": str(load).lower()}
        if declaration is not None:
            fields["declaration"] = json.dumps(declaration)
        request = Request("POST", "/v1/models", form=Form("model", file, fields))
        return cast("AddedModel", (yield from fetch_json(request)))

    def upload(self, image: ImageFile | StoredId) -> Flow[StoredImage]:
        """Upload an image; for a stored image, renew its time."""
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


def _listed(path: str, key: str) -> Flow[list[Any]]:
    body = yield from fetch_json(Request("GET", path))
    return list(part_of(body, key))


def _image_path(image_id: StoredId) -> str:
    return f"/v1/images/{image_id}"
