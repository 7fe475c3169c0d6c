"""`skald k8s`: tasks of Skalds' YAML files on a Kubernetes cluster."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skald_bridge.cli import kube_options as pods
from skald_bridge.cli.lazy import EXIT_CODES
from skald_bridge.cli.output import ago, console, plain, print_json, say, table
from skald_bridge.domain.errors import NotFound, SkaldError
from skald_bridge.domain.kube_names import check_namespace
from skald_bridge.domain.plain_text import visible
from skald_bridge.wire.pods import IMAGE

if TYPE_CHECKING:
    from skald_bridge.ports import Cluster
    from skald_bridge.wire.rollout import RolloutProgress, Row

Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="[default: the kubeconfig's, else default]")
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="[default: KUBECONFIG, else ~/.kube/config]"),
]
Context = Annotated[str | None, typer.Option("--context", help="A context of the kubeconfig.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait at most.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Name = Annotated[str, typer.Argument(metavar="TASK", help="As the YAML file or the list names it.")]

k8s = typer.Typer(
    name="k8s",
    help="Run Skalds' YAML files on Kubernetes, a pod for each task.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
)


@k8s.command(epilog=EXIT_CODES)
def render(
    file: pods.File,
    task: pods.Task = None,
    image: pods.Image = IMAGE,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Written into the objects.")
    ] = None,
    imports: pods.Imports = None,
    cpus: pods.Cpus = None,
    memory: pods.Memory = None,
    gpu: pods.Gpu = None,
    gpu_resource: pods.GpuResource = "nvidia.com/gpu",
    gpu_model: pods.GpuModel = None,
    gpu_label: pods.GpuLabel = "nvidia.com/gpu.product",
    shm: pods.Shm = None,
    env: pods.Env = None,
    secret: pods.Secret = None,
    node_selector: pods.NodeSelector = None,
    grace: pods.Grace = 30,
    probes: pods.Probes = True,
    schedule: pods.Schedule = None,
    retries: pods.Retries = 0,
    keep: pods.Keep = 86_400,
    disruptions: pods.Disruptions = 0,
    as_json: Json = False,
) -> None:
    """Print the manifests of a YAML file's entries; no cluster is asked.

    isPersistent: true becomes a Deployment, false a Job or, with --schedule, a CronJob.
    """
    from skald_bridge.wire.manifests import dump_all

    manifests = [each for workload in pods.built(file, locals()) for each in workload.manifests]
    if namespace is not None:
        check_namespace("--namespace", namespace)
        for manifest in manifests:
            manifest["metadata"]["namespace"] = namespace
    if as_json:
        print_json({"apiVersion": "v1", "kind": "List", "items": manifests})
    else:
        typer.echo(dump_all(manifests), nl=False)


@k8s.command(epilog=EXIT_CODES)
def apply(
    file: pods.File,
    task: pods.Task = None,
    image: pods.Image = IMAGE,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    imports: pods.Imports = None,
    cpus: pods.Cpus = None,
    memory: pods.Memory = None,
    gpu: pods.Gpu = None,
    gpu_resource: pods.GpuResource = "nvidia.com/gpu",
    gpu_model: pods.GpuModel = None,
    gpu_label: pods.GpuLabel = "nvidia.com/gpu.product",
    shm: pods.Shm = None,
    env: pods.Env = None,
    secret: pods.Secret = None,
    node_selector: pods.NodeSelector = None,
    grace: pods.Grace = 30,
    probes: pods.Probes = True,
    schedule: pods.Schedule = None,
    retries: pods.Retries = 0,
    keep: pods.Keep = 86_400,
    disruptions: pods.Disruptions = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference alone.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Take over fields that others manage.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing, in a terminal too.")] = False,
    waiting: Annotated[bool, typer.Option("--wait/--no-wait", help="Until every pod is ready.")] = True,
    timeout: Timeout = 180,
    as_json: Json = False,
) -> None:
    """Show what changes on the cluster, change it, and wait until it runs.

    The objects are those of `skald k8s render`. The cluster itself says beforehand what it would make of them; a
    terminal is asked before anything is changed.
    """
    from skald_bridge.services.workloads import apply as make_so
    from skald_bridge.services.workloads import plan, wait

    workloads = pods.built(file, locals())
    cluster = _cluster(kubeconfig, context, namespace)
    plans = [(workload, plan(cluster, workload, force=force)) for workload in workloads]
    if not as_json:
        for _, changes in plans:
            _show(changes)
    answer: dict[str, Any] = {
        "namespace": cluster.namespace,
        "tasks": [
            {"task": w.task, "name": w.name, "kind": w.kind, "changes": [asdict(each) for each in changes]}
            for w, changes in plans
        ],
    }
    if not dry_run:
        if not (yes or as_json):
            made = sum(change.action != "unchanged" for _, changes in plans for change in changes)
            pods.agreed(made, cluster.namespace)
        for workload, changes in plans:
            make_so(cluster, workload, changes, timeout, force=force)
    failed: RolloutProgress | None = None
    if waiting and not dry_run:
        for shown, (workload, _) in zip(answer["tasks"], plans, strict=True):
            name = workload.name

            def report(text: str, name: str = name) -> None:
                if not as_json:
                    say(f"{name}: {text}")

            at = wait(cluster, workload, timeout, report)
            shown |= {"ready": at.done, "state": at.text, "remedy": at.remedy}
            if not at.done and failed is None:
                failed = _ended(name, at, timeout)
    if as_json:
        print_json(answer)
    if failed is not None:
        raise SkaldError(failed.text, remedy=failed.remedy)


@k8s.command("list", epilog=EXIT_CODES)
def list_tasks(
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    as_json: Json = False,
) -> None:
    """List the tasks in a namespace, and where they stand."""
    from skald_bridge.services.workloads import listed

    cluster = _cluster(kubeconfig, context, namespace)
    rows = listed(cluster)
    if as_json:
        print_json([row_json(row) for row in rows])
        return
    if not rows:
        say(f"No tasks in the namespace {cluster.namespace}.")
        return
    now = datetime.now(UTC)
    cells = [
        (
            plain(row.name),
            plain(row.kind),
            plain(row.progress.text),
            plain(row.class_name),
            plain(row.image),
            ago(datetime.fromisoformat(row.created), now),
        )
        for row in rows
    ]
    console().print(table(["task", "kind", "state", "class", "image", "made"], cells))


@k8s.command(epilog=EXIT_CODES)
def delete(
    task: Name,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    timeout: Timeout = 60,
    as_json: Json = False,
) -> None:
    """Remove a task's objects, and wait until its pods are gone; release is called in them."""
    from skald_bridge.services.workloads import delete as remove

    cluster = _cluster(kubeconfig, context, namespace)
    removed, gone = remove(cluster, task, timeout)
    if as_json:
        print_json(
            {"namespace": cluster.namespace, "gone": gone, "removed": [f"{c.kind}/{c.name}" for c in removed]}
        )
    else:
        for change in removed:
            say(f"removed {change.kind}/{change.name}")
    if not gone:
        raise SkaldError(
            f"{task} is being removed, and was not gone after {timeout:g} s.",
            remedy="Wait for its release: skald k8s list; or give it longer with --timeout.",
        )


