"""Planning: from what a caller asks for to a job that any process can do a part of, before anything is computed for it."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from layerscope.errors import InputMismatch, JobDiffers, LayerscopeError, OptionInvalid
from layerscope.execution.local_engine import LocalEngine
from layerscope.extraction.data_sets import DataSet, open_data_set
from layerscope.extraction.extractor import engine_for, query_of
from layerscope.extraction.formats import writer_of
from layerscope.extraction.job import Column, Job, PartFormat
from layerscope.extraction.manifest import all_rows, freeze
from layerscope.extraction.model_directory import named_for_all
from layerscope.extraction.output import Output, create
from layerscope.extraction.places import absolute, place_at
from layerscope.graph.loading.prepared_files import PreparedFiles
from layerscope.graph.runtime.plans import Runtime
from layerscope.limits import MIB, Limits
from layerscope.models.durable import storing
from layerscope.tensors.options import TensorOptions

_PART_BYTES = 64 * MIB
_MOST_SHARD_IMAGES = 500
_TRIED = 100
"""How many images may fail before one tells the shapes."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a caller asks for.

    Attributes:
        models: the model directory, or a source as for `serve`, such as a URL; None for the demo model's.
        model: `name`, `name@version` or `name@label`.
        trusted: whether SavedModels may be opened.
        layers: selectors.
        options: what makes the values smaller.
        data: the data set, see `open_data_set`.
        format: of the parts.
        shard_images: how many images a part has at most; None chooses, so that a part has about 64 MiB.
        digest: of the model that is meant; None for whichever is there.
        within: the folder that no image may be outside of, also behind links; None for no such bound.
        manifest: the frozen list of its images; None if they are to be listed now.
        runtime: what runs the model.
    """

    models: Path | str | None
    model: str
    trusted: bool = False
    layers: Sequence[str]
    options: TensorOptions
    data: str
    format: PartFormat
    shard_images: int | None = None
    digest: str | None = None
    within: Path | None = None
    manifest: Path | None = None
    runtime: Runtime = "tensorflow"


def planned(request: Request, to: str, prepared: PreparedFiles | None = None) -> Output:
    """The result of a job with everything that doing it takes; the same request finds its job again.

    Args:
        request: what is asked for.
        to: the place for the result, a directory or a URL.
        prepared: where opened models are kept.

    Raises:
        LayerscopeError: the model, the layers or the data set are not there, or the place has another job.
    """
    with opened_job(request, to, prepared) as (output, _):
        return output


@contextmanager
def opened_job(
    request: Request, to: str, prepared: PreparedFiles | None = None, limits: Limits | None = None
) -> Iterator[tuple[Output, LocalEngine]]:
    """A planned job, see `planned`, and the engine that opened its model, which can do the job while the block runs.

    Args:
        request: what is asked for.
        to: the place for the result.
        prepared: where opened models are kept.
        limits: the bounds of that engine; None for the defaults.
    """
    require_one_meaning(request.options)
    writer_of(request.format)
    models = named_for_all(request.models)
    data, to = absolute(request.data), absolute(to)
    with storing("The folder of the result"):
        place_at(to, "to").make()
    with (
        tempfile.TemporaryDirectory(prefix="layerscope-") as arriving,
        engine_for(
            models,
            request.model,
            trusted=request.trusted,
            prepared=prepared,
            limits=limits,
            runtime=request.runtime,
        ) as engine,
    ):
        model = engine.describe(request.model)
        if request.digest not in {None, model.digest}:
            raise JobDiffers(
                f"{request.model} is another model now than the one that was meant.", model=request.model
            )
        manifest = Path(arriving, "manifest.jsonl")
        data_set = open_data_set(data, request.within)
        with storing("The folder for temporary files"):
            frozen = freeze(
                data_set.rows() if request.manifest is None else all_rows(request.manifest), manifest
            )
        columns = _columns(request, engine, data_set, manifest)
        job = Job(
            models=models,
            model=f"{model.name}@{model.version}",
            digest=model.digest,
            trusted=request.trusted,
            columns=columns,
            options=request.options,
            data=data,
            within=None if request.within is None else str(request.within),
            manifest=frozen.digest,
            images=frozen.images,
            shard_images=request.shard_images or _fitting(columns),
            format=request.format,
            runtime=request.runtime,
        )
        output = create(to, job, manifest)
        yield output, engine


def require_one_meaning(options: TensorOptions) -> None:
    """Check that values of all images mean the same.

    Raises:
        OptionInvalid: they would not.
    """
    if options.dtype == "uint8":
        raise OptionInvalid("dtype=uint8 has a scale for each image: use float16.", option="dtype")
    if options.channels.strip().startswith("top:"):
        raise OptionInvalid(
            "channels=top:k chooses other channels for each image: list them.", option="channels"
        )


def _columns(request: Request, engine: LocalEngine, data_set: DataSet, manifest: Path) -> tuple[Column, ...]:
    """The layers, with the shapes that they have for the first image that can be read."""
    reason: LayerscopeError | None = None
    for row, _ in zip(all_rows(manifest), range(_TRIED), strict=False):
        try:
            source = data_set.read(row, engine.limits.body_bytes)
            with engine.prepare(query_of(request.model, request.layers, source)) as prepared:
                specs = [each.reduced(request.options) for each in prepared.plan.specs]
                prepared.plan.require_computable()
                if request.runtime != "tensorflow":
                    # It refuses models only when it has to run them.
                    with prepared.run():
                        pass
        except (InputMismatch, OptionInvalid):
            raise
        except LayerscopeError as error:
            if not _is_of_image(error):
                raise
            reason = error
            continue
        return tuple(Column(each.address, each.shape[1:], each.dtype.name) for each in specs)
    assert reason is not None  # noqa: S101 - a manifest has an image
    raise reason


def _is_of_image(error: LayerscopeError) -> bool:
    return error.code.startswith(("image_", "unsupported_image", "input_", "tensor_", "text_", "body_"))


def _fitting(columns: Sequence[Column]) -> int:
    return max(1, min(_MOST_SHARD_IMAGES, _PART_BYTES // max(1, sum(each.nbytes for each in columns))))
