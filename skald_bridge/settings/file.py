"""Settings from flags, the environment, ``.env`` and a file, each winning over those after it.

Files are YAML, JSON or TOML. Keys are the fields of ``Settings``, in either case, flat or in sections
(``kafka: {host: …}``). The keys of a Sylklabs scheduler file are understood too.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from pydantic import ValidationError

from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.settings.model import Settings
from skald_bridge.settings.sylklabs import KEYS as SYLKLABS_KEYS
from skald_bridge.settings.sylklabs import translate

CONFIG_ENV = "SKALD_CONFIG"
"""Names the file for processes that are given no flag."""
DOTENV = Path(".env")


def load(
    config: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    *,
    flags_origin: str = "from the command line",
) -> Settings:
    """The settings of this process; ``flags`` holds the fields of the command line, ``None`` where not given.

    ``flags_origin`` says in errors where the flags came from.

    Raises:
        NotFound: there is no such file.
        InvalidInput: a key or value is wrong; the message names it and where it was read.
    """
    path = config or (Path(named) if (named := os.environ.get(CONFIG_ENV)) else None)
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in (
        (f"from {path}", read(path) if path is not None else {}),
        (f"from {DOTENV.absolute()}", _dotenv()),
        (flags_origin, given),
    ):
        values |= layer
        origins |= dict.fromkeys(layer, origin)
    for field in Settings.model_fields:
        if field not in given and (variable := environment_name(field)) is not None:
            values.pop(field, None)
            origins[field] = f"from the environment, {variable}"
    try:
        return Settings(**values)
    except ValidationError as error:
        raise _named(error, origins) from error


def read(path: Path) -> dict[str, Any]:
    """The fields that a file sets, values not yet checked.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it is not YAML, JSON or TOML, or has a key that is no setting.
    """
    fields: dict[str, Any] = {}
    for key, value in _parse(path).items():
        _collect(fields, key, value, path)
    return fields


def as_environment(settings: Settings) -> dict[str, str]:
    """What flows and nodes read from the environment by themselves, as variables for a child process."""
    found = {
        "SKALD_HOME": str(settings.home.absolute()),
        "SKALD_CANCEL_GRACE": f"{settings.cancel_grace:g}",
        "SKALD_SPARES": str(settings.spares),
        **_link(settings),
        "SKALD_GPU_OVERUSE": settings.gpu_overuse,
        "SKALD_WARM_MEMORY": str(settings.warm_memory or ""),
        "SKALD_MEDIA_SCHEMES": ",".join(settings.media_schemes),
        "SKALD_MEDIA_ROOTS": os.pathsep.join(settings.media_roots),
        "SKALD_IMPORT": ",".join(settings.imports),
        **_redis(settings),
    }
    return {name: value for name, value in found.items() if value}


def _link(settings: Settings) -> dict[str, str]:
    """Where the bridge is, for a node that is linked to it."""
    if not settings.link:
        return {}
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    return {"SKALD_LINK": settings.link, "SKALD_API_KEY": key}


def _redis(settings: Settings) -> dict[str, str]:
    """Where tasks find the cache."""
    if settings.redis_block or not settings.redis_host:
        return {"SKALD_REDIS_BLOCK": settings.redis_block or ""}
    password = settings.redis_password.get_secret_value() if settings.redis_password else ""
    return {
        "REDIS_HOST": settings.redis_host,
        "REDIS_PORT": str(settings.redis_port),
        "REDIS_USERNAME": settings.redis_username or "",
        "REDIS_PASSWORD": password,
        "REDIS_TLS": "true" if settings.redis_tls else "",
        "REDIS_CA_FILE": str(settings.redis_ca_file or ""),
    }


def environment_names(field: str) -> list[str]:
    """The variables that set a field, the documented one first."""
    alias = Settings.model_fields[field].validation_alias
    own = f"SKALD_{field.upper()}"
    return [alias, own] if isinstance(alias, str) and alias != own else [own]


def environment_name(field: str) -> str | None:
    """The variable that sets a field in this process; ``None`` when none does."""
    present = {name.upper(): name for name in os.environ}
    return next((present[name] for name in environment_names(field) if name in present), None)


def _dotenv() -> dict[str, Any]:
    """What ``.env`` in the working folder sets of ours; other programs' variables stand there too."""
    if not DOTENV.is_file():
        return {}
    found = {name.upper(): value or "" for name, value in dotenv_values(DOTENV).items()}
    return {
        field: found[name]
        for field in Settings.model_fields
        for name in reversed(environment_names(field))
        if name in found
    }


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(
            f"There is no configuration file {path}.", remedy=f"Write one: skald init {path}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The configuration file {path} cannot be read: {error}.") from error
    kind = path.suffix.lower()
    try:
        if kind == ".toml":
            data: Any = tomllib.loads(text)
        elif kind == ".json":
            data = json.loads(text)
        elif kind in (".yaml", ".yml"):
            data = yaml.safe_load(text)
        else:
            raise InvalidInput(
                f"The configuration file {path} ends in {kind or 'nothing'}, which says no format.",
                remedy="Name it .yaml, .json or .toml.",
            )
    except (ValueError, yaml.YAMLError) as error:
        raise InvalidInput(f"The configuration file {path} is not {kind[1:]}: {error}.") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InvalidInput(f"The configuration file {path} must hold keys and values at its top.")
    return {str(key): value for key, value in data.items()}


def _collect(fields: dict[str, Any], key: str, value: Any, path: Path) -> None:
    name = key.strip().lower().replace("-", "_")
    if name in SYLKLABS_KEYS:
        found = translate(name, value, str(path))
    elif name in Settings.model_fields:
        found = {name: value}
    elif (field := _by_variable(name)) is not None:
        found = {field: value}
    elif isinstance(value, dict) and any(f.startswith(f"{name}_") for f in Settings.model_fields):
        for inner, item in value.items():
            _collect(fields, f"{name}_{inner}", item, path)
        return
    else:
        raise _unknown(key, name, path)
    for field, item in found.items():
        if field in fields:
            raise InvalidInput(f"{path} sets {field} twice, the second time as {key}.", remedy="Keep one.")
        fields[field] = "" if item is None else item


def _by_variable(name: str) -> str | None:
    return next((f for f in Settings.model_fields if name.upper() in environment_names(f)), None)


def _unknown(key: str, name: str, path: Path) -> InvalidInput:
    near = difflib.get_close_matches(name, [*Settings.model_fields, *SYLKLABS_KEYS], 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return InvalidInput(
        f"{path}: {key} is no setting.", remedy=f"{hint}`skald init` writes a file that lists all of them."
    )


def _named(error: ValidationError, origins: Mapping[str, str]) -> InvalidInput:
    """One error for all wrong fields, with the first one's remedy."""
    problems = error.errors(include_url=False, include_input=False)
    fields = [str(problem["loc"][0]) if problem["loc"] else "?" for problem in problems]
    reasons = [problem["msg"].removeprefix("Value error, ") for problem in problems]
    sentence = "; ".join(
        f"{field} ({origins.get(field, 'given')}): {reason}"
        for field, reason in zip(fields, reasons, strict=True)
    )
    known = Settings.model_fields.get(fields[0])
    remedy = f"{fields[0]}: {known.description}" if known is not None else "`skald init` lists all settings."
    return InvalidInput(f"{sentence}.", remedy=remedy)
