"""A node without a container runtime: the test says what becomes of its pods, as a kubelet would."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from kubernetes import client, config

from tests.services.kubernetes.cluster import ControlPlane
from tests.services.poll import until


class Node:
    """Pods are bound to it by ``pod``; their logs are read from it through the apiserver, as everywhere."""

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.name = name
        self.logs: dict[str, str] = {}
        crt, key = plane.authority.issue(f"node-{name}")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(crt, key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.logs))
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._api = client.CoreV1Api(config.new_client_from_config(str(plane.admin)))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._api.create_node({"metadata": {"name": self.name}})
        address = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
        port = {"daemonEndpoints": {"kubeletEndpoint": {"Port": self._server.server_port}}}
        self._api.patch_node_status(self.name, {"status": {**address, **port}})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.delete_node(self.name)
        self._server.shutdown()
        self._server.server_close()

    def pod(self, namespace: str, app: str, label: str = "app") -> str:
        """The name of the newest pod whose ``label`` is ``app``, bound to this node; waited for."""

        def found() -> list[Any]:
            pods = self._api.list_namespaced_pod(namespace, label_selector=f"{label}={app}").items
            return [
                pod for pod in pods if pod.spec.node_name is None and pod.metadata.deletion_timestamp is None
            ]

        pod = until(found, 60, f"a pod of {app}")[0].metadata.name
        target = {
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.name},
            "metadata": {"name": pod},
        }
        self._api.create_namespaced_binding(namespace, target, _preload_content=False)
        return str(pod)

    def ready(self, namespace: str, pod: str) -> None:
        self._say(namespace, pod, "Running", {"running": {"startedAt": _now()}}, ready=True)

    def waits(self, namespace: str, pod: str, reason: str, message: str) -> None:
        self._say(namespace, pod, "Pending", {"waiting": {"reason": reason, "message": message}})

    def ended(self, namespace: str, pod: str, code: int) -> None:
        times = {"startedAt": _now(), "finishedAt": _now()}
        terminated = {"exitCode": code, "reason": "Error" if code else "Completed", **times}
        self._say(namespace, pod, "Failed" if code else "Succeeded", {"terminated": terminated})

    def out_of_memory(self, namespace: str, pod: str, code: int) -> None:
        """Of the container's processes one was killed; with ``code`` 0 the first one went on and ended well."""
        times = {"startedAt": _now(), "finishedAt": _now()}
        terminated = {"exitCode": code, "reason": "OOMKilled", **times}
        self._say(namespace, pod, "Failed" if code else "Succeeded", {"terminated": terminated})

    def unschedulable(self, namespace: str, pod: str, message: str) -> None:
        """What a scheduler says of a pod that no node can have."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        self._api.patch_namespaced_pod_status(pod, namespace, {"status": {"conditions": [condition]}})

    def gone(self, namespace: str, pod: str) -> None:
        """Its containers have ended: whoever asked for its deletion waits no longer."""
        self._api.delete_namespaced_pod(pod, namespace, grace_period_seconds=0)

    def _say(
        self, namespace: str, pod: str, phase: str, state: Mapping[str, Any], ready: bool = False
    ) -> None:
        container = {
            "name": self._api.read_namespaced_pod(pod, namespace).spec.containers[0].name,
            "image": "x",
            "imageID": "",
            "ready": ready,
            "restartCount": 0,
            "state": state,
        }
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": _now()}
        status = {
            "phase": phase,
            "startTime": _now(),
            "containerStatuses": [container],
            "conditions": [condition],
        }
        self._api.patch_namespaced_pod_status(pod, namespace, {"status": status})


def _handler(logs: Mapping[str, str]) -> type[BaseHTTPRequestHandler]:
    class Kubelet(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            _, what, _, pod, _ = path.split("/")
            text = logs.get(pod) if what == "containerLogs" else None
            body = (text or "").encode()
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Kubelet


def _now() -> str:
    return datetime.now(UTC).isoformat()
