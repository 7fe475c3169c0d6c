"""Puts the bridge together: with ``connections`` and ``stored``, the one place that knows the concrete adapters."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from skald_bridge import connections
from skald_bridge.adapters.clock import SystemClock
from skald_bridge.adapters.grant_file import GrantFile
from skald_bridge.adapters.memory_pulse import MemoryPulse
from skald_bridge.adapters.prefect import PrefectEngine
from skald_bridge.adapters.prefect_pool import base_job_templates as base_job_templates
from skald_bridge.adapters.prefect_pool import ensure_pool as ensure_pool
from skald_bridge.adapters.prefect_pool import ensure_pools as ensure_pools
from skald_bridge.adapters.prefect_pool import save_kubernetes_pool as save_kubernetes_pool
from skald_bridge.adapters.sqlite import (
    SqliteArchive,
    SqliteCursor,
    SqliteJournal,
    SqlitePositions,
    SqliteRecordings,
)
from skald_bridge.adapters.sqlite_dead_letters import SqliteDeadLetters
from skald_bridge.adapters.sqlite_file import SqliteFile
from skald_bridge.adapters.sqlite_retention import SqliteRetention
from skald_bridge.api.access import Access, check_access
from skald_bridge.domain.commands import Controller
from skald_bridge.domain.dead_letters import Kind
from skald_bridge.domain.lifecycle import TERMINAL
from skald_bridge.domain.retention import RECORDINGS
from skald_bridge.ports import Peers, Pictures
from skald_bridge.services.bridge import Bridge, Outside, Stores
from skald_bridge.services.dead_letters import DeadLetters
from skald_bridge.services.linked import Linked
from skald_bridge.services.nodes import ALIVE_EVERY
from skald_bridge.services.persistent_tasks import revivals
from skald_bridge.services.pods import Pods
from skald_bridge.services.relay import Relay
from skald_bridge.services.relays import (
    recordings_to_mongo,
    states_of,
    to_kafka,
    to_mongo,
    to_people,
    to_redis,
)
from skald_bridge.services.retention import Retention
from skald_bridge.settings import Settings
from skald_work_pools.link import PATH
from skald_work_pools.placement import model as placement


@asynccontextmanager
async def embedded(path: Path) -> AsyncIterator[Bridge]:
    """A bridge over Prefect and the journal's file at ``path``, and nothing else; not running yet.

    Raises:
        Rejected: another bridge writes that file.
    """
    async with bridge(path, Settings.model_construct()) as made:
        yield made


@asynccontextmanager
async def bridge(path: Path, settings: Settings) -> AsyncIterator[Bridge]:
    """A bridge that also carries everything to the services that ``settings`` name; not running yet.

    What is stored at ``path`` comes first: a service that is away holds up nothing, and misses nothing.

    Raises:
        Rejected: another bridge writes that file.
        InvalidInput: a service's address cannot be one.
    """
    async with AsyncExitStack() as stack:
        file = await stack.enter_async_context(SqliteFile(path, write=True))
        journal, archive, positions = SqliteJournal(file), SqliteArchive(file), SqlitePositions(file)
        cursor, clock = SqliteCursor(file), SystemClock()
        recordings = SqliteRecordings(file)
        letter_store = SqliteDeadLetters(file)
        dead_letters = DeadLetters(letter_store, clock)
        linked = Linked(
            clock,
            placement.Settings(
                suspicious=timedelta(seconds=settings.link_suspicious),
                offline=timedelta(seconds=settings.link_offline),
            ),
        )
        prefect = await stack.enter_async_context(
            PrefectEngine(
                unreadable=lambda run, error: dead_letters.note(Kind.RUN, run, error), births=linked.dispatch
            )
        )
        relays: list[Relay[Any]] = []
        talk = await connections.kafka(settings)
        if talk is not None:
            for end in talk:
                await stack.enter_async_context(end)
            relays += to_kafka(journal, archive, positions, talk[0], dead_letters)
        redis = await connections.redis(settings)
        if redis is not None:
            await stack.enter_async_context(redis)
            relays += to_redis(archive, positions, redis, clock, dead_letters)
        pulse = redis or MemoryPulse()
        relays.append(to_people(journal, positions, pulse, clock, dead_letters))
        relays.append(revivals(journal, archive, positions, prefect, clock))
        mongo = await connections.mongo(settings)
        if mongo is not None:
            await stack.enter_async_context(mongo[0])
            relays += to_mongo(archive, positions, mongo[0], settings.controller, dead_letters)
            relays.append(
                recordings_to_mongo(
                    recordings.changed, positions, connections.recordings(mongo[0]), dead_letters
                )
            )
        keep = timedelta(days=settings.retention_days)
        readers = [*(relay.name for relay in relays), RECORDINGS]
        leads = settings.controller is Controller.OURS
        yield Bridge(
            prefect,
            Stores(
                journal=journal,
                archive=archive,
                cursor=cursor,
                positions=positions,
                recordings=recordings,
                ends=states_of(journal, TERMINAL),
                overdue=archive,
                asked=letter_store,
                grants=stack.enter_context(GrantFile(path.with_suffix(".grants"))),
                owed=lambda task: archive.is_owed(task, "mongodb"),
            ),
            pulse,
            clock,
            jitter=lambda: random.uniform(0.5, 1.0),  # noqa: S311
            dead_letters=dead_letters,
            outside=Outside(
                documents=mongo[1] if mongo is not None else None,
                controller=settings.controller,
                subscription=talk[1] if talk is not None else None,
                publisher=talk[0] if talk is not None else None,
                peers=connections.peers(redis) if redis is not None and leads else None,
            ),
            ends_told=redis is not None,
            period=settings.redis_sync_period,
            relays=relays,
            late=settings.late,
            pods=_pods(prefect, settings, clock),
            retention=Retention(SqliteRetention(file), cursor, positions, clock, keep, readers)
            if keep
            else None,
            linked=linked,
        )


def _pods(prefect: PrefectEngine, settings: Settings, clock: SystemClock) -> Pods | None:
    """Raises ``Unavailable`` where no cluster is configured."""
    if not settings.kubernetes_pools:
        return None
    cluster = connections.cluster(None, None, settings.kubernetes_namespace)
    return Pods(prefect.in_kubernetes, cluster, settings.kubernetes_pools, clock)


async def run_bridge(
    path: Path,
    settings: Settings | None = None,
    *,
    rest: bool = False,
    began: Callable[[], None] = lambda: None,
) -> None:
    """Mirror Prefect until cancelled; a server that is away is waited for.

    With ``rest``, the REST API answers meanwhile where ``settings`` say. ``began`` is called once all is wired.

    Raises:
        InvalidInput: it may not listen there, or the dashboard's folder has no page.
        Unavailable: another program listens there.
    """
    chosen = settings or Settings.model_construct()
    with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
        # The loops have a backoff of their own, which ends at once when the server is back.
        async with AsyncExitStack() as stack:
            bound = stack.enter_context(_bound(chosen)) if rest else None
            made = await stack.enter_async_context(bridge(path, chosen))
            if bound is not None:
                await stack.enter_async_context(_answering(made, path, chosen, bound))
            began()
            await made.run()


def _bound(settings: Settings) -> socket.socket:
    """Before anything else is begun: an address that cannot be had is told at once."""
    from skald_bridge.api.dashboard import check_dashboard
    from skald_bridge.api.server import listening_socket

    check_access(_access(settings))
    if settings.dashboard is not None:
        check_dashboard(settings.dashboard)
    return listening_socket(settings.system_controller_host, settings.system_controller_port)


def _in_redis(made: Bridge, settings: Settings) -> tuple[Peers, Pictures] | tuple[None, None]:
    """What else is read there, over the pulse's connection."""
    if not (settings.redis_block or settings.redis_host):
        return None, None
    from skald_bridge.adapters.redis_pulse import RedisPulse

    pulse = made.pulse
    return (
        (connections.peers(pulse), connections.pictures(pulse))
        if isinstance(pulse, RedisPulse)
        else (None, None)
    )


