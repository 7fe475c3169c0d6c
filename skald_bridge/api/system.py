"""The system: health, status, sums."""

from __future__ import annotations

from fastapi import APIRouter

from skald_bridge.api.problems import responses
from skald_bridge.api.reading import Given, skalds
from skald_bridge.api.system_models import (
    ComponentOut,
    HealthOut,
    SummaryOut,
    SystemMetricsOut,
    SystemStatusOut,
)
from skald_bridge.api.totals import summary, system_metrics
from skald_bridge.wire.skalds import to_ms

router = APIRouter(prefix="/api/system", tags=["system"])


@router.get("/health")
async def get_health(backend: Given) -> HealthOut:
    """Of each duty of the bridge; ``degraded`` while one of them fails."""
    services = {loop.name: loop.problem or "healthy" for loop in backend.bridge.loops}
    healthy = all(loop.problem is None for loop in backend.bridge.loops)
    letters = backend.bridge.dead_letters
    last = letters.newest
    return HealthOut(
        status="healthy" if healthy else "degraded",
        timestamp=to_ms(backend.clock.now()),
        services=services,
        set_aside={kind.value: count for kind, count in letters.counts.items()},
        set_aside_last=f"{last.id}: {last.reason}" if last is not None else None,
    )


@router.get("/status")
async def get_status(backend: Given) -> SystemStatusOut:
    bridge = backend.bridge
    components = [
        ComponentOut(
            name=loop.name,
            running=loop.problem is None,
            details={"problem": loop.problem} if loop.problem else {},
        )
        for loop in bridge.loops
    ]
    uptime = backend.clock.now() - backend.started
    return SystemStatusOut(
        mode=backend.mode,
        components=components,
        uptime=int(uptime.total_seconds()),
        version=backend.version,
    )


@router.get("/dashboard/summary", responses=responses(503))
async def get_summary(backend: Given) -> SummaryOut:
    return summary((await skalds(backend)).values(), await backend.archive.statuses())


@router.get("/metrics", responses=responses(503))
async def get_system_metrics(backend: Given) -> SystemMetricsOut:
    """For people and Skalds' clients; Prometheus reads /metrics."""
    return system_metrics(
        (await skalds(backend)).values(),
        await backend.archive.statuses(),
        len(backend.bridge.mirror.memory.beating()),
        to_ms(backend.clock.now()),
    )
