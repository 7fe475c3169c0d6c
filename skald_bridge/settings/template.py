"""A configuration file that lists every setting with its meaning and default; ``skald init`` writes it."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.settings.file import environment_names
from skald_bridge.settings.model import Settings

_HEAD = [
    "Settings of skald. Flags win over the environment, the environment over .env, .env over this file.",
    "A line that is commented out shows a setting that is not set, or its form.",
]
_EXAMPLES = {
    "link": "http://127.0.0.1:8000",
    "prefect_api_url": "http://127.0.0.1:4200/api",
    "skald_id": "studio-1",
    "yaml_file": "all_workers.yml",
    "alive_file": "/run/skald-alive",
    "limit": 4,
    "kubernetes_namespace": "media",
    "log_path": "logs",
    "kafka_block": "events",
    "redis_block": "heartbeats",
    "mongo_block": "tasks",
    "kafka_host": "127.0.0.1",
    "kafka_username": "skald",
    "kafka_password": "secret",
    "kafka_ca_file": "/etc/ssl/kafka-ca.pem",
    "redis_host": "127.0.0.1",
    "redis_username": "skald",
    "redis_password": "secret",
    "redis_ca_file": "/etc/ssl/redis-ca.pem",
    "api_key": "a long random text",
    "dashboard": "skalds/system_controller/static/dashboard",
    "mongo_host": "mongodb://127.0.0.1:27017/",
}


def template(suffix: str) -> str:
    """The text for a file that ends in ``suffix``: .yaml, .yml or .toml.

    Raises:
        InvalidInput: another suffix; JSON has no comments.
    """
    kind = suffix.lower()
    if kind not in (".yaml", ".yml", ".toml"):
        raise InvalidInput(
            f"A commented configuration cannot be a {kind or 'nameless'} file.",
            remedy="Name it skald.yaml or skald.toml.",
        )
    sign = " =" if kind == ".toml" else ":"
    lines = [f"# {line}" for line in _HEAD]
    for name, field in Settings.model_fields.items():
        default = shown(field.get_default())
        lines += ["", f"# {field.description} (environment: {environment_names(name)[0]})"]
        if default is None:
            lines.append(f"# {name}{sign} {json.dumps(_EXAMPLES[name])}")
        else:
            lines.append(f"{name}{sign} {json.dumps(default)}")
    return "\n".join(lines) + "\n"


def shown(value: Any) -> Any:
    """A default as a file has it; ``None`` for a secret."""
    match value:
        case Enum():
            return value.value
        case Path():
            return str(value)
        case tuple():
            return list(value)
        case SecretStr():
            return None
        case _:
            return value