def _access(settings: Settings) -> Access:
    return Access(settings.system_controller_host, settings.api_key, settings.cors_origins)


@asynccontextmanager
async def _answering(
    made: Bridge, path: Path, settings: Settings, bound: socket.socket
) -> AsyncIterator[None]:
    """The REST API of ``made``, over what it writes at ``path``."""
    from skald_bridge.api.app import make_app, quick_way
    from skald_bridge.api.backend import Backend
    from skald_bridge.api.dtask import Dtask
    from skald_bridge.api.fleet_watch import FleetWatch
    from skald_bridge.api.node_link import NodeLinks
    from skald_bridge.api.server import limits, serving
    from skald_bridge.api.watch import CLIENTS, Watch

    clock = SystemClock()
    async with SqliteFile(path, write=False) as file:
        peers, pictures = _in_redis(made, settings)
        backend = Backend(
            made,
            made.engine,
            SqliteArchive(file),
            made.pulse,
            made.commands.create,
            made.engine.waiting,
            clock,
            clock.now(),
            peers,
            pictures,
            settings.system_controller_mode.value,
            version("prefect-skald"),
        )
        allowed = limits()
        most = min(CLIENTS, allowed.connections // 2)
        watch = Watch(backend, period=settings.redis_sync_period, most=most)
        fleet = FleetWatch(backend, watch.seats)
        made.watch(watch.loop)
        made.watch(fleet.loop)
        access = _access(settings)
        dtask = Dtask(made.fleet) if settings.dtask else None
        links = partial(
            NodeLinks,
            nodes=made.linked.nodes,
            answers=made.linked.dispatch,
            every=ALIVE_EVERY,
            most=max(1, allowed.connections * 3 // 4),
        )
        app = make_app(backend, watch, fleet, access, settings.dashboard, dtask, links)
        quick = quick_way(app, access, dtask) if dtask is not None else None
        async with serving(app, bound, allowed, quick, {PATH}):
            try:
                yield
            finally:
                watch.close()
                fleet.close()


async def rebuild(path: Path) -> int:
    """Make the journal and archive at ``path`` anew from what Prefect knows; returns the number of states."""
    async with SqliteFile(path, write=True) as file:
        await file.wipe()
    async with embedded(path) as bridge:
        await bridge.sweep.step()
        await bridge.gathered()
        return bridge.sweep.repaired
