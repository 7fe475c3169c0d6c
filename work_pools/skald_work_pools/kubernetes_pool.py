"""The base job template of a work pool of type ``kubernetes``, in which needs are a pod's resources; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skald_work_pools.kubernetes_job import Json, quantity
from skald_work_pools.kubernetes_job import placeholder as _of

CONTAINER = "prefect-job"
"""The name that Prefect's worker wants the container to have."""
_QUANTITY = r"^\d+(\.\d+)?([mkMGTP]|[KMGT]i)?$"


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim or a folder of the node (``host_path``: ``source`` is its path), mounted at ``path``."""

    source: str
    path: str
    host_path: bool = False
    read_only: bool = False


@dataclass(frozen=True)
class KubernetesPool:
    """What pods of a pool are like; deployments may say otherwise by job variables.

    ``gpu_resource`` is what the cluster calls a GPU, or a part of one: nvidia.com/mig-1g.5gb. ``gpu_model`` is the
    value of the node label ``gpu_label``. ``shared_memory`` in bytes sizes /dev/shm; ``secrets`` are variable to
    (secret, key). Seconds: ``keep`` a Job that has ended, ``deadline`` of a Job, ``grace`` from SIGTERM to SIGKILL.
    """

    image: str | None = None
    namespace: str = "default"
    gpu_resource: str = "nvidia.com/gpu"
    gpu_model: str | None = None
    gpu_label: str = "nvidia.com/gpu.product"
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    priority_class: str | None = None
    runtime_class: str | None = None
    service_account: str | None = None
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: Sequence[str] = ()
    shared_memory: int = 0
    volumes: Sequence[Volume] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    keep: int = 3600
    deadline: int | None = None
    grace: int = 30


def base_job_template(pool: KubernetesPool) -> Json:
    """What Prefect keeps of the pool, and its worker renders: ``variables`` (a JSON schema) and ``job_configuration``.

    A job variable that is none of these is refused by Prefect, where it would otherwise be dropped without a word.
    """
    properties = _properties(pool)
    own = ("name", "env", "labels", "annotations", "command", "namespace", "stream_output")
    watched = ("job_watch_timeout_seconds", "pod_watch_timeout_seconds")
    configuration: Json = {name: _of(name) for name in (*own, *watched)}
    return {
        "job_configuration": configuration | {"job_manifest": _manifest(pool)},
        "variables": {"type": "object", "properties": properties, "additionalProperties": False},
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is another in a pool's template, a line for each place: ``path: old → new``."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    paths = list(dict.fromkeys([*old, *new]))
    return [
        f"{path}: {old.get(path, '(none)')} → {new.get(path, '(none)')}"
        for path in paths
        if old.get(path) != new.get(path)
    ]


def _manifest(pool: KubernetesPool) -> Json:
    spec: Json = {
        # Prefect's worker wants these two here, where Kubernetes passes over them.
        "parallelism": 1,
        "completions": 1,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _of("grace"),
        "serviceAccountName": _of("service_account_name"),
        "priorityClassName": _of("priority_class"),
        "runtimeClassName": _of("runtime_class"),
        "nodeSelector": _of("node_selector"),
        "affinity": _of("affinity"),
        "tolerations": _of("tolerations"),
        "containers": [_container(pool)],
    }
    if pool.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in pool.image_pull_secrets]
    if volumes := _volumes(pool):
        spec["volumes"] = volumes
    # Prefect makes the next attempt of a run; a Job that made one by itself would have two pods at work.
    evicted = {
        "action": "FailJob",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "labels": _of("labels"),
            "annotations": _of("annotations"),
            "namespace": _of("namespace"),
            "generateName": f"{_of('name')}-",
        },
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _of("keep"),
            "activeDeadlineSeconds": _of("deadline"),
            "podFailurePolicy": {"rules": [evicted]},
            "podReplacementPolicy": "Failed",
            "template": {"spec": spec},
        },
    }


def _container(pool: KubernetesPool) -> Json:
    """Needs are reservations: of CPU a pod may take more where it is free, of memory and GPUs no pod can."""
    reserved: Json = {"memory": _of("memory"), pool.gpu_resource: _of("gpus")}
    made: Json = {
        "name": CONTAINER,
        "image": _of("image"),
        "imagePullPolicy": _of("image_pull_policy"),
        "args": _of("command"),
        "env": [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
            for name, (secret, key) in pool.secrets.items()
        ],
        "resources": {"requests": {"cpu": _of("cpus"), **reserved}, "limits": reserved},
    }
    mounts: list[Json] = [
        {"name": f"volume-{number}", "mountPath": volume.path, "readOnly": volume.read_only}
        for number, volume in enumerate(pool.volumes, 1)
    ]
    if pool.shared_memory:
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108 - in the pod
    return made | ({"volumeMounts": mounts} if mounts else {})


def _volumes(pool: KubernetesPool) -> list[Json]:
    made: list[Json] = []
    for number, volume in enumerate(pool.volumes, 1):
        name = {"name": f"volume-{number}"}
        if volume.host_path:
            made.append({**name, "hostPath": {"path": volume.source}})
        else:
            claim = {"claimName": volume.source, "readOnly": volume.read_only}
            made.append({**name, "persistentVolumeClaim": claim})
    if pool.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": _of("shared_memory")}
        made.append({"name": "shared-memory", "emptyDir": memory})
    return made


def _properties(pool: KubernetesPool) -> Json:
    """What a form shows, with what the pool says; what it does not say has no default, and is left out of the Job."""
    selector = dict(pool.node_selector)
    if pool.gpu_model:
        selector[pool.gpu_label] = pool.gpu_model
    text, whole, texts = {"type": "string"}, {"type": "integer", "minimum": 0}, {"type": "object"}
    size = {"anyOf": [{"type": "string", "pattern": _QUANTITY}, whole]}
    seconds = {"type": "integer", "minimum": 1}
    cores = {"anyOf": [{"type": "string", "pattern": _QUANTITY}, {"type": "number", "minimum": 0}]}
    policy = {"type": "string", "enum": ["IfNotPresent", "Always", "Never"]}
    shown: list[tuple[str, str, Mapping[str, Any], Any]] = [
        ("image", "The image, with the flow's code in it; without one, Prefect's own.", text, pool.image),
        ("image_pull_policy", "When nodes fetch the image.", policy, pool.image_pull_policy),
        ("cpus", "CPU cores reserved: 2, 0.5 or 500m.", cores, None),
        ("memory", "Memory reserved, and the limit: 512Mi, 2Gi, or bytes.", size, None),
        ("gpus", f"GPUs, each a {pool.gpu_resource}.", whole, None),
        ("node_selector", "Labels that the node must have.", texts, selector),
        ("tolerations", "Taints of nodes that do not matter.", {"type": "array"}, list(pool.tolerations)),
        ("affinity", "Kubernetes' affinity.", texts, dict(pool.affinity)),
        ("priority_class", "Kubernetes' PriorityClass.", text, pool.priority_class),
        ("runtime_class", "Kubernetes' RuntimeClass.", text, pool.runtime_class),
        ("service_account_name", "Kubernetes' service account.", text, pool.service_account),
        ("namespace", "Namespace of the Jobs.", text, pool.namespace),
        ("deadline", "Seconds after which Kubernetes ends the Job.", seconds, pool.deadline),
        ("grace", "Seconds from SIGTERM to SIGKILL.", whole, pool.grace),
        ("keep", "Seconds that a Job which has ended is kept.", whole, pool.keep),
        ("env", "Environment variables.", texts, dict(pool.environment)),
        ("labels", "Labels of Job and pod.", texts, None),
        ("annotations", "Annotations of Job and pod.", texts, None),
        ("name", "Begins the Job's name.", text, None),
        ("command", "What the container runs; without it, the run.", text, None),
        ("stream_output", "Whether the worker shows what pods write.", {"type": "boolean"}, True),
        ("job_watch_timeout_seconds", "Seconds that the worker waits for a Job's news.", whole, None),
        ("pod_watch_timeout_seconds", "Seconds that the worker waits for a pod.", whole, 60),
    ]
    if pool.shared_memory:
        shown.append(("shared_memory", "Size of /dev/shm, in memory.", size, quantity(pool.shared_memory)))
    return {
        name: {"title": name.replace("_", " ").capitalize(), "description": said, **kind}
        | ({} if default in (None, {}, []) else {"default": default})
        for name, said, kind, default in shown
    }


def _leaves(value: object, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [leaf for key, each in value.items() for leaf in _leaves(each, f"{path}.{key}".lstrip("."))]
    return [(path, json.dumps(value, ensure_ascii=False))]
