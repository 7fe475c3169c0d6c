"""Prometheus' metrics of a running bridge, and the Grafana dashboard that is made of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.api.test_tasks import create
from tests.services.fleet import Fleet
from tests.services.kafka import Kafka
from tests.services.poll import until
from tests.services.rest import ENDED, Rest, running_rest

pytestmark = pytest.mark.server
DEPLOYMENTS = Path(__file__).parents[3] / "deployments"
DASHBOARD = json.loads((DEPLOYMENTS / "grafana" / "skald.json").read_text())
_NOT_METRICS = {"by", "le", "rate", "sum", "max", "histogram_quantile"}


@pytest.fixture(scope="module")
def rest(made: Fleet, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    """With Kafka, so that there is a relay."""
    host, _, port = kafka.bootstrap.partition(":")
    env = {"KAFKA_HOST": host, "KAFKA_PORT": port, "KAFKA_REPLICATION_FACTOR": "1"}
    with running_rest(made.server, tmp_path_factory.mktemp("home"), env=env) as rest:
        yield rest


def metrics(rest: Rest) -> dict[str, dict[frozenset[tuple[str, str]], float]]:
    """Values by labels by the sample's name."""
    answer = rest.ask("GET", "/metrics")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith(
        "text/plain; version=0.0.4"
    )
    found: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = frozenset(sample.labels.items())
            assert labels not in found.setdefault(sample.name, {}), sample
            found[sample.name][labels] = sample.value
    return found


def value(rest: Rest, name: str, **labels: str) -> float:
    return metrics(rest)[name].get(frozenset(labels.items()), 0.0)


@pytest.fixture(scope="module")
def busy(rest: Rest, tmp_path_factory: pytest.TempPathFactory) -> Rest:
    """Something of everything has happened: done, failed, cancelled, refused, running now."""
    folder = tmp_path_factory.mktemp("busy")
    ended = [create(rest), create(rest, {"fail": True})]
    for task in ended:
        rest.reaches(task, *ENDED)
    cancelled, running = (create(rest, {"until": str(folder / "never")}) for _ in range(2))
    for task in (cancelled, running):
        rest.reaches(task, "Running")
    rest.do("DELETE", f"/api/tasks/{cancelled}")
    rest.reaches(cancelled, "Cancelled")
    rest.do("PUT", f"/api/tasks/{running}/attachments", {"attachments": {"until": str(folder / "never")}})
    assert rest.ask("POST", "/api/tasks/", {"className": "no-such"}).status_code == 404
    assert rest.ask("GET", "/api/no/such").status_code == 404
    return rest


def test_what_has_happened_is_counted(busy: Rest) -> None:
    until(lambda: value(busy, "skald_live_heartbeats") == 1, 20, "one live task")
    for status, count in {"Finished": 1, "Failed": 1, "Cancelled": 1, "Running": 1, "Paused": 0}.items():
        assert value(busy, "skald_tasks", status=status) == count, status
    assert value(busy, "skald_states_mirrored_total") >= 16
    assert value(busy, "skald_sweep_passes_total") >= 1
    assert value(busy, "skald_commands_total", kind="create", outcome="done") == 4
    assert value(busy, "skald_commands_total", kind="create", outcome="rejected") == 1
    assert value(busy, "skald_commands_total", kind="cancel", outcome="done") == 1
    assert value(busy, "skald_commands_total", kind="update", outcome="done") == 1
    until(lambda: value(busy, "skald_nodes", status="online", mode="node") == 1, 30, "the node")
    until(lambda: value(busy, "skald_relay_delivered_total", relay="kafka") >= 16, 30, "all in Kafka")
    until(lambda: value(busy, "skald_relay_lag_seconds", relay="kafka") == 0, 30, "nothing waits for Kafka")
    assert value(busy, "skald_http_requests_total", method="GET", route="other", status="404") == 1
    assert value(busy, "skald_http_requests_total", method="POST", route="/api/tasks/", status="201") == 4
    assert value(busy, "skald_duty_failing", duty="sweep") == 0


def test_sylklabs_names(busy: Rest) -> None:
    until(lambda: value(busy, "worker_pool_metrics", type="active") == 1, 20, "a busy node")
    assert value(busy, "worker_pool_metrics", type="total_workers") == 1
    tasks = {kind: value(busy, "worker_pool_tasks", type=kind) for kind in ("queued", "executed", "panic")}
    assert tasks == {"queued": 0, "executed": 3, "panic": 1}
    assert value(busy, "worker_pool_tasks", type="dispatched") == 4
    assert 0 < value(busy, "worker_utilization", worker_id="node-1") <= 100


def test_labels_have_an_end(busy: Rest) -> None:
    for number in range(20):
        busy.ask("GET", f"/api/tasks/none-{number}")
        busy.ask("GET", f"/no/such/{number}")
    assert len({dict(labels)["route"] for labels in metrics(busy)["skald_http_requests_total"]}) < 30


def queries() -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(("panel", "query"), queries())
def test_every_panel_asks_for_what_there_is(busy: Rest, panel: str, query: str) -> None:
    there = metrics(busy)
    bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", query)
    named = set(re.findall(r"[a-z_]+(?![a-z_(=])", bare)) - _NOT_METRICS
    used = {name for name in named if name in there}
    labels = named - used
    assert used, f"{panel}: {query}"
    known = {label for name in used for row in there[name] for label, _ in row}
    assert labels <= known, f"{panel}: {query} names {labels - known}"
    for label, wanted in re.findall(r'([a-z_]+)=~?"([^"]*)"', query):
        values = {dict(row).get(label) for name in used for row in there[name]}
        assert set(wanted.split("|")) <= values, f"{panel}: {query}"


def test_every_metric_of_ours_has_a_panel(busy: Rest) -> None:
    asked = " ".join(query for _, query in queries())
    for name in metrics(busy):
        if name.startswith(("skald_", "worker_")) and not name.endswith(("_created", "_sum", "_count")):
            assert name in asked, name


def test_every_alert_asks_for_what_there_is(busy: Rest) -> None:
    groups = yaml.safe_load((DEPLOYMENTS / "prometheus-alerts.yaml").read_text())["groups"]
    asked = [rule["expr"] for group in groups for rule in group["rules"]]
    named = {name for query in asked for name in re.findall(r"skald_[a-z_]+", query)}
    assert len(asked) == 3 and named <= set(metrics(busy))
    assert yaml.safe_load((DEPLOYMENTS / "prometheus.yaml").read_text())["rule_files"] == [
        "prometheus-alerts.yaml"
    ]


def test_the_provisioning_fits_together() -> None:
    def read(*parts: str) -> Any:
        return yaml.safe_load(DEPLOYMENTS.joinpath(*parts).read_text())

    (source,) = read("grafana", "provisioning", "datasources", "prometheus.yaml")["datasources"]
    panels = DASHBOARD["panels"]
    uids = {part["datasource"]["uid"] for panel in panels for part in [panel, *panel["targets"]]}
    assert uids == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len(panels)
    (provider,) = read("grafana", "provisioning", "dashboards", "skald.yaml")["providers"]
    services = read("grafana", "compose.yaml")["services"]
    mounts = [volume.split(":") for volume in services["grafana"]["volumes"]]
    assert any(inside == f"{provider['options']['path']}/skald.json" for _, inside, *_ in mounts)
    for service in services.values():
        for outside, *_ in (volume.split(":") for volume in service["volumes"]):
            assert not outside.startswith(".") or (DEPLOYMENTS / "grafana" / outside).exists(), outside
    assert read("prometheus.yaml")["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:8000"]
