"""The pod that runs one task as a single process: its environment, volumes, rights, probes and resources; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.kube_names import (
    check_label_key,
    check_label_value,
    check_labels,
    check_resource,
    check_secret,
)
from skald_work_pools.kubernetes_job import cpu_quantity, gpu_toleration, quantity
from skald_work_pools.needs import Needs

Json = dict[str, Any]

IMAGE = "prefect-skald:latest"
"""Where no image is named: what the nodes are expected to have. There is none in a public registry."""
CONTAINER = "worker"
CONFIG_FILE = "all_workers.yml"
ALIVE_FILE = "/tmp/skald-alive"  # noqa: S108 - a volume of the pod's own
HOME = "/var/lib/skald"
USER = 10001
STALE_AFTER = 30
"""Seconds without a touch of the alive file after which a process counts as hung; it is touched every 5."""

_CONFIG_VOLUME = "worker-config"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_FRESH = f"test $(($(date +%s) - $(stat -c %Y {ALIVE_FILE}))) -lt {STALE_AFTER}"
# The kubelet itself sends SIGTERM to process 1; below a shell or an init nobody else tells the task.
_RELEASE = (
    f'p=$(cat {ALIVE_FILE} 2>/dev/null) || exit 0; test "$p" = 1 && exit 0; '
    'kill -TERM "$p" && while kill -0 "$p" 2>/dev/null; do sleep 0.2; done'
)


@dataclass(frozen=True)
class Gpus:
    """How the cluster names its GPUs: ``resource`` such as nvidia.com/mig-1g.5gb; ``model`` is a node label's value."""

    resource: str = "nvidia.com/gpu"
    model: str | None = None
    model_label: str = "nvidia.com/gpu.product"


@dataclass(frozen=True)
class PodOptions:
    """``grace`` in seconds, ``shared_memory`` in bytes; ``secrets`` are variable to (secret, key)."""

    image: str
    needs: Needs = field(default_factory=Needs)
    gpus: Gpus = field(default_factory=Gpus)
    shared_memory: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    grace: int = 30
    probes: bool = True


def pod_spec(task: str, config_map: str, options: PodOptions) -> Json:
    """The spec without a restart policy. ``task`` is the name that resources carry.

    Raises:
        InvalidInput: a need that a pod cannot meet, or a name that Kubernetes does not take.
    """
    volumes: list[Json] = [
        {"name": _CONFIG_VOLUME, "configMap": {"name": config_map}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "home", "emptyDir": {}},
    ]
    mounts: list[Json] = [
        {"name": _CONFIG_VOLUME, "mountPath": "/config", "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "home", "mountPath": HOME},
    ]
    if options.shared_memory:
        limit = quantity(options.shared_memory)
        volumes.append({"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": limit}})
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})  # noqa: S108
    container: Json = {
        "name": CONTAINER,
        "image": _image(options.image),
        "env": _environment(task, options),
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if resources := _resources(options):
        container["resources"] = resources
    if options.probes:
        container |= _probes()
    spec: Json = {
        "containers": [container],
        "volumes": volumes,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": options.grace,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if selector := _node_selector(options):
        spec["nodeSelector"] = selector
    if options.needs.gpus:
        spec["tolerations"] = [gpu_toleration(options.gpus.resource)]
    return spec


def _image(image: str) -> str:
    if not image or any(character.isspace() for character in image):
        raise InvalidInput(f"{image!r} is no image.", remedy="Write REGISTRY/NAME:TAG.")
    return image


def _environment(task: str, options: PodOptions) -> list[Json]:
    values = {
        "SKALD_MODE": "single_process",
        "SKALD_ID": f"worker-sp-{task}",
        "YAML_FILE": f"/config/{CONFIG_FILE}",
        "LOG_LEVEL": "INFO",
        "KAFKA_HOST": "",
        "REDIS_HOST": "",
        "MONGO_HOST": "",
        "HOME": HOME,
    }
    if options.probes:
        values["SKALD_ALIVE_FILE"] = ALIVE_FILE
    values |= options.environment
    for name in (*options.environment, *options.secrets):
        if not _VARIABLE.fullmatch(name):
            raise InvalidInput(f"{name!r} is no name of a variable.", remedy="Write such as LOG_LEVEL.")
    made: list[Json] = [{"name": n, "value": v} for n, v in values.items() if n not in options.secrets]
    for name, (secret, key) in options.secrets.items():
        check_secret("--secret", secret, key)
        made.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return made


def _resources(options: PodOptions) -> Json:
    """Needs are reservations: of CPU a pod may take more where it is free, of memory and GPUs no pod can."""
    needs = options.needs
    if needs.gpu_memory or needs.nvenc or needs.nvdec:
        raise InvalidInput(
            "A pod takes whole GPUs: gpu_memory, nvenc and nvdec cannot be reserved there.",
            remedy="Say how many with --gpu N; for a part of one, --gpu-resource nvidia.com/mig-….",
        )
    requests: Json = {}
    limits: Json = {}
    if needs.cpus:
        requests["cpu"] = cpu_quantity(needs.cpus)
    if needs.memory:
        requests["memory"] = limits["memory"] = quantity(needs.memory)
    if needs.gpus:
        check_resource("--gpu-resource", options.gpus.resource)
        requests[options.gpus.resource] = limits[options.gpus.resource] = str(needs.gpus)
    return {name: part for name, part in (("requests", requests), ("limits", limits)) if part}


def _node_selector(options: PodOptions) -> dict[str, str]:
    selector = dict(options.node_selector)
    if options.needs.tags and not selector:
        raise InvalidInput(
            f"Kubernetes' nodes have labels, not tags: {', '.join(sorted(options.needs.tags))}.",
            remedy="Say which label stands for them: --node-selector KEY=VALUE.",
        )
    if options.gpus.model:
        if not options.needs.gpus:
            raise InvalidInput("A GPU model without a GPU.", remedy="Say how many with --gpu N.")
        check_label_key("--gpu-label", options.gpus.model_label)
        check_label_value("--gpu-model", options.gpus.model)
        selector[options.gpus.model_label] = options.gpus.model
    check_labels("--node-selector", options.node_selector)
    return selector


def _probes() -> Json:
    def probe(period: int, failures: int) -> Json:
        check = {"command": ["/bin/sh", "-c", _FRESH]}
        return {"exec": check, "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures}

    return {
        "startupProbe": probe(2, 90),
        "livenessProbe": probe(10, 3),
        "readinessProbe": probe(5, 2),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", _RELEASE]}}},
    }
