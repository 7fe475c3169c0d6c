"""Where a run's code is, and whether it can be loaded before the run is known. Pure but for a look at the folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skald_work_pools.task_type import Start

_CHANGE_DIRECTORY = "prefect.deployments.steps.set_working_directory"


@dataclass(frozen=True)
class Codebase:
    """What one interpreter has loaded: an entrypoint in a folder as configured, links unresolved, in one environment.

    ``start`` is what the deployment asks for.
    """

    root: str
    entrypoint: str
    env: tuple[tuple[str, str | None], ...] = ()
    start: Start | None = None

    def __str__(self) -> str:
        return f"{self.entrypoint} in {self.root}"


@dataclass(frozen=True)
class LaunchPlan:
    """``codebase`` is ``None`` where the code must be fetched for each run; ``reason`` says why.

    ``missing`` is the folder that should hold the code on this machine, and did not when this was planned.

    ``env`` is the whole environment wanted; ``own_env`` names the variables that only this run has.
    """

    entrypoint: str
    codebase: Codebase | None = None
    reason: str = ""
    env: dict[str, str | None] = field(default_factory=dict)
    own_env: frozenset[str] = frozenset()
    missing: str = ""


def plan(
    *,
    entrypoint: str | None,
    path: str | None,
    pull_steps: list[Any] | None,
    stored: bool,
    env: Mapping[str, str | None],
    own_env: Mapping[str, str | None],
    cwd: str,
    start: Start | None = None,
) -> LaunchPlan:
    """
    Args:
        stored: the code lies in a storage block.
        env: the environment wanted by the pool and the deployment, ``own_env`` what this run adds to it.
        cwd: what relative folders are relative to.
        start: how the deployment wants its runs to start.
    """
    whole = {**env, **own_env}

    def fetched(reason: str, missing: str = "") -> LaunchPlan:
        return LaunchPlan(entrypoint or "", None, reason, whole, frozenset(own_env), missing)

    if not entrypoint:
        return fetched("its deployment has no entrypoint")
    root = Path(cwd, path or "")
    if pull_steps:
        for step in pull_steps:
            name, inputs = next(iter(step.items())) if isinstance(step, Mapping) and step else ("?", None)
            directory = inputs.get("directory") if isinstance(inputs, Mapping) else None
            if name != _CHANGE_DIRECTORY or not isinstance(directory, str) or "{{" in directory:
                return fetched(f"its deployment pulls its code with {name}")
            root = Path(cwd, directory)
    elif stored:
        return fetched("its code is in a storage block")
    elif "$STORAGE_BASE_PATH" in str(root):
        return fetched("its code is under $STORAGE_BASE_PATH")
    if not root.is_dir():
        return fetched(f"there is no folder {root}", str(root))
    codebase = Codebase(str(root), entrypoint, tuple(sorted(env.items())), start)
    return LaunchPlan(entrypoint, codebase, "", whole, frozenset(own_env))
