"""Loads entrypoints in a zygote, and says of each what the node must know, or why it cannot be forked."""

from __future__ import annotations

import gc
import os
import site
import sys
import sysconfig
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from work_pools.needs import Needs
from work_pools.task_type import TaskType, declared

if TYPE_CHECKING:
    from prefect.flows import Flow

Stamp = tuple[int, int]
"""Modification time in ns and size of a file; (0, 0) when it is gone."""
HOOKS = ("crashed", "cancelled")
"""Kinds of hooks that a node has run for a run whose process it, or somebody, killed."""


@dataclass(frozen=True)
class Loaded:
    """One entrypoint; ``problem`` is why it runs as an ordinary process instead, empty when it is ready."""

    problem: str = ""
    name: str = ""
    version: str | None = None
    retries: int | None = None
    retry_delay: float | list[float] | None = None
    task_type: TaskType | None = None
    hooks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        told = asdict(self)
        if self.task_type is not None:
            told["task_type"]["needs"] = self.task_type.needs.model_dump(mode="json")
        return told

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Loaded:
        if (given := told.get("task_type")) is not None:
            told = {**told, "task_type": TaskType(**{**given, "needs": Needs.model_validate(given["needs"])})}
        return cls(**{**told, "hooks": tuple(told["hooks"])})


@dataclass
class Preload:
    """What a zygote holds: flows by entrypoint, and the files they came from."""

    flows: dict[str, Flow[..., Any]] = field(default_factory=dict)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    files: dict[str, Stamp] = field(default_factory=dict)


def preload(root: str, entrypoints: list[str]) -> Preload:
    """Import the flows as Prefect would, with ``root`` as working directory; for a process of one thread."""
    os.chdir(root)
    if root not in sys.path:
        sys.path.insert(0, root)
    from work_pools import prefect_private

    prefect_private.share_ssl_contexts()
    made = Preload()
    for entrypoint in entrypoints:
        try:
            flow = made.flows[entrypoint] = load(entrypoint)
        except BaseException as error:
            made.loaded[entrypoint] = Loaded(problem=_reason(error))
            continue
        made.loaded[entrypoint] = Loaded(
            name=flow.name,
            version=flow.version,
            retries=flow.retries,
            retry_delay=flow.retry_delay_seconds,
            task_type=declared(flow),
            hooks=tuple(kind for kind in HOOKS if prefect_private.hooks_of(flow, kind)),
        )
    if problem := unforkable():
        made.flows.clear()
        made.loaded = {entrypoint: Loaded(problem=problem) for entrypoint in entrypoints}
    made.files = stamps(code_files())
    gc.collect()
    gc.freeze()
    return made


def load(entrypoint: str) -> Flow[..., Any]:
    """The flow, or a plain function made one, as Prefect's own engine loads it."""
    from prefect.exceptions import MissingFlowError
    from prefect.flows import load_flow_from_entrypoint, load_function_and_convert_to_flow

    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except MissingFlowError:
        return load_function_and_convert_to_flow(entrypoint)


def unforkable() -> str:
    """Why this process must not be forked; empty when it may."""
    others = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if others:
        return f"importing the flows started threads ({', '.join(sorted(others))})"
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("/dev/nvidia"):
            return "importing the flows opened a GPU"
    return ""


def code_files() -> list[str]:
    """Files of loaded modules that are neither Python's, nor an installed package's, nor the node's own."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    found = {str(Path(file).resolve()) for file in files if isinstance(file, str)}
    return sorted(file for file in found if not file.startswith(_INSTALLED))


def stamps(files: list[str]) -> dict[str, Stamp]:
    return {file: stamp(file) for file in files}


def stamp(file: str) -> Stamp:
    try:
        status = Path(file).stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _reason(error: BaseException) -> str:
    cause = getattr(error, "user_exc", None) or error
    return f"{type(cause).__name__}: {cause}"[:500]


_INSTALLED = tuple(
    {
        str(Path(folder).resolve()) + os.sep
        for folder in (
            *(sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")),
            *site.getsitepackages(),
            str(Path(__file__).parents[1]),
        )
        if folder
    }
)
