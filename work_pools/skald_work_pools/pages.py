"""Reading lists of Prefect whole: one answer of its API holds at most 200 entries."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.objects import FlowRun, Worker

PAGE = 200
"""Prefect's own limit of entries in one answer; it refuses to be asked for more."""
T = TypeVar("T")
Read = Callable[[int, int], Awaitable[Sequence[T]]]
"""Entries of a list from an offset on, in an order that stays: called with ``limit`` and ``offset``."""


def _id(entry: Any) -> Hashable:
    found: Hashable = entry["id"] if isinstance(entry, dict) else entry.id
    return found


async def pages(read: Read[T], key: Callable[[T], Hashable] = _id) -> AsyncIterator[list[T]]:
    """All entries, each once, by pages. Those that leave the list meanwhile hide none of the others.

    Pages overlap by one entry. Where a page begins behind all that is known, entries before it have left, and
    what moved up into their places is read again.
    """
    known: set[Hashable] = set()
    offset = 0
    while True:
        page = await read(PAGE, offset)
        fresh = [entry for entry in page if key(entry) not in known]
        if offset and len(fresh) == len(page):
            offset = max(0, offset - PAGE // 2)
            continue
        known.update(map(key, fresh))
        if fresh:
            yield fresh
        if len(page) < PAGE:
            return
        offset += len(page) - 1


async def read_all(read: Read[T], key: Callable[[T], Hashable] = _id) -> list[T]:
    """All entries of ``pages``."""
    return [entry async for page in pages(read, key) for entry in page]


async def read_all_moving(read: Read[T], key: Callable[[T], Hashable] = _id) -> list[T]:
    """All entries of a list whose newest stand first, where an entry that changes meanwhile moves to the front."""
    found = {key(entry): entry for entry in await read_all(read, key)}
    if len(found) < PAGE:
        return list(found.values())
    offset = 0
    while True:
        page = await read(PAGE, offset)
        fresh = [entry for entry in page if key(entry) not in found]
        found.update((key(entry), entry) for entry in page)
        if len(fresh) < PAGE:
            return list(found.values())
        offset += PAGE


def batches(ids: Iterable[T], size: int = PAGE) -> Iterator[list[T]]:
    """The ids by as many as one request may be answered for."""
    wanted = list(ids)
    for start in range(0, len(wanted), size):
        yield wanted[start : start + size]


async def workers_of(client: PrefectClient, pool: str) -> list[Worker]:
    """All workers of the pool, dead or alive; none of a pool that there is not."""
    return await read_all_moving(worker_reader(client, pool))


def worker_reader(client: PrefectClient, pool: str) -> Read[Worker]:
    """Reads workers of the pool, those heard of last first; none of a pool that there is not."""
    import httpx

    async def read(limit: int, offset: int) -> list[Worker]:
        try:
            return await client.read_workers_for_work_pool(pool, limit=limit, offset=offset)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return []
            raise

    return read


async def runs_with_ids(client: PrefectClient, run_ids: Iterable[UUID]) -> list[FlowRun]:
    """Those that exist."""
    from prefect.client.schemas.filters import FlowRunFilter

    found: list[FlowRun] = []
    for some in batches(run_ids):
        wanted = FlowRunFilter(id=with_ids(some))
        found += await client.read_flow_runs(flow_run_filter=wanted, limit=len(some))
    return found


async def runs_where(client: PrefectClient, wanted: FlowRunFilter, pool: str | None = None) -> list[FlowRun]:
    """All runs, of the pool or of any, that the filter lets through."""
    from prefect.client.schemas.filters import WorkPoolFilter, WorkPoolFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    chosen = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])) if pool is not None else None
    return await read_all(
        lambda limit, offset: client.read_flow_runs(
            flow_run_filter=wanted,
            work_pool_filter=chosen,
            sort=FlowRunSort.ID_DESC,
            limit=limit,
            offset=offset,
        )
    )


def with_ids(ids: Iterable[UUID]) -> FlowRunFilterId:
    from prefect.client.schemas.filters import FlowRunFilterId

    return FlowRunFilterId(any_=list(ids))
