"""Every setting of the service. Each is a command line option and an environment variable `LAYERSCOPE_…`."""

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FilePath, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from layerscope.errors import OptionInvalid
from layerscope.limits import Limits
from layerscope.models.control import Mode
from layerscope.models.mirrors import is_elsewhere
from layerscope.models.mirrors.applications import Weights
from layerscope.models.mirrors.filesystems import is_url, require_driver
from layerscope_api.context.places import PLACE_NAME, RESERVED
from layerscope_api.observability.logs import LogFormat

WatchedLayer = Annotated[str, Field(pattern=r"^[^:]+:.", max_length=512)]
"""`model:selector`."""

PlaceName = Annotated[str, Field(pattern=PLACE_NAME)]


class Settings(BaseSettings):
    """How the service is set up. Limits are settings too: `LAYERSCOPE_LIMITS__<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="LAYERSCOPE_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    models: Path | str | None = Field(
        default=None,
        description="model directory, or a source to fetch models from: a URL such as `s3://bucket/models`,"
        " `models:/NAME` of MLflow, `keras.applications:NAME`, or `layerscope:demo`; the default is the demo model `digits`",
    )
    weights: Weights = Field(
        default="none",
        description="weights of `keras.applications:NAME`: `none` (random) or `imagenet` (downloaded by Keras)",
    )
    models_cache: Path | None = Field(
        default=None,
        description="directory for fetched and for opened models; the default is `layerscope` in the user's cache,"
        " `$XDG_CACHE_HOME` or `~/.cache`",
    )
    keep_prepared: bool = Field(
        default=True,
        description="keep opened models in `models_cache`, so that workers and later starts of the service need not open"
        " them again; their weights are in memory once, whatever the number of workers",
    )
    control: Mode = Field(
        default="none",
        description="which models are in memory: `none` loads all models of the directory at the start,"
        " `explicit` loads and unloads them on request, `poll` follows the directory",
    )
    load: tuple[str, ...] = Field(
        default=(),
        description="models that `explicit` loads at the start: names, `name@version`, or `*` for all",
    )
    poll_seconds: float = Field(
        default=5.0, gt=0, description="time between two reads of the directory by `poll`, in seconds"
    )
    allow_upload: bool = Field(
        default=False,
        description="accept model files over HTTP into `models`, and remove them on request; if keys are in"
        " use, from keys with `models:write`",
    )
    trust_savedmodel: bool = Field(
        default=False, description="open SavedModel folders, too: they are programs, so trust their authors"
    )
    exact: bool = Field(
        default=True,
        description="run each image by itself, so that its values do not depend on the images that come with it;"
        " off, images share batches, which changes values by rounding, and is faster on many processors and on GPUs",
    )
    graph_rewrites: bool = Field(
        default=True,
        description="fuse convolutions with the normalization behind them, which is faster; each model is compared with the"
        " graph as it was saved when it is loaded, and runs as saved if a value differs by more than rounding",
    )
    places: dict[PlaceName, str] = Field(
        default={},
        description='folders that requests may name, by name: `{"photos": "/data/photos"}` lets `photos:2026/` be read;'
        " nothing else of this machine can be named",
    )
    writable_places: tuple[str, ...] = Field(
        default=(), description="names of those `places` in which folders with results may be made"
    )
    image_store: Path | str | None = Field(
        default=None,
        description="where stored images are, for all services that have the same: a directory that their machines mount, or a URL such"
        " as `s3://bucket/images`; the default is memory, which the workers of one service share",
    )
    jobs: Path | None = Field(
        default=None,
        description="folder in which the service keeps its list of jobs; without it, it does none. Several services may share"
        " one, and have the same `models` and `places` then",
    )
    datasets: Path | None = Field(
        default=None,
        description="folder in which the service keeps registered data sets; without it, it has none. Several services may share"
        " one, and have the same `places` then",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="number of processes that answer requests, each with all models in its memory",
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65_535, description="port to listen on; 0 picks a free one")
    api_keys: FilePath | None = Field(
        default=None,
        description="file of the API keys that are accepted, see `layerscope keys`; without it, no key is needed",
    )
    insecure_no_auth: bool = Field(
        default=False,
        description="accept everybody who can reach this machine, also from the network, without a key",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="host names that callers may use for the service, besides those of this machine and `host`;"
        " `*` allows all",
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description="origins whose pages may read answers and send changes, such as `https://example.org`; `*` allows all; none"
        " by default",
    )
    log_format: LogFormat = Field(
        default="text", description="format of the log, one line for each request: `text` or `json`"
    )
    watch_layers: tuple[WatchedLayer, ...] = Field(
        (),
        description="layers whose statistics `/metrics` gives, over all images that run through a model:"
        " `model:selector`, where the model is a name, `name@version`, or `*` for all; see docs/how-to/monitoring.md",
    )
    watch_images: int = Field(
        default=256, ge=1, description="number of most recent images that `watch_layers` covers"
    )
    drain_seconds: int = Field(
        default=1,
        ge=0,
        description="time after SIGTERM during which the service still answers but reports that it is not"
        " ready, so that it gets no new work, in seconds",
    )
    grace_seconds: int = Field(
        default=30, ge=1, description="time after that for requests to finish, in seconds"
    )
    max_age_seconds: int = Field(
        default=86_400,
        ge=0,
        description="time for which clients may cache an answer for an exact version, `name@3`, in seconds",
    )
    limits: Limits = Field(
        default_factory=Limits, description="the limits in force, see docs/reference/limits.md"
    )

    @property
    def cache(self) -> Path:
        """The directory for fetched and for opened models."""
        user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return self.models_cache or Path(user) / "layerscope"

    @field_validator("models", mode="before")
    @classmethod
    def _is_a_place(cls, models: Any) -> Any:
        if isinstance(models, str) and is_elsewhere(models):
            return models
        if models is not None and not Path(models).is_dir():
            raise ValueError(f"there is no directory {models}")
        return None if models is None else Path(models)

    @field_validator("places")
    @classmethod
    def _are_there(cls, places: dict[str, str]) -> dict[str, str]:
        if RESERVED in places:
            raise ValueError(f"a place cannot be named {RESERVED}")
        for where in places.values():
            if "://" not in where and not Path(where).is_dir():
                raise ValueError(f"there is no directory {where}")
        return {
            name: where if "://" in where else str(Path(where).absolute()) for name, where in places.items()
        }

    @field_validator("writable_places")
    @classmethod
    def _are_places(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if missing := set(names) - set(info.data.get("places", ())):
            raise ValueError(f"places has no {', '.join(sorted(missing))}")
        return names

    @field_validator("image_store", mode="before")
    @classmethod
    def _is_a_store(cls, store: Any) -> Any:
        if isinstance(store, str) and is_url(store):
            try:
                require_driver(store, "image_store")
            except OptionInvalid as error:
                raise ValueError(error.message) from error
            return store
        if store is not None and not Path(store).is_dir():
            raise ValueError(f"there is no directory {store}")
        return None if store is None else Path(store)

    @field_validator("cors_origins")
    @classmethod
    def _as_browsers_write_them(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(origin.strip().lower().removesuffix("/") for origin in origins)

    @field_validator("allow_upload")
    @classmethod
    def _needs_a_directory(cls, allowed: bool, info: ValidationInfo) -> bool:
        if allowed and not isinstance(info.data.get("models"), Path):
            raise ValueError("models that are sent need a directory of this machine, add --models DIR")
        return allowed
