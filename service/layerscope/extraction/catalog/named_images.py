"""Images that a request names: stored ones by their ids, and those of data sets, such as `dataset:val/17`."""

import re
from dataclasses import replace

from layerscope.errors import BodyTooLarge, ControlRefused, OptionInvalid
from layerscope.execution.inputs import Source, TensorSource, source_of
from layerscope.execution.working_memory import Account
from layerscope.extraction.catalog.catalog import DATA_SET_NAME, DataSetCatalog
from layerscope.extraction.catalog.registered import RegisteredDataSet
from layerscope.images import ImageStore
from layerscope.limits import Limits

PREFIX = "dataset:"

_REFERENCE = re.compile(rf"{PREFIX}({DATA_SET_NAME})/(0|[1-9][0-9]{{0,8}})")
_MENTION = re.compile(rf"{PREFIX}({DATA_SET_NAME})/")


class NamedImages:
    """Fetches the images that one request names. It blocks: use it in a worker thread.

    Args:
        store: has the stored images.
        catalog: has the data sets; None if the service keeps none.
        account: of the request, in which images of data sets count like those of its body.
        limits: the bounds in force.
    """

    def __init__(
        self, store: ImageStore, catalog: DataSetCatalog | None, account: Account, limits: Limits
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._account = account
        self._limits = limits
        self._left = limits.body_bytes

    def source(self, name: str, preprocess: bool = False) -> Source:
        """The image of a name.

        Args:
            name: the id of a stored image, or `dataset:NAME/NUMBER`.
            preprocess: whether a tensor is pixels, to which the preprocessing of the model is applied.

        Raises:
            ImageNotFound: no image is stored under that id.
            DataSetNotFound: there is no such data set, or no image of that number in it.
            InputChanged: the image is not there any more, or is another than when the data set was registered.
            OptionInvalid: it names an image of a data set, and has not the form of such a name.
            BodyTooLarge: images of data sets are longer than the body of a request may be.
            ControlRefused: the service keeps no data sets.
            MemoryBusy, QuotaExceeded: there is no room for it, see `WorkingMemory.receive`.
        """
        if not name.startswith(PREFIX):
            return source_of(self._store.get(name), self._limits, preprocess)
        written = _REFERENCE.fullmatch(name)
        if written is None:
            raise OptionInvalid(
                f"An image of a data set is named dataset:NAME/NUMBER, not {name[:80]!r}.", option="image"
            )
        source = self.of_data_set(required(self._catalog).get(written[1]), int(written[2]))
        return replace(source, preprocess=preprocess) if isinstance(source, TensorSource) else source

    def of_data_set(self, data_set: RegisteredDataSet, number: int) -> Source:
        """An image of a data set.

        Raises:
            LayerscopeError: as for `source`.
        """
        name, row = data_set.record.name, data_set.row(number)
        if row.nbytes > self._left:
            raise BodyTooLarge(
                f"Image {number} of the data set {name} takes {row.nbytes:,} bytes; {self._left:,} are left of what one"
                " request may send",
                ways=("name fewer images",),
                bytes=row.nbytes,
                limit=self._limits.body_bytes,
            )
        size = max(0, row.nbytes)
        self._account.receive(size)
        self._left -= size
        return data_set.read(row, self._limits.body_bytes)


def name_of(data_set: str, number: int) -> str:
    """The name of an image of a data set in requests."""
    return f"{PREFIX}{data_set}/{number}"


def data_sets_in(text: str) -> list[str]:
    """The names of the data sets whose images a text names."""
    return sorted(set(_MENTION.findall(text)))


def data_set_named(text: str, catalog: DataSetCatalog | None) -> RegisteredDataSet | None:
    """The data set that `dataset:val` names; None for a text that names none, such as `photos:2026/`.

    Raises:
        ControlRefused: the service keeps no data sets.
        DataSetNotFound, OptionInvalid: there is no such data set.
    """
    if not text.startswith(PREFIX):
        return None
    return required(catalog).get(text.removeprefix(PREFIX))


def required(catalog: DataSetCatalog | None) -> DataSetCatalog:
    """The catalog of a service that has one.

    Raises:
        ControlRefused: it has none.
    """
    if catalog is None:
        raise ControlRefused(
            "This service keeps no data sets: an operator must name a folder for them (LAYERSCOPE_DATASETS)."
        )
    return catalog
