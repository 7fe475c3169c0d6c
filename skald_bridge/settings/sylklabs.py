"""The keys of a Sylklabs scheduler's configuration file, as settings of ours; pure."""

from __future__ import annotations

from typing import Any

from skald_bridge.domain.errors import InvalidInput

_NODE_TYPES = {"SINGLE_PROCESS": "single_process", "WORKER": "node", "SCHEDULER": "scheduler"}
_PLAIN = {
    "num_workers": "limit",
    "graceful_timeout": "grace",
    "heartbeat_interval": "redis_sync_period",
    "load_balancer": "dispatcher_strategy",
}
_EMBEDDED = ("memory", "in_memory", "inmemory", "local", "sqlite", "embedded", "none")
KEYS = frozenset({"node_type", "data_store", *_PLAIN})


def translate(key: str, value: Any, origin: str) -> dict[str, Any]:
    """The fields that one of ``KEYS`` sets.

    Raises:
        InvalidInput: the value is none that the key may have; names the key and ``origin``.
    """
    if key in _PLAIN:
        return {_PLAIN[key]: value}
    if key == "node_type":
        mode = _NODE_TYPES.get(str(value).strip().upper())
        if mode is None:
            raise InvalidInput(
                f"{origin}: node_type is {value!r}.", remedy=f"Write one of {', '.join(_NODE_TYPES)}."
            )
        return {"skald_mode": mode}
    return _data_store(value, origin)


def _data_store(value: Any, origin: str) -> dict[str, Any]:
    if not isinstance(value, dict) or "type" not in value or set(value) - {"type", "host"}:
        raise InvalidInput(f"{origin}: data_store must hold type and host.", remedy=_STORES)
    kind = str(value["type"]).strip().lower()
    host = value.get("host")
    if kind in _EMBEDDED:
        return {}
    if not isinstance(host, str) or not host:
        raise InvalidInput(f"{origin}: data_store of type {kind} needs a host.", remedy=_STORES)
    if kind in ("mongo", "mongodb"):
        return {"mongo_host": host if "://" in host else f"mongodb://{host}/"}
    if kind == "redis":
        name, _, port = host.removeprefix("redis://").rstrip("/").partition(":")
        return {"redis_host": name, **({"redis_port": port} if port else {})}
    raise InvalidInput(f"{origin}: data_store has the unknown type {value['type']!r}.", remedy=_STORES)


_STORES = "Write type mongodb or redis with its host, or type memory for the embedded store."
