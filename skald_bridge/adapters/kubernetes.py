"""Kubernetes through its official client: objects as the API's JSON, its errors as ours."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from skald_bridge.domain.errors import Denied, Failing, InvalidInput, NotFound, Rejected, Unavailable

_FIELD_MANAGER = "skald"
_SECONDS = 30
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_KINDS = {
    "ConfigMap": (client.CoreV1Api, "config_map"),
    "Pod": (client.CoreV1Api, "pod"),
    "Deployment": (client.AppsV1Api, "deployment"),
    "Job": (client.BatchV1Api, "job"),
    "CronJob": (client.BatchV1Api, "cron_job"),
    "PodDisruptionBudget": (client.PolicyV1Api, "pod_disruption_budget"),
}


def connected(kubeconfig: str | None, context: str | None, namespace: str | None) -> KubernetesCluster:
    """The cluster of a kubeconfig (KUBECONFIG, else ~/.kube/config), or the one that this process runs in.

    Nothing is asked of it yet.

    Raises:
        Unavailable: no cluster is configured.
        InvalidInput: there is no such context.
    """
    try:
        _, active = config.list_kube_config_contexts(kubeconfig)
    except ConfigException:
        if kubeconfig is None and context is None:
            with contextlib.suppress(ConfigException):
                inside = _configuration()
                config.load_incluster_config(client_configuration=inside)
                return KubernetesCluster(client.ApiClient(inside), namespace or _own_namespace())
        raise Unavailable(
            f"No cluster is configured: {kubeconfig or 'KUBECONFIG and ~/.kube/config'} names none.",
            remedy="Set KUBECONFIG to a kubeconfig, or name it with --kubeconfig.",
        ) from None
    try:
        api = config.new_client_from_config(kubeconfig, context, client_configuration=_configuration())
        contexts, _ = config.list_kube_config_contexts(kubeconfig)
    except ConfigException as error:
        raise InvalidInput(
            f"The kubeconfig cannot be used: {' '.join(str(error).split())}.",
            remedy="`kubectl config get-contexts` lists what there is.",
        ) from error
    chosen = next((each for each in contexts if each["name"] == context), active)
    return KubernetesCluster(api, namespace or chosen["context"].get("namespace") or "default")


class KubernetesCluster:
    """One namespace of a cluster; see ``ports.Cluster``."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._call("read", kind, name)
        except NotFound:
            return None
        return found

    def apply(
        self, manifest: dict[str, Any], *, dry_run: bool = False, force: bool = False
    ) -> dict[str, Any]:
        made: dict[str, Any] = self._call(
            "patch",
            manifest["kind"],
            manifest["metadata"]["name"],
            body=manifest,
            field_manager=_FIELD_MANAGER,
            force=force,
            _content_type="application/apply-patch+yaml",
            **({"dry_run": "All"} if dry_run else {}),
        )
        return made

    def list(self, kind: str, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        asked = {"label_selector": selector, "field_selector": fields}
        found = self._call("list", kind, **{name: text for name, text in asked.items() if text})
        version = found.get("apiVersion")
        return [{"apiVersion": version, "kind": kind, **item} for item in found["items"]]

    def delete(self, kind: str, name: str) -> bool:
        try:
            self._call("delete", kind, name, propagation_policy="Foreground")
        except NotFound:
            return False
        return True

    def logs(
        self, pod: str, *, follow: bool = False, tail: int | None = None, previous: bool = False
    ) -> Iterator[str]:
        options: dict[str, Any] = {"follow": follow, "previous": previous}
        if tail is not None:
            options["tail_lines"] = tail
        with self._errors(f"the log of {pod}"):
            stream = client.CoreV1Api(self._api).read_namespaced_pod_log(
                pod,
                self.namespace,
                _preload_content=False,
                _request_timeout=(_SECONDS, None if follow else _SECONDS),
                **options,
            )
            rest = b""
            for part in stream.stream(decode_content=True):
                *lines, rest = (rest + part).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
            if rest:
                yield rest.decode(errors="replace")

    def _call(self, verb: str, kind: str, name: str | None = None, **options: Any) -> Any:
        api, noun = _KINDS[kind]
        method = getattr(api(self._api), f"{verb}_namespaced_{noun}")
        named = (name, self.namespace) if name is not None else (self.namespace,)
        with self._errors(f"{kind} {name}" if name else f"{kind}s"):
            answer = method(*named, _request_timeout=_SECONDS, **options)
        return self._api.sanitize_for_serialization(answer)

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except ApiException as error:
            raise self._translated(error, what) from error
        except HTTPError as error:
            raise Unavailable(
                f"The cluster at {self._api.configuration.host} does not answer: {_first_line(error)}",
                remedy="See whether `kubectl get --raw /readyz` answers, and which cluster KUBECONFIG names.",
            ) from error

    def _translated(self, error: ApiException, what: str) -> Exception:
        said = _message(error)
        match error.status:
            case 401:
                return Denied(
                    f"The cluster does not know us: {said}", remedy="Renew the kubeconfig's credentials."
                )
            case 403:
                return Denied(
                    f"The cluster does not let us: {said}",
                    remedy=f"Ask for a role with these rights in the namespace {self.namespace}.",
                )
            case 404 if said.startswith("namespaces "):
                return NotFound(
                    f"There is no namespace {self.namespace}.",
                    remedy=f"Create it: kubectl create namespace {self.namespace}",
                )
            case 404:
                return NotFound(f"{what}: {said}", remedy="`skald k8s list` lists tasks.")
            case 409:
                return Rejected(
                    f"{what} belongs to somebody else in part: {said}", remedy="Take it over with --force."
                )
            # A Deployment from elsewhere keeps its default strategy's parameters, which no apply can take away.
            case 422 if "immutable" in said or "strategy `type`" in said:
                return Rejected(
                    f"{what} cannot be changed: {said}", remedy="Remove it first: skald k8s delete TASK."
                )
            case 400 | 422:
                return InvalidInput(
                    f"The cluster does not take {what}: {said}", remedy="Correct what its message names."
                )
        return Failing(
            f"The cluster failed at {what}: {error.status} {said}",
            remedy="Try again; read the apiserver's log.",
        )


def _configuration() -> Any:
    made = client.Configuration()
    # urllib3 would try again at once, and warn of each try.
    made.retries = False
    return made


def _own_namespace() -> str:
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "default"


def _message(error: ApiException) -> str:
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        text = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        text = body or error.reason
    return " ".join(str(text).split())


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
