"""Loads one entrypoint as Prefect's engine does, and says of it what the node must know."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from skald_work_pools.needs import Needs
from skald_work_pools.node.forked.findings import Finding
from skald_work_pools.node.forked.stamps import Reads
from skald_work_pools.task_type import TaskType, declared

if TYPE_CHECKING:
    from prefect.flows import Flow

HOOKS = ("crashed", "cancelled")
"""Kinds of hooks that a node has run for a run whose process it, or somebody, killed."""
looked_for_at_start: frozenset[str] = frozenset()
"""Names of the modules that an interpreter looks for before it has the flow's own."""
changed_by_start: dict[str, str | None] = {}
"""Variables that this interpreter's own start changed, as ``sitecustomize`` does; ``None``: removed."""


@dataclass(frozen=True)
class Loaded:
    """One entrypoint; ``problem`` is why it could not be loaded, empty when it was.

    ``retry_delay`` in seconds, as Prefect takes it; ``findings`` are what stands against sharing the load.
    """

    problem: str = ""
    name: str = ""
    version: str | None = None
    retries: int | None = None
    retry_delay: float | list[float] | None = None
    task_type: TaskType | None = None
    hooks: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    reads: Reads = field(default_factory=Reads)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        data = asdict(self)
        if self.task_type is not None:
            data["task_type"]["needs"] = self.task_type.needs.model_dump(mode="json")
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Loaded:
        made = dict(data)
        if (given := made.get("task_type")) is not None:
            made["task_type"] = TaskType(**{**given, "needs": Needs.model_validate(given["needs"])})
        made["findings"] = tuple(Finding(**finding) for finding in made["findings"])
        return cls(**{**made, "hooks": tuple(made["hooks"]), "reads": Reads.from_dict(made["reads"])})


def enter(root: str, environment: Mapping[str, str]) -> None:
    """Be in the folder and environment in which Prefect's process worker would start the engine.

    Raises:
        OSError: the folder cannot be entered.
    """
    before = prefect_settings()
    os.environ.clear()
    os.environ.update(environment)
    change_environment(changed_by_start)
    os.chdir(root)
    here = os.getcwd()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    if here not in sys.path:
        sys.path.insert(0, here)
    sys.argv = [engine_file()]
    if prefect_settings() != before and "prefect.context" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def change_environment(changes: Mapping[str, str | None]) -> None:
    """Set variables; ``None`` removes one."""
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def load(entrypoint: str) -> Flow[..., Any]:
    """The flow, or a plain function made one, as Prefect's own engine loads it.

    Raises:
        BaseException: of the import.
    """
    from prefect.exceptions import MissingFlowError
    from prefect.flows import load_flow_from_entrypoint, load_function_and_convert_to_flow

    try:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)
    except MissingFlowError:
        return load_function_and_convert_to_flow(entrypoint)


def load_to_share(entrypoint: str) -> tuple[Flow[..., Any], list[Finding]]:
    """The flow, and what stands against forking this process; leaves its memory ready to be shared."""
    from skald_work_pools.node.forked.inheritance import ProcessState, compare

    before = ProcessState.take()
    flow = load(entrypoint)
    found = list(compare(before, ProcessState.take()))
    gc.collect()
    gc.freeze()
    return flow, found


def probe(entrypoint: str) -> Loaded:
    """Load under observation, in a process that is thrown away."""
    from skald_work_pools.node.forked.inheritance import ProcessState, compare
    from skald_work_pools.node.forked.observing import Observer
    from skald_work_pools.prefect_private.hooks import hooks_of

    package = "" if ".py:" in entrypoint else entrypoint.partition(":")[0].partition(".")[0]
    before, modules = ProcessState.take(), frozenset(sys.modules)
    observer = Observer(package)
    observer.look_for(looked_for_at_start)
    try:
        with observer.watching():
            flow = load(entrypoint)
    except BaseException as error:
        observer.finish(modules)
        return Loaded(problem=reason(error), reads=observer.reads)
    observer.finish(modules)
    found = [*observer.findings.values(), *compare(before, ProcessState.take())]
    return Loaded(
        name=flow.name,
        version=flow.version,
        retries=flow.retries,
        retry_delay=flow.retry_delay_seconds,
        task_type=declared(flow),
        hooks=tuple(kind for kind in HOOKS if hooks_of(flow, kind)),
        findings=tuple(found),
        reads=observer.reads,
    )


def engine_file() -> str:
    """What ``sys.argv`` begins with in the processes of Prefect's worker."""
    import prefect.engine

    return str(prefect.engine.__file__)


def prefect_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}


def reason(error: BaseException) -> str:
    cause = getattr(error, "user_exc", None) or error
    return f"{type(cause).__name__}: {cause}"[:500]
