"""The commands `layerscope extract …`: layers of every image of a data set, into files, whatever interrupts it."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from layerscope.errors import LayerscopeError, OptionInvalid
from layerscope.extraction.job import PartFormat
from layerscope.graph.runtime.plans import Runtime
from layerscope.start_messages import without_info_messages
from layerscope.tensors.options import Reduction, TensorOptions
from layerscope_api.cli.settings import read_settings
from layerscope_api.observability.console import PlainConsole

if TYPE_CHECKING:
    from layerscope.execution.local_engine import LocalEngine
    from layerscope.extraction.output import Output, Status
    from layerscope.graph.loading.prepared_files import PreparedFiles

app = typer.Typer(
    no_args_is_help=True,
    help="Write layers of every image of a data set to files; what is interrupted goes on.",
)

_NOT_DONE, _SOME_FAILED = 1, 3

_errors = PlainConsole(stderr=True)

_Folder = Annotated[str, typer.Argument(help="the folder of a job, or its URL")]
_On = Annotated[
    str,
    typer.Option(
        "--on", metavar="here|processes:N|ray|ray://HEAD:10001|dask://SCHEDULER:8786", help="where it is done"
    ),
]
_Share = Annotated[
    str | None,
    typer.Option(metavar="K/N", help="do only the K-th of N shares, K from 0, as one of many machines does"),
]
_MostFailed = Annotated[
    str, typer.Option("--max-failed", metavar="PERCENT", help="end the job if more of its images fail")
]
_Json = Annotated[bool, typer.Option("--json", help="print lines of JSON, also at a terminal")]


@app.callback()
def _extract() -> None:
    """Write layers of every image of a data set to files; what is interrupted goes on."""


@app.command("run")
def run_job(
    data: Annotated[
        str,
        typer.Option(
            help="a folder of images, a pattern such as 'photos/**/*.jpg', a .tar or .zip archive, a .parquet table, a .npy or .npz array, texts in a .jsonl file,"
            " or a .txt list; or the URL of one"
        ),
    ],
    to: Annotated[str, typer.Option(help="the folder for the result, or the URL of one")],
    model: Annotated[str, typer.Option(help="`name`, `name@version` or `name@label`")],
    layers: Annotated[list[str], typer.Option(help="layer selectors")],
    models: Annotated[
        str | None,
        typer.Option(
            help="the model directory, or a source such as s3://bucket/models; the default is the demo model"
        ),
    ] = None,
    trust_savedmodel: Annotated[
        bool, typer.Option("--trust-savedmodel", help="open SavedModel folders, too")
    ] = False,
    reduce: Annotated[str, typer.Option(metavar="none|mean|max|l2", help="one number a channel")] = "none",
    channels: Annotated[str, typer.Option(help="channels to keep, such as 0,3,5-8")] = "all",
    stride: Annotated[int, typer.Option(min=1, help="keep every n-th place of maps")] = 1,
    dtype: Annotated[
        str, typer.Option(metavar="native|float32|float16", help="type of the numbers")
    ] = "native",
    form: Annotated[
        str, typer.Option("--format", metavar="parquet|safetensors|npy|zarr", help="format of the parts")
    ] = "safetensors",
    part_images: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="images of a part; by default about 64 MiB")
    ] = None,
    runtime: Annotated[
        str,
        typer.Option(
            metavar="tensorflow|openvino",
            help="what runs the model; openvino is an extra, for Intel and AMD processors",
        ),
    ] = "tensorflow",
    on: _On = "here",
    share: _Share = None,
    max_failed: _MostFailed = "100%",
    as_json: _Json = False,
) -> None:
    """Begin a job, or go on with it: the same command, after whatever ended it.

    Exit code 0 means that all images are in the result, 3 that some are listed in failed/, 1 that it is not done.
    """
    with _telling(as_json):
        with without_info_messages():
            from layerscope.extraction.planning import Request, opened_job  # noqa: PLC0415 - TensorFlow takes seconds

        options = TensorOptions(
            channels=channels, stride=stride, reduce=cast("Reduction", reduce), dtype=cast("Any", dtype)
        )
        request = Request(
            models=models,
            model=model,
            trusted=trust_savedmodel,
            layers=layers,
            options=options,
            data=data,
            format=_one_of(PartFormat, form, "format"),
            shard_images=part_images,
            runtime=_one_of(Runtime, runtime, "runtime"),
        )
        with ExitStack() as stack:
            with _errors.status("Reading the list of images …"):
                output, engine = stack.enter_context(opened_job(request, to, _kept_models()))
            if on != "here":
                # Elsewhere, the model is opened again.
                stack.close()
            _do(output, on, share, max_failed, as_json=as_json, engine=engine)


@app.command()
def status(
    folder: _Folder,
    as_json: _Json = False,
) -> None:
    """Say how far a job is, from what lies in its folder, whoever does it."""
    with _telling(as_json):
        with without_info_messages():
            from layerscope.extraction.output import Output  # noqa: PLC0415 - see run_job
            from layerscope.extraction.places import absolute  # noqa: PLC0415

        found = Output(absolute(folder)).status()
        _tell("result" if found.is_complete else "progress", found, as_json=as_json)
        raise typer.Exit(_exit_code(found))


@app.command()
def retry(
    folder: _Folder,
    on: _On = "here",
    max_failed: _MostFailed = "100%",
    as_json: _Json = False,
) -> None:
    """Try again every image that failed, and do what is left."""
    with _telling(as_json):
        with without_info_messages():
            from layerscope.extraction.output import Output  # noqa: PLC0415 - see run_job
            from layerscope.extraction.places import absolute  # noqa: PLC0415

        output = Output(absolute(folder))
        output.forget_failed()
        _do(output, on, None, max_failed, as_json=as_json)


def _do(
    output: "Output",
    on: str,
    share: str | None,
    max_failed: str,
    *,
    as_json: bool,
    engine: "LocalEngine | None" = None,
) -> None:
    from layerscope.extraction.runners import runner_named  # noqa: PLC0415 - see run_job
    from layerscope.extraction.running import run  # noqa: PLC0415

    runner = runner_named(on, _kept_models(), engine)
    with _progress(as_json) as progress:
        found = run(
            output, runner, share=_share_of(share), most_failed=_percent(max_failed) / 100, progress=progress
        )
    _tell("result" if found.is_complete else "progress", found, as_json=as_json)
    # With a share of the work, the others do the rest.
    code = _exit_code(found)
    raise typer.Exit((_SOME_FAILED if found.failed else 0) if share else code)


def _kept_models() -> "PreparedFiles | None":
    from layerscope_api.context.kept_models import prepared_files  # noqa: PLC0415 - see run_job

    return prepared_files(read_settings())


@contextmanager
def _progress(as_json: bool) -> Iterator[Callable[["Status"], None]]:
    """Shows how far a job is: a bar for people, a line of JSON for each part for programs."""
    if as_json or not sys.stderr.isatty():
        lines = sys.stdout
        # What Ray prints of its workers does not come between the lines.
        with redirect_stdout(sys.stderr):
            yield lambda found: typer.echo(_line("progress", found), file=lines)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=_errors) as bar:
        task = bar.add_task("", total=None)

        def show(found: "Status") -> None:
            failed = f"{found.failed} failed" if found.failed else ""
            bar.update(task, total=found.images, completed=found.done + found.failed, description=failed)

        yield show


def _tell(kind: str, found: "Status", *, as_json: bool) -> None:
    if as_json or not sys.stdout.isatty():
        typer.echo(_line(kind, found))
        return
    typer.echo(f"{found.done:,} of {found.images:,} images are done, {found.failed:,} failed.")


def _line(kind: str, found: "Status") -> str:
    counts = {"done": found.done, "failed": found.failed, "total": found.images, "parts": found.parts}
    return json.dumps({kind: counts})


@contextmanager
def _telling(as_json: bool) -> Iterator[None]:
    try:
        yield
    except LayerscopeError as error:
        if as_json:
            typer.echo(json.dumps({"error": {"code": error.code, "message": error.message}}))
        _errors.print(error.message, style="red")
        raise typer.Exit(_NOT_DONE) from error


def _exit_code(found: "Status") -> int:
    if not found.is_complete:
        return _NOT_DONE
    return _SOME_FAILED if found.failed else 0


def _one_of(names: Any, text: str, option: str) -> Any:
    """A text that must be one of the names of a `Literal`."""
    if text not in get_args(names):
        raise OptionInvalid(f"{option} must be one of {', '.join(get_args(names))}.", option=option)
    return text


def _share_of(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 1
    first, _, last = text.partition("/")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise OptionInvalid(f"share={text[:50]!r} is not K/N with K from 0 to N-1.", option="share")
    return int(first), int(last)


def _percent(text: str) -> float:
    try:
        percent = float(text.removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise OptionInvalid(f"max-failed={text[:50]!r} is no percentage from 0 to 100.", option="max_failed")
    return percent