@k8s.command(epilog=EXIT_CODES)
def logs(
    task: Name,
    namespace: Namespace = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it goes on.")] = False,
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Only so many lines.")] = None,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of the container before a restart.")
    ] = False,
) -> None:
    """Print what a task's newest pod has said."""
    from skald_bridge.services.workloads import newest_pod

    cluster = _cluster(kubeconfig, context, namespace)
    pod, waits = newest_pod(cluster, task)
    silent = True
    for line in cluster.logs(pod, follow=follow, tail=tail, previous=previous):
        say(line)
        silent = False
    if silent and waits:
        raise NotFound(
            f"{task} has said nothing yet: {waits}.", remedy="`skald k8s list` says where it stands."
        )


def row_json(row: Row) -> dict[str, Any]:
    """``created`` is ISO 8601."""
    return {
        "name": row.name,
        "kind": row.kind,
        "task": row.task,
        "className": row.class_name,
        "image": row.image,
        "state": row.progress.text,
        "ready": row.progress.done,
        "failed": row.progress.failed,
        "created": row.created,
    }


def _cluster(kubeconfig: Path | None, context: str | None, namespace: str | None) -> Cluster:
    from skald_bridge.kubernetes import connect

    if namespace is not None:
        check_namespace("--namespace", namespace)
    return connect(kubeconfig=str(kubeconfig) if kubeconfig else None, context=context, namespace=namespace)


def _show(changes: list[Any]) -> None:
    for change in changes:
        say(f"{change.action} {change.kind}/{change.name}")
        for line in change.diff.splitlines():
            colour = {"+": "green", "-": "red"}.get(line[:1])
            typer.secho(f"  {visible(line)}", fg=colour)


def _ended(name: str, at: RolloutProgress, seconds: float) -> RolloutProgress:
    from skald_bridge.wire.rollout import RolloutProgress

    if at.failed:
        return RolloutProgress(f"{name} does not run: {at.text}", remedy=at.remedy)
    return RolloutProgress(
        f"{name} was not ready after {seconds:g} s: {at.text}",
        remedy=f"Look again with skald k8s list, or wait longer with --timeout {seconds * 2:g}.",
    )
