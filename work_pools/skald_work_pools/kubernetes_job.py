"""Needs as job variables of a work pool of type ``kubernetes``, and what no pod can give; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from skald_work_pools.needs import Needs

POOL_TYPE = "kubernetes"
"""Prefect's own; its worker is prefect-kubernetes'."""
TAG_LABEL = "skald/"
"""Prefix of the label, of value ``true``, by which a node has a tag of ``Needs``."""

Json = dict[str, Any]
_TAG = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


class CannotGive(ValueError):
    """What a pod cannot give. ``message`` says what, ``remedy`` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def job_variables(declared: Needs, given: Mapping[str, Any], template: Mapping[str, Any]) -> Json:
    """The job variables of a deployment to the pool of this base job template, so that its pods have what it needs.

    ``given`` are those that the deployment itself says, with needs under the names that they have on every pool; they
    win over what the flow declares.

    Raises:
        CannotGive: no pod has that, or the pool has no place for it: it was not made by ``skald pool``.
        pydantic.ValidationError: a given need is of a wrong type; it names the field.
    """
    needs = declared.overridden_by({**given, "cpus": _cores(given.get("cpus"))})
    refuse(needs)
    known = template.get("variables", {}).get("properties", {})

    def so_far(name: str) -> Any:
        return given.get(name) or known.get(name, {}).get("default") or ()

    found: Json = {}
    if needs.cpus:
        found["cpus"] = cpu_quantity(needs.cpus)
    if needs.memory:
        found["memory"] = quantity(needs.memory)
    if needs.gpus:
        own = gpu_toleration(gpu_resource(template) or "nvidia.com/gpu")
        theirs = list(so_far("tolerations"))
        found |= {"gpus": needs.gpus, "tolerations": theirs if own in theirs else [*theirs, own]}
    if needs.tags:
        labels = {f"{TAG_LABEL}{tag}": "true" for tag in sorted(needs.tags)}
        found["node_selector"] = {**dict(so_far("node_selector")), **labels}
    if missing := [name for name in found if name not in known]:
        raise CannotGive(
            f"its pool has no job variables {', '.join(missing)}",
            f"Let it have ours: skald pool NAME --type {POOL_TYPE}",
        )
    return {key: value for key, value in given.items() if key not in Needs.model_fields} | found


def refuse(needs: Needs) -> None:
    """Raise ``CannotGive`` for a share of a GPU, sessions, and a tag that no label can have."""
    shares = [name for name in ("gpu_memory", "nvenc", "nvdec") if getattr(needs, name)]
    if shares:
        raise CannotGive(
            f"a pod takes whole GPUs, {' and '.join(shares)} cannot be reserved there",
            "Deploy it to a pool of type skald; or let it take whole ones, with job_variables: "
            f"{{gpus: {needs.gpus}, {', '.join(f'{name}: 0' for name in shares)}}}. In a pool made with "
            "--gpu-resource nvidia.com/mig-… those are parts of GPUs.",
        )
    for tag in sorted(needs.tags):
        if not _TAG.fullmatch(tag):
            raise CannotGive(
                f"a node cannot have the label {TAG_LABEL}{tag} for the tag {tag!r}",
                "Name the tag with letters, digits, dots, dashes and underscores, at most 63.",
            )


def gpu_resource(template: Mapping[str, Any]) -> str | None:
    """What the pool's cluster calls the GPUs that ``gpus`` counts."""
    try:
        (container,) = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
        limits = container["resources"]["limits"]
    except (KeyError, TypeError, ValueError):
        return None
    return next((name for name, value in limits.items() if value == placeholder("gpus")), None)


def quantity(size: int) -> str:
    """Bytes as Kubernetes writes them, exact: ``2Gi``, ``1536Mi``, ``1000``."""
    for unit, factor in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def cpu_quantity(cpus: float) -> str:
    """Cores as Kubernetes writes them: ``2``, ``1500m``; never none for more than none."""
    thousandths = max(1, round(cpus * 1000))
    return f"{thousandths}m" if thousandths % 1000 else str(thousandths // 1000)


def gpu_toleration(resource: str) -> Json:
    """Of the taint by which clusters keep others off nodes with GPUs; a part of an NVIDIA GPU lies on such a node."""
    key = "nvidia.com/gpu" if resource.startswith("nvidia.com/") else resource
    return {"key": key, "operator": "Exists", "effect": "NoSchedule"}


def placeholder(name: str) -> str:
    """Where Prefect puts a job variable."""
    return "{{ " + name + " }}"


def _cores(given: object) -> object:
    """``500m``, as Kubernetes writes half a core, is a need too."""
    if isinstance(given, str) and given.endswith("m") and given[:-1].isdigit():
        return int(given[:-1]) / 1000
    return given
