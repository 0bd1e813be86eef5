"""Every setting of the service. Each is a command line option and an environment variable `LAYERSCOPE_…`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FilePath, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from layerscope.limits import Limits
from layerscope.models.control import Mode
from layerscope.models.mirrors import is_elsewhere
from layerscope.models.mirrors.applications import Weights
from layerscope_api.observability.logs import LogFormat

WatchedLayer = Annotated[str, Field(pattern=r"^[^:]+:.", max_length=512)]
"""`model:selector`."""


class Settings(BaseSettings):
    """How the service is set up. Limits are settings too: `LAYERSCOPE_LIMITS__<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="LAYERSCOPE_", env_nested_delimiter="__", frozen=True, extra="ignore"
    )

    models: Path | str | None = Field(
        default=None,
        description="directory of models, or where they are fetched from: a URL such as `s3://bucket/models`,"
        " `models:/NAME` of MLflow, or `keras.applications:NAME`; without it the demo model is served",
    )
    weights: Weights = Field(
        default="none",
        description="for `keras.applications:NAME`: `none` are random, `imagenet` those that Keras downloads",
    )
    models_cache: Path | None = Field(
        default=None,
        description="directory in which models that are fetched are kept; without it `layerscope` in the user's cache,"
        " `$XDG_CACHE_HOME` or `~/.cache`",
    )
    control: Mode = Field(
        default="none",
        description="what decides which models are in memory: `none` loads all of the directory at the start, `explicit` those"
        " that it is told to, `poll` all, as the directory is now",
    )
    load: tuple[str, ...] = Field(
        default=(),
        description="with `explicit`, what is loaded at the start: names, `name@version`, or `*` for all",
    )
    poll_seconds: float = Field(
        default=5.0, gt=0, description="with `poll`, how long from one look at the directory to the next"
    )
    allow_upload: bool = Field(
        default=False,
        description="take model files over HTTP into `models`, and remove them; with keys, from those with `models:write`",
    )
    trust_savedmodel: bool = Field(
        default=False, description="open SavedModel folders too: they are programs, trust whoever made them"
    )
    exact: bool = Field(
        default=True,
        description="answer with values that are the same to the last bit whatever is computed with them; without,"
        " images run together also where that changes the last bits, which is faster on many processors and on GPUs",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="how many processes answer requests, each with all models in its memory",
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65_535, description="port to listen on; 0 picks a free one")
    api_keys: FilePath | None = Field(
        default=None,
        description="file of the API keys that are let in, see `layerscope keys`; without it everybody is",
    )
    insecure_no_auth: bool = Field(
        default=False, description="let everybody in who reaches this machine, also from the network"
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="names by which callers may call the service, besides this machine's own and `host`; `*` allows all",
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="origins whose pages may read the answers and ask for changes; none by default"
    )
    log_format: LogFormat = Field(
        default="text", description="how a line of the log is written, one a request: `text` or `json`"
    )
    watch_layers: tuple[WatchedLayer, ...] = Field(
        (),
        description="layers that are looked at whatever is asked of a model, and told of at `/metrics`: `model:selector`, the"
        " model by name, `name@version`, or `*` for all; see docs/monitoring.md",
    )
    watch_images: int = Field(
        default=256, ge=1, description="how many of the images that were run last `watch_layers` looks at"
    )
    drain_seconds: int = Field(
        default=1,
        ge=0,
        description="after SIGTERM, how long the service goes on while it says that it is not ready, so that no new work is"
        " sent to it",
    )
    grace_seconds: int = Field(
        default=30, ge=1, description="how long, after that, work in flight may take to finish"
    )
    max_age_seconds: int = Field(
        default=86_400, ge=0, description="how long clients may keep an answer for an exact version, name@3"
    )
    limits: Limits = Field(default_factory=Limits, description="the bounds in force, see docs/limits.md")

    @field_validator("models", mode="before")
    @classmethod
    def _is_a_place(cls, models: Any) -> Any:
        if isinstance(models, str) and is_elsewhere(models):
            return models
        if models is not None and not Path(models).is_dir():
            raise ValueError(f"there is no directory {models}")
        return None if models is None else Path(models)

    @field_validator("allow_upload")
    @classmethod
    def _needs_a_directory(cls, allowed: bool, info: ValidationInfo) -> bool:
        if allowed and not isinstance(info.data.get("models"), Path):
            raise ValueError("models that are sent need a directory of this machine, add --models DIR")
        return allowed
