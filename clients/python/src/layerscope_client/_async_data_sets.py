"""Data sets, awaited: the same calls as `DataSets`."""

from layerscope_client._data_sets import (
    DataSet,
    DataSetCalls,
    DataSetPage,
    DataSetSummary,
    DescribedDataSetImage,
)
from layerscope_client._transport import AsyncTransport


class AsyncDataSets:
    """The data sets of a service, awaited: `AsyncClient.datasets`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        self._calls = DataSetCalls()

    async def create(self, name: str, data: str, labels: str = "none") -> DataSet:
        """See `DataSets.create`."""
        return await self._transport.run(self._calls.create(name, data, labels))

    async def list(self) -> "list[DataSetSummary]":
        """See `DataSets.list`."""
        return await self._transport.run(self._calls.list())

    async def get(self, name: str) -> DataSet:
        """See `DataSets.get`."""
        return await self._transport.run(self._calls.get(name))

    async def rows(self, name: str, start: int = 0, limit: int | None = None) -> DataSetPage:
        """See `DataSets.rows`."""
        return await self._transport.run(self._calls.rows(name, start, limit))

    async def row(self, name: str, number: int) -> DescribedDataSetImage:
        """See `DataSets.row`."""
        return await self._transport.run(self._calls.row(name, number))

    async def thumbnail(self, name: str, number: int, side: int = 128) -> bytes:
        """See `DataSets.thumbnail`."""
        return await self._transport.run(self._calls.thumbnail(name, number, side))

    async def delete(self, name: str) -> None:
        """See `DataSets.delete`."""
        await self._transport.run(self._calls.delete(name))
