"""Skalds' YAML entries as Kubernetes objects, named and labelled as Skalds' own guide does it; pure.

An entry that ``isPersistent`` becomes a ConfigMap, a Deployment and a PodDisruptionBudget; any other a ConfigMap and
a Job, or a CronJob where it has a schedule.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.kube_names import check_schedule
from skald_bridge.wire.pods import CONFIG_FILE, CONTAINER, Json, PodOptions, pod_spec
from skald_bridge.wire.skalds_yaml import Entry

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "skald"
TASK_ANNOTATION = "skald/task"
CLASS_ANNOTATION = "skald/class-name"
_DIGEST_ANNOTATION = "skald/config-digest"
_MOST_NAME = 32
"""With its prefix a CronJob's name may have 52 characters, and other workloads share the rule."""
_MOST_CONFIG = 1_000_000
_BAD_INPUT = 2


@dataclass(frozen=True)
class Workload:
    """One entry's objects, in the order in which they are to be made; ``name`` is what resources carry of the task."""

    task: str
    name: str
    kind: str
    manifests: tuple[Json, ...]


@dataclass(frozen=True)
class Options:
    """``schedule`` is a cron line, ``retries`` and ``keep`` (seconds after the end) are of entries that end.

    ``disruptions``: how many pods of a persistent entry a drained node may end; with 0 a drain waits for a person.
    """

    pod: PodOptions
    schedule: str | None = None
    retries: int = 0
    keep: int = 86_400
    disruptions: int = 0


def config_map_name(name: str) -> str:
    return f"skald-worker-config-{name}"


def workload_name(name: str) -> str:
    return f"skald-single-worker-{name}"


def resource_name(task: str) -> str:
    """A task's name as resources can carry it; one that has to be changed by more than case gets a digest."""
    cleaned = re.sub(r"[^a-z0-9-]+", "-", task.lower()).strip("-")
    if cleaned == task.lower() and 0 < len(cleaned) <= _MOST_NAME:
        return cleaned
    digest = hashlib.sha256(task.encode()).hexdigest()[:6]
    return f"{cleaned[: _MOST_NAME - 7].rstrip('-') or 'task'}-{digest}"


def workloads(entries: Sequence[tuple[Entry, Options]]) -> list[Workload]:
    """One workload for each entry.

    Raises:
        InvalidInput: two entries would have one name, a schedule or need that does not fit, or too much text.
    """
    made: dict[str, Workload] = {}
    for entry, options in entries:
        built = workload(entry, options)
        if (other := made.get(built.name)) is not None:
            raise InvalidInput(
                f"The entries {other.task} and {entry.id} would both be {built.name} on Kubernetes.",
                remedy="Give one of them another name.",
            )
        made[built.name] = built
    return list(made.values())


def workload(entry: Entry, options: Options, name: str | None = None) -> Workload:
    """One entry's objects, called ``name`` where they are not to be called as it. Raises ``InvalidInput``."""
    name = resource_name(name or entry.id)
    text = entry_text(entry)
    if len(text.encode()) > _MOST_CONFIG:
        raise InvalidInput(
            f"The attachments of {entry.id} are longer than the megabyte that a ConfigMap holds.",
            remedy="Put them where the task can fetch them.",
        )
    if options.schedule is not None:
        if entry.is_persistent:
            raise InvalidInput(
                f"{entry.id} is persistent: it has no schedule.", remedy="Write isPersistent: false."
            )
        check_schedule("--schedule", options.schedule)
    app = {"app": workload_name(name)}
    template: Json = {
        "metadata": {
            "labels": {**app, MANAGED_BY: MANAGER},
            "annotations": {_DIGEST_ANNOTATION: hashlib.sha256(text.encode()).hexdigest()[:16]},
        },
        "spec": pod_spec(name, config_map_name(name), options.pod),
    }
    config = _object("v1", "ConfigMap", config_map_name(name), entry, app) | {"data": {CONFIG_FILE: text}}
    if entry.is_persistent:
        kind, rest = "Deployment", [_deployment(entry, app, template), _budget(entry, app, options)]
    elif options.schedule is None:
        kind, rest = (
            "Job",
            [_object("batch/v1", "Job", app["app"], entry, app) | {"spec": _job(template, options)}],
        )
    else:
        kind, rest = "CronJob", [_cron_job(entry, app, template, options)]
    return Workload(entry.id, name, kind, (config, *rest))


def entry_text(entry: Entry) -> str:
    """A YAML file of this entry alone: of several, a single process runs the first."""
    body = {
        "isPersistent": entry.is_persistent,
        "attachments": entry.attachments,
        "className": entry.class_name,
    }
    return dump({"TaskWorkers": {entry.id: body}})


def dump(value: object) -> str:
    """YAML in the order given, text of several lines as a block."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def dump_all(manifests: Sequence[Json]) -> str:
    """Several documents, as ``kubectl apply -f -`` reads them."""
    return yaml.dump_all(
        manifests, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000, explicit_start=True
    )


def _object(api: str, kind: str, name: str, entry: Entry, app: Mapping[str, str]) -> Json:
    metadata: Json = {
        "name": name,
        "labels": {**app, MANAGED_BY: MANAGER},
        "annotations": {TASK_ANNOTATION: entry.id, CLASS_ANNOTATION: entry.class_name},
    }
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def _deployment(entry: Entry, app: Mapping[str, str], template: Json) -> Json:
    # Recreate: two pods of one task are never at work at once, not even while it is replaced.
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": dict(app)},
        "template": template,
    }
    return _object("apps/v1", "Deployment", app["app"], entry, app) | {"spec": spec}


def _budget(entry: Entry, app: Mapping[str, str], options: Options) -> Json:
    spec = {
        "maxUnavailable": options.disruptions,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": dict(app)},
    }
    return _object("policy/v1", "PodDisruptionBudget", app["app"], entry, app) | {"spec": spec}


def _job(template: Json, options: Options) -> Json:
    """A pod that was evicted is no failure of the task; bad input stays bad, however often it is tried."""
    rules = [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [_BAD_INPUT]},
        },
    ]
    return {
        "backoffLimit": options.retries,
        "ttlSecondsAfterFinished": options.keep,
        "podFailurePolicy": {"rules": rules},
        "template": {**template, "spec": {**template["spec"], "restartPolicy": "Never"}},
    }


def _cron_job(entry: Entry, app: Mapping[str, str], template: Json, options: Options) -> Json:
    metadata = {"labels": template["metadata"]["labels"]}
    spec = {
        "schedule": options.schedule,
        "concurrencyPolicy": "Forbid",
        "jobTemplate": {"metadata": metadata, "spec": _job(template, options)},
    }
    return _object("batch/v1", "CronJob", app["app"], entry, app) | {"spec": spec}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
