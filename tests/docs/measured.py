"""The pages of metrics and of job variables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from prometheus_client.core import Metric

from skald_bridge.adapters.clock import SystemClock
from skald_bridge.api.metrics import MetricFacts, Requests, families
from skald_bridge.services.linked import Linked
from skald_work_pools.job import SkaldVariables
from skald_work_pools.kubernetes_pool import KubernetesPool, base_job_template
from tests.docs.markdown import line, page, table


def metrics_page() -> str:
    made: list[Metric] = [*families(_facts()), *_requests()]
    rows = [
        (
            f"`{metric.name}{'_total' if metric.type == 'counter' else ''}`",
            metric.type,
            ", ".join(f"`{label}`" for label in _labels(metric)),
            metric.documentation,
        )
        for metric in made
    ]
    return page(
        "Metrics",
        "What `GET /metrics` of the bridge answers, in Prometheus' text format. Names without `skald_` are Sylklabs "
        "Scheduler's, for dashboards that ask for them.",
        table(("metric", "type", "labels", "says"), rows),
    )


def job_variables_page() -> str:
    kubernetes = base_job_template(KubernetesPool())["variables"]["properties"]
    return page(
        "Job variables",
        "What a deployment may say under `work_pool: {job_variables: …}`, and what `skald submit --needs` and a run "
        "may say of themselves. Each wins over what the task type declares; a name that is not here is refused by "
        "`skald deploy`.",
        "## In a pool of type skald",
        _variables(SkaldVariables.model_json_schema()["properties"]),
        "## In a pool of type kubernetes",
        "The same names where a pod can have it, and those of pods; their defaults are the pool's, which "
        "`skald pool` sets.",
        _variables(kubernetes),
    )


def _variables(properties: dict[str, Any]) -> str:
    rows = (
        (f"`{name}`", line(told.get("description") or told.get("title", "")))
        for name, told in properties.items()
    )
    return table(("variable", "says"), rows)


def _labels(metric: Metric) -> list[str]:
    sampled = (label for sample in metric.samples for label in sample.labels)
    return list(dict.fromkeys(label for label in sampled if label != "le"))


def _requests() -> Iterable[Metric]:
    requests = Requests()
    requests.answered("GET", "/", 200, 0.0)
    return requests.registry.collect()


def _facts() -> MetricFacts:
    """A bridge that has done nothing, with one of each thing that is a label."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    bridge = SimpleNamespace(
        mirror=SimpleNamespace(journaled=0, memory=SimpleNamespace(beating=list)),
        sweep=SimpleNamespace(passes=0, repaired=0),
        linked=Linked(SystemClock()),
        relays=[SimpleNamespace(name="kafka", delivered=0, lag=0.0)],
        loops=[SimpleNamespace(name="sweep", problem=None)],
        commands=SimpleNamespace(outcomes={("cancel", "done"): 0}),
        dead_letters=SimpleNamespace(counts=defaultdict(int)),
        fleet=SimpleNamespace(states=lambda: {"online": 0}, granted=0, refused=0, waiting=0),
    )
    backend: Any = SimpleNamespace(bridge=bridge, started=now, clock=SimpleNamespace(now=lambda: now))
    skald: Any = SimpleNamespace(id="node", online=True, tasks=(), utilization=0, mode="node", kind="node")
    return MetricFacts(backend, 0, [skald], {})
