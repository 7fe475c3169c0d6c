"""How a deployment's runs are started: forked from a zygote, or as an ordinary process, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CHANGE_DIRECTORY = "prefect.deployments.steps.set_working_directory"


@dataclass(frozen=True)
class Codebase:
    """What one zygote has loaded: the code of a folder, in one environment."""

    root: str
    env: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class LaunchPlan:
    """``codebase`` is ``None`` where an ordinary process is needed; ``reason`` says why."""

    entrypoint: str
    codebase: Codebase | None = None
    reason: str = ""
    env: dict[str, str | None] = field(default_factory=dict)


def plan(
    *,
    entrypoint: str | None,
    path: str | None,
    pull_steps: list[Any] | None,
    stored: bool,
    env: Mapping[str, str | None],
    own_env: Mapping[str, str | None],
    cwd: str,
) -> LaunchPlan:
    """
    Args:
        stored: the code lies in a storage block.
        env: the whole environment wanted, ``own_env`` the part of it that only this run has.
        cwd: what relative folders are relative to.
    """
    made = LaunchPlan(entrypoint or "", env=dict(env))
    if not entrypoint:
        return _ordinary(made, "its deployment has no entrypoint")
    if own_env:
        return _ordinary(made, f"it has environment variables of its own ({', '.join(sorted(own_env))})")
    root = Path(cwd, path or "")
    if pull_steps:
        for step in pull_steps:
            name, inputs = next(iter(step.items())) if isinstance(step, Mapping) and step else ("?", None)
            directory = inputs.get("directory") if isinstance(inputs, Mapping) else None
            if name != _CHANGE_DIRECTORY or not isinstance(directory, str) or "{{" in directory:
                return _ordinary(made, f"its deployment pulls its code with {name}")
            root = Path(cwd, directory)
    elif stored:
        return _ordinary(made, "its code is in a storage block")
    elif "$STORAGE_BASE_PATH" in str(root):
        return _ordinary(made, "its code is under $STORAGE_BASE_PATH")
    root = root.resolve()
    if not root.is_dir():
        return _ordinary(made, f"there is no folder {root}")
    return LaunchPlan(entrypoint, Codebase(str(root), tuple(sorted(env.items()))), env=dict(env))


def _ordinary(made: LaunchPlan, reason: str) -> LaunchPlan:
    return LaunchPlan(made.entrypoint, None, reason, made.env)
