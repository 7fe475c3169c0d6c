"""Kubernetes for Python programs: the functions of Skalds' guide, and the cluster behind ``skald k8s``.

from skald_bridge.kubernetes import create_single_process_resources

create_single_process_resources(namespace="default", task_name="task-alpha")
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from skald_bridge.connections import cluster as cluster_of
from skald_bridge.ports import Cluster
from skald_bridge.wire.manifests import Options, Workload, workload
from skald_bridge.wire.pods import IMAGE, PodOptions

_FILE = "all_workers.yml"
_log = logging.getLogger("skald.kubernetes")


def connect(
    *, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None
) -> Cluster:
    """The cluster that the arguments or KUBECONFIG name, or the one that this process runs in; nothing is asked of it.

    Raises:
        Unavailable: the client is not installed, or no cluster is configured.
        InvalidInput: there is no such context.
    """
    return cluster_of(kubeconfig, context, namespace)


def create_worker_configmap(
    namespace: str = "default",
    task_name: str = "task-alpha",
    *,
    yaml_file: str | Path | None = None,
    cluster: Cluster | None = None,
) -> None:
    """Create or change the ConfigMap skald-worker-config-TASK_NAME.

    It holds the entry called ``task_name`` of ``yaml_file`` (else YAML_FILE, else all_workers.yml), or its first.

    Raises:
        NotFound: there is no such file.
        InvalidInput: its content is wrong.
        Denied, Unavailable: the cluster does not let us, or does not answer.
    """
    built = _workload(task_name, yaml_file, IMAGE)
    (cluster or connect(namespace=namespace)).apply(built.manifests[0])
    _log.info("ConfigMap %s created in %s", built.manifests[0]["metadata"]["name"], namespace)


def create_single_process_resources(
    namespace: str,
    task_name: str,
    *,
    yaml_file: str | Path | None = None,
    image: str = IMAGE,
    options: Options | None = None,
    cluster: Cluster | None = None,
) -> None:
    """Create or change all objects of a task: its ConfigMap, and its Deployment or Job as isPersistent says.

    The entry is found as ``create_worker_configmap`` finds it, the errors are the same; ``options`` have their own
    image.
    """
    built = _workload(task_name, yaml_file, image, options)
    target = cluster or connect(namespace=namespace)
    for manifest in built.manifests:
        target.apply(manifest)
        _log.info("%s %s created in %s", manifest["kind"], manifest["metadata"]["name"], namespace)


def _workload(
    task_name: str, yaml_file: str | Path | None, image: str, options: Options | None = None
) -> Workload:
    from skald_bridge.modes.jobs import read_entries

    entries = read_entries(Path(yaml_file or os.environ.get("YAML_FILE") or _FILE))
    entry = next((each for each in entries if each.id == task_name), entries[0])
    return workload(entry, options or Options(PodOptions(image)), task_name)
