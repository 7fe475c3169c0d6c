"""`GET /metrics`: what the bridge counts, in Prometheus' text format, Sylklabs' names among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from skald_bridge.api.backend import Backend
from skald_bridge.api.problems import METHODS
from skald_bridge.api.reading import skalds
from skald_bridge.api.views import Skald, kind_of
from skald_bridge.domain.dead_letters import Kind
from skald_bridge.domain.lifecycle import LifecycleStatus
from skald_bridge.domain.mirror import ENDS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Requests:
    """HTTP requests, counted as they are answered."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answered = Counter(
            "skald_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "skald_http_request_seconds",
            "From a request to the begin of its answer.",
            ["route"],
            registry=self.registry,
            buckets=BUCKETS,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """``route`` is the route's pattern: ids, and methods that clients invent, would be labels without end."""
        self._answered.labels(method if method in METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


@dataclass(frozen=True)
class MetricFacts:
    """What one answer is made of."""

    backend: Backend
    clients: int
    skalds: Iterable[Skald]
    tasks: Mapping[LifecycleStatus, int]


async def exposition(backend: Backend, requests: Requests, clients: int) -> bytes:
    """Raises ``Unavailable`` when the archive cannot be read."""
    found = (await skalds(backend)).values()
    facts = MetricFacts(backend, clients, list(found), await backend.archive.statuses())
    registry = CollectorRegistry()
    registry.register(_Collected(families(facts)))
    return generate_latest(registry) + generate_latest(requests.registry)


def families(facts: MetricFacts) -> list[Metric]:
    """All metrics but those of requests."""
    return [*_bridge(facts), *_fleet(facts), *_sylklabs(facts)]


class _Collected(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = list(metrics)

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _bridge(facts: MetricFacts) -> Iterator[Metric]:
    bridge = facts.backend.bridge
    yield _counter("skald_states_mirrored", "States written to the journal.", {(): bridge.mirror.journaled})
    yield _counter("skald_sweep_passes", "Complete looks at Prefect.", {(): bridge.sweep.passes})
    yield _counter(
        "skald_sweep_repairs", "States that no hint had told of in time.", {(): bridge.sweep.repaired}
    )
    yield _counter(
        "skald_relay_delivered",
        "Records and documents delivered to a service.",
        {(relay.name,): relay.delivered for relay in bridge.relays},
        "relay",
    )
    yield _gauge(
        "skald_relay_lag_seconds",
        "Since when a relay has had something left to deliver; 0 when it has nothing.",
        {(relay.name,): relay.lag for relay in bridge.relays},
        "relay",
    )
    yield _gauge(
        "skald_duty_failing",
        "1 while a duty of the bridge fails and is tried again.",
        {(loop.name,): loop.problem is not None for loop in bridge.loops},
        "duty",
    )
    yield _counter(
        "skald_commands",
        "Commands by kind and outcome.",
        {(*pair,): count for pair, count in bridge.commands.outcomes.items()},
        "kind",
        "outcome",
    )
    yield _counter(
        "skald_set_aside",
        "Items that could not be handled and were left out, by kind.",
        {(kind.value,): bridge.dead_letters.counts[kind] for kind in Kind},
        "kind",
    )
    fleet = bridge.fleet
    yield _gauge(
        "skald_fleet_workers",
        "Workers that report by dtask's heartbeats, by status.",
        {(status,): count for status, count in fleet.states().items()},
        "status",
    )
    yield _counter(
        "skald_fleet_requests",
        "Requests for a place by outcome.",
        {("granted",): fleet.granted, ("refused",): fleet.refused},
        "outcome",
    )
    linked = bridge.linked
    yield _gauge(
        "skald_links",
        "Nodes that hold a link, by status.",
        {(status,): count for status, count in linked.nodes.states().items()},
        "status",
    )
    yield _counter(
        "skald_offers",
        "Offers of new tasks to linked nodes, and tasks that were not offered, by outcome.",
        {(outcome,): count for outcome, count in linked.dispatch.outcomes.items()},
        "outcome",
    )
    yield _gauge("skald_fleet_waiting", "Tasks that wait for a place.", {(): fleet.waiting})
    yield _gauge("skald_event_clients", "Clients that follow the events.", {(): facts.clients})
    uptime = facts.backend.clock.now() - facts.backend.started
    yield _gauge("skald_uptime_seconds", "Since the bridge was started.", {(): uptime.total_seconds()})


def _fleet(facts: MetricFacts) -> Iterator[Metric]:
    by_status: dict[tuple[str, ...], float] = {
        (status, kind): 0 for status in ("online", "offline") for kind in ("node", "edge")
    }
    for skald in facts.skalds:
        by_status["online" if skald.online else "offline", kind_of(skald)] += 1
    yield _gauge("skald_nodes", "Nodes by status and mode.", by_status, "status", "mode")
    yield _gauge(
        "skald_tasks",
        "Tasks by lifecycle status.",
        {(status.value,): facts.tasks.get(status, 0) for status in LifecycleStatus},
        "status",
    )
    live = len(facts.backend.bridge.mirror.memory.beating())
    yield _gauge("skald_live_heartbeats", "Tasks whose process is at work.", {(): live})


def _sylklabs(facts: MetricFacts) -> Iterator[Metric]:
    """A node is a worker to them; the pool is all nodes that are online."""
    online = [skald for skald in facts.skalds if skald.online]
    busy = sum(bool(skald.tasks) for skald in online)
    yield _gauge(
        "worker_pool_metrics",
        "Nodes online, and those of them that run tasks.",
        {("total_workers",): len(online), ("active",): busy},
        "type",
    )
    counts = facts.tasks
    waiting = (LifecycleStatus.CREATED, LifecycleStatus.ASSIGNING)
    total = sum(counts.values())
    yield _gauge(
        "worker_pool_tasks",
        "Tasks that wait, that ended, that failed, that a node was given.",
        {
            ("queued",): sum(counts.get(status, 0) for status in waiting),
            ("executed",): sum(counts.get(status, 0) for status in ENDS),
            ("panic",): counts.get(LifecycleStatus.FAILED, 0),
            ("dispatched",): total - counts.get(LifecycleStatus.CREATED, 0),
        },
        "type",
    )
    yield _gauge(
        "worker_utilization",
        "Percent of a node's task limit, or of its CPUs at one task each, that is taken.",
        {(skald.id,): skald.utilization for skald in online},
        "worker_id",
    )


def _gauge(name: str, help_: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    metric = GaugeMetricFamily(name, help_, labels=labels)
    for given, value in values.items():
        metric.add_metric(given, float(value))
    return metric


def _counter(name: str, help_: str, values: Mapping[tuple[str, ...], float], *labels: str) -> Metric:
    metric = CounterMetricFamily(name, help_, labels=labels)
    for given, value in values.items():
        metric.add_metric(given, float(value))
    return metric
