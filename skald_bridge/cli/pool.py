"""`skald pool NAME`."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from skald_bridge.cli.connect import connect
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.output import say
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.names import check_resource_name

_PODS = "Pods, with --type kubernetes"


class PoolKind(StrEnum):
    SKALD = "skald"
    KUBERNETES = "kubernetes"


def _pods(flag: str, text: str, metavar: str | None = None, least: int | None = None) -> Any:
    return typer.Option(flag, help=text, metavar=metavar, min=least, rich_help_panel=_PODS)


def pool(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The work pool's name.")],
    type_: Annotated[
        PoolKind, typer.Option("--type", help="Who runs its tasks: nodes, or pods.")
    ] = PoolKind.SKALD,
    image: Annotated[
        str | None, _pods("--image", "The image, with the flows' code. [default: Prefect's]")
    ] = None,
    image_pull_policy: Annotated[
        str | None, _pods("--pull", "IfNotPresent (default), Always or Never.")
    ] = None,
    image_pull_secret: Annotated[
        list[str] | None, _pods("--pull-secret", "Secret of the image's registry; may be repeated.")
    ] = None,
    namespace: Annotated[
        str | None, _pods("--namespace", "Namespace of the Jobs. [default: default]")
    ] = None,
    gpu_resource: Annotated[
        str | None,
        _pods("--gpu-resource", "What a GPU is called: nvidia.com/gpu (default), nvidia.com/mig-1g.5gb."),
    ] = None,
    gpu_model: Annotated[
        str | None, _pods("--gpu-model", "Only nodes with this GPU, such as NVIDIA-L4 (by --gpu-label).")
    ] = None,
    gpu_label: Annotated[
        str | None, _pods("--gpu-label", "The label that names it. [default: nvidia.com/gpu.product]")
    ] = None,
    node_selector: Annotated[
        list[str] | None,
        _pods("--node-selector", "Only nodes with this label; may be repeated.", "KEY=VALUE"),
    ] = None,
    toleration: Annotated[
        list[str] | None,
        _pods("--toleration", "A taint that does not matter; may be repeated.", "KEY[=VALUE][:EFFECT]"),
    ] = None,
    affinity: Annotated[
        Path | None, _pods("--affinity", "A YAML file with Kubernetes' affinity.", "FILE")
    ] = None,
    priority_class: Annotated[
        str | None, _pods("--priority-class", "Kubernetes' PriorityClass of the pods.")
    ] = None,
    runtime_class: Annotated[
        str | None, _pods("--runtime-class", "Kubernetes' RuntimeClass of the pods.")
    ] = None,
    service_account: Annotated[
        str | None, _pods("--service-account", "Kubernetes' service account of the pods.")
    ] = None,
    shm: Annotated[str | None, _pods("--shm", "Size of /dev/shm, in memory: 1GiB.")] = None,
    volume: Annotated[
        list[str] | None,
        _pods("--volume", "A PersistentVolumeClaim, mounted; may be repeated.", "CLAIM:PATH[:ro]"),
    ] = None,
    host_path: Annotated[
        list[str] | None,
        _pods("--host-path", "A folder of the node, mounted; may be repeated.", "FOLDER:PATH[:ro]"),
    ] = None,
    env: Annotated[list[str] | None, _pods("--env", "A variable; may be repeated.", "NAME=VALUE")] = None,
    secret: Annotated[
        list[str] | None, _pods("--secret", "A variable from a Secret; may be repeated.", "NAME=SECRET:KEY")
    ] = None,
    keep: Annotated[
        int | None, _pods("--keep", "Seconds that an ended Job is kept. [default: 3600]", least=0)
    ] = None,
    deadline: Annotated[
        int | None, _pods("--deadline", "Seconds after which Kubernetes ends a Job.", least=1)
    ] = None,
    grace: Annotated[
        int | None, _pods("--grace", "Seconds from SIGTERM to SIGKILL. [default: 30]", least=0)
    ] = None,
) -> None:
    """Create a work pool, for nodes or for Kubernetes.

    One for nodes is created where it is missing; one for Kubernetes is changed, too, to what is said here. In that each
    task is a Job, made by `prefect worker start --pool NAME --type kubernetes`.
    """
    check_resource_name("NAME", name)
    given = {
        "image": image,
        "image_pull_policy": image_pull_policy,
        "image_pull_secrets": image_pull_secret,
        "namespace": namespace,
        "gpu_resource": gpu_resource,
        "gpu_model": gpu_model,
        "gpu_label": gpu_label,
        "node_selector": node_selector,
        "tolerations": toleration,
        "affinity": affinity,
        "priority_class": priority_class,
        "runtime_class": runtime_class,
        "service_account": service_account,
        "shared_memory": shm,
        "volumes": volume,
        "host_paths": host_path,
        "environment": env,
        "secrets": secret,
        "keep": keep,
        "deadline": deadline,
        "grace": grace,
    }
    said = {key: value for key, value in given.items() if value not in (None, [])}
    if type_ is PoolKind.KUBERNETES:
        _kubernetes(context, name, said)
        return
    if said:
        raise InvalidInput(
            f"A pool of type skald has no {', '.join(key.replace('_', ' ') for key in said)}: its tasks are no pods.",
            remedy="Add --type kubernetes; or leave these options out.",
        )
    connect(invocation(context).settings())
    from skald_bridge.main import ensure_pool

    created = asyncio.run(ensure_pool(name))
    say(f"{'created' if created else 'there already'}: work pool {name}, type skald")


def _kubernetes(context: typer.Context, name: str, given: dict[str, Any]) -> None:
    from skald_bridge.cli.pool_options import kubernetes_pool

    wanted = kubernetes_pool(given)
    connect(invocation(context).settings())
    from skald_bridge.main import save_kubernetes_pool

    changed = asyncio.run(save_kubernetes_pool(name, wanted))
    done = "created" if changed is None else "changed" if changed else "unchanged"
    say(f"{done}: work pool {name}, type kubernetes")
    for line in changed or ():
        say(f"  {line}")
