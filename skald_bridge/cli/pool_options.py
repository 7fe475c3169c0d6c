"""What `skald pool --type kubernetes` is told of pods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from skald_bridge.cli.kube_options import pairs, secret_ref, size
from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.domain.kube_names import (
    check_label_key,
    check_label_value,
    check_labels,
    check_namespace,
    check_object_name,
    check_resource,
    check_secret,
)
from skald_work_pools.kubernetes_pool import KubernetesPool, Volume

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_PULLS = ("IfNotPresent", "Always", "Never")


def kubernetes_pool(given: dict[str, Any]) -> KubernetesPool:
    """The pool that the options mean; ``given`` are those that were given, by field, and ``host_paths``.

    Raises:
        NotFound: there is no such file.
        InvalidInput: an option is wrong.
    """
    said = dict(given)
    policy = said.get("image_pull_policy", _PULLS[0])
    if policy not in _PULLS:
        raise InvalidInput(f"--pull: {policy!r} is no policy.", remedy=f"Write {', '.join(_PULLS)}.")
    if "node_selector" in said:
        said["node_selector"] = pairs(said["node_selector"], "--node-selector", "KEY=VALUE")
        check_labels("--node-selector", said["node_selector"])
    if "environment" in said:
        said["environment"] = pairs(said["environment"], "--env", "NAME=VALUE")
    if "secrets" in said:
        named = pairs(said["secrets"], "--secret", "NAME=SECRET:KEY")
        said["secrets"] = {name: secret_ref(name, text) for name, text in named.items()}
        for secret, key in said["secrets"].values():
            check_secret("--secret", secret, key)
    if "shared_memory" in said:
        said["shared_memory"] = size("--shm", said["shared_memory"])
    if "tolerations" in said:
        said["tolerations"] = [_toleration(word) for word in said["tolerations"]]
    if "affinity" in said:
        said["affinity"] = _affinity(said["affinity"])
    volumes = [_volume(word, "--volume", "CLAIM:PATH[:ro]") for word in said.pop("volumes", ())]
    for volume in volumes:
        check_object_name("--volume", volume.source)
    volumes += [_volume(word, "--host-path", "FOLDER:PATH[:ro]") for word in said.pop("host_paths", ())]
    _check_names(said)
    return KubernetesPool(**said, volumes=volumes)


def _check_names(said: dict[str, Any]) -> None:
    checks: dict[str, tuple[str, Callable[[str, str], object]]] = {
        "namespace": ("--namespace", check_namespace),
        "gpu_resource": ("--gpu-resource", check_resource),
        "gpu_label": ("--gpu-label", check_label_key),
        "gpu_model": ("--gpu-model", check_label_value),
        "priority_class": ("--priority-class", check_object_name),
        "runtime_class": ("--runtime-class", check_object_name),
        "service_account": ("--service-account", check_object_name),
    }
    for field, (option, check) in checks.items():
        if field in said:
            check(option, said[field])
    for name in said.get("image_pull_secrets", ()):
        check_object_name("--pull-secret", name)


def _toleration(word: str) -> dict[str, str]:
    taint, _, effect = word.partition(":")
    key, equals, value = taint.partition("=")
    if not key or (effect and effect not in _EFFECTS):
        raise InvalidInput(
            f"--toleration: {word!r} is not KEY[=VALUE][:EFFECT].",
            remedy=f"Write such as gpu=yes:NoSchedule; effects are {', '.join(_EFFECTS)}.",
        )
    made = {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
    return {**made, "effect": effect} if effect else made


def _volume(word: str, option: str, form: str) -> Volume:
    source, _, rest = word.partition(":")
    path, _, mode = rest.partition(":")
    host_path = option == "--host-path"
    if not source or not path.startswith("/") or mode not in ("", "ro") or host_path > source.startswith("/"):
        raise InvalidInput(
            f"{option}: {word!r} is not {form}.", remedy=f"Write {option} {form}, with whole paths."
        )
    return Volume(source, path, host_path, mode == "ro")


def _affinity(file: Path) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"--affinity: there is no file {file}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"--affinity: {file} cannot be read: {error}", remedy="Mend the file.") from error
    known = ("nodeAffinity", "podAffinity", "podAntiAffinity")
    if not isinstance(data, dict) or not data or set(data) - set(known):
        raise InvalidInput(
            f"--affinity: {file} is no affinity.", remedy=f"Write a mapping of {', '.join(known)}."
        )
    return data
