"""The commands `layerscope datasets …`: data sets of a service, in the directory that it reads."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from layerscope.start_messages import without_info_messages
from layerscope_api.cli.friendly_errors import friendly_errors
from layerscope_api.cli.settings import read_settings
from layerscope_api.cli.tables import print_rows
from layerscope_api.observability.console import PlainConsole

if TYPE_CHECKING:
    from layerscope.extraction.catalog import DataSetCatalog

app = typer.Typer(
    no_args_is_help=True,
    help="Name lists of images, for requests and jobs of a service.",
)

_console = PlainConsole(stderr=True)

_Datasets = Annotated[
    Path,
    typer.Option(
        envvar="LAYERSCOPE_DATASETS", file_okay=False, help="the folder of data sets that the service reads"
    ),
]
_Name = Annotated[str, typer.Argument(help="the name of a data set")]
_Json = Annotated[bool, typer.Option("--json", help="print JSON, also at a terminal")]


@app.command()
def add(
    name: Annotated[
        str, typer.Argument(help="lower case letters, digits, dots, dashes and underscores, at most 64")
    ],
    data: Annotated[
        str,
        typer.Argument(
            help="the images, such as photos:2026/: a place of LAYERSCOPE_PLACES and what is below it"
        ),
    ],
    datasets: _Datasets,
    labels: Annotated[
        str,
        typer.Option(metavar="none|folders|column:NAME|csv:PLACE:PATH", help="where the labels are from"),
    ] = "none",
) -> None:
    """Freeze the list of images of a data set under a name. The images stay where they are.

    A running service has it at once. The same list under the same name again changes nothing, and another one is refused.
    """
    with _catalog(datasets) as catalog:
        with _console.status("Reading the list of images …"):
            found, is_new = catalog.register(name, data, labels)
        outcome = "is now" if is_new else "was already"
        _console.print(f"{name} {outcome} registered. Images: {found.record.images:,}.")


@app.command(name="list")
def list_data_sets(datasets: _Datasets, as_json: _Json = False) -> None:
    """List the data sets."""
    with _catalog(datasets) as catalog:
        rows = [
            {
                "name": each.name,
                "images": each.images,
                "bytes": each.nbytes,
                "data": each.data,
                "labels": each.labels,
                "digest": each.digest[:12],
            }
            for each in catalog.records(catalog.names())
        ]
    print_rows(rows, whole="name", as_json=as_json)


@app.command()
def show(name: _Name, datasets: _Datasets, as_json: _Json = False) -> None:
    """Say how many images of a data set have each label."""
    with _catalog(datasets) as catalog:
        record = catalog.get(name).record
    rows = [{"label": label, "images": images} for label, images in record.counts.items()]
    if record.unlabelled:
        rows.append({"label": None, "images": record.unlabelled})
    _console.print(f"Images of {record.data}: {record.images:,}. Digest: {record.digest[:12]}.")
    print_rows(rows, whole="label", as_json=as_json)


@app.command()
def remove(name: _Name, datasets: _Datasets) -> None:
    """Forget a data set. Its images stay where they are."""
    with _catalog(datasets) as catalog:
        catalog.delete(name)


@contextmanager
def _catalog(datasets: Path) -> Iterator["DataSetCatalog"]:
    """The data sets of a folder."""
    with without_info_messages():
        from layerscope_api.context.data_sets import catalog_in  # noqa: PLC0415 - TensorFlow takes seconds to import

    with friendly_errors():
        yield catalog_in(datasets, read_settings())
