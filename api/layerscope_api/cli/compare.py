"""The command `layerscope compare`: where two model files begin to differ on the same images, for people and for CI."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.comparison import Tolerance
from layerscope.errors import LayerscopeError
from layerscope.images import ImageDescription, describe
from layerscope.interventions import parse_edit
from layerscope.limits import Limits
from layerscope.models.lite_files import SUFFIX
from layerscope.start_messages import without_info_messages
from layerscope_api.cli.comparison_reports import junit_xml, markdown
from layerscope_api.cli.settings import read_settings
from layerscope_api.observability.console import PlainConsole

if TYPE_CHECKING:
    from layerscope.execution.comparison_query import Comparison
    from layerscope.graph.lite.model import LiteModel
    from layerscope.graph.model import LoadedModel

_SAME, _DRIFTED, _NOT_COMPARABLE = 0, 1, 2
_MODEL = "a .keras, .h5 or .hdf5 file, the folder of a version, or a SavedModel folder you trust"
_FILES = ("model.keras", "model.h5", "model.hdf5")

_errors = PlainConsole(stderr=True)


def compare(
    reference: Annotated[Path, typer.Argument(exists=True, help=f"the trusted model: {_MODEL}")],
    candidate: Annotated[
        Path,
        typer.Argument(
            exists=True, help="the model that is compared with it, or a .tflite file converted from it"
        ),
    ],
    images: Annotated[Path, typer.Option(exists=True, file_okay=False, help="a folder of image files")],
    layers: Annotated[list[str] | None, typer.Option(help="layer selectors; all layers if left out")] = None,
    most: Annotated[
        float, typer.Option(min=0, help="largest relative L2 of a layer that is no drift")
    ] = 0.01,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="reference=candidate, how layers are renamed, as backbone/**=encoder/**"),
    ] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(help="a change inside the candidate, such as 'conv2;channels=3;set=0'"),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(dir_okay=False, help="a file for JUnit XML, one test a layer")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="of the random numbers of models that draw any")
    ] = 0,
) -> None:
    """Compare two models on the same images, and print a Markdown table of all layers.

    Exit code 0 means that no layer changed by more than --most, 1 that one did, has another shape or no partner, and 2 that they
    cannot be compared.
    """
    try:
        found = _compared(
            (reference, candidate), images, layers or ["all"], most, rule or [], edit or [], seed
        )
        if junit is not None:
            junit.write_bytes(junit_xml(found, most))
    except (LayerscopeError, OSError) as error:
        reason = error.message if isinstance(error, LayerscopeError) else str(error)
        _errors.print(f"They cannot be compared: {reason}", style="red")
        raise typer.Exit(_NOT_COMPARABLE) from error
    typer.echo(markdown(found, most))
    raise typer.Exit(_DRIFTED if found.verdict == "drifted" else _SAME)


def _compared(
    models: tuple[Path, Path],
    folder: Path,
    layers: list[str],
    most: float,
    rules: list[str],
    edits: list[str],
    seed: int,
) -> "Comparison":
    with without_info_messages():
        # TensorFlow takes seconds to import; --help should not.
        from layerscope.execution.comparison_plan import ComparisonPlan  # noqa: PLC0415
        from layerscope.execution.comparison_query import ComparisonQuery  # noqa: PLC0415
        from layerscope.execution.comparison_run import ComparisonRun  # noqa: PLC0415
        from layerscope.execution.inputs import ANY_INPUT, ImageSource  # noqa: PLC0415
        from layerscope.execution.lanes import Lanes  # noqa: PLC0415
        from layerscope.execution.working_memory import WorkingMemory  # noqa: PLC0415

    limits = read_settings().limits
    sources = [ImageSource(data) for data in _images(folder, limits)]
    # The bounds protect a service; here are the user's own images and time, and nobody waits for short work.
    hours = 24 * 3_600_000
    limits = replace(
        limits,
        images_per_request=max(1, len(sources)),
        attribution_milliseconds=hours,
        short_milliseconds=hours,
    )
    query = ComparisonQuery(
        reference=str(models[0]),
        candidate=str(models[1]),
        sources={ANY_INPUT: sources},
        layers=layers,
        match="rules" if rules else "address",
        rules=rules,
        tolerance=Tolerance(most),
        edits=[parse_edit(text) for text in edits],
        seed=seed,
    )
    with (
        closing(Lanes(limits)) as lanes,
        closing(_opened(models[0])) as one,
        closing(_candidate(models[1], one, limits)) as other,
    ):
        plan = ComparisonPlan(one, other, query, limits)
        with ComparisonRun(plan, limits, lanes, WorkingMemory.of(limits)).run() as found:
            return found


def _images(folder: Path, limits: Limits) -> list[bytes]:
    """The image files of a folder, by name. Other files are passed over."""
    found = []
    for path in sorted(each for each in folder.iterdir() if each.is_file() and each.name[0] != "."):
        data = path.read_bytes()
        if _described(data, limits) is not None:
            found.append(data)
    return found


def _described(data: bytes, limits: Limits) -> ImageDescription | None:
    try:
        return describe(data, limits)
    except LayerscopeError:
        return None


def _candidate(path: Path, reference: "LoadedModel", limits: Limits) -> "LoadedModel | LiteModel":
    from layerscope.graph.lite.model import LiteModel  # noqa: PLC0415 - see _compared

    return LiteModel(path, reference, limits) if path.suffix == SUFFIX else _opened(path)


def _opened(path: Path) -> "LoadedModel":
    """A model in this process, with the declaration that lies beside its file."""
    from layerscope.graph.loading.prepare import prepare  # noqa: PLC0415 - see _compared
    from layerscope.graph.model import assemble  # noqa: PLC0415
    from layerscope.models.directory import ModelSource  # noqa: PLC0415

    file = next((path / name for name in _FILES if (path / name).is_file()), path)
    source = ModelSource(path.stem or "model", 1, file, file.parent, trusted=True)
    return assemble(source, prepare(source), plan_bytes=Limits().plan_bytes)
