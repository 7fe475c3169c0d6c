"""``flow_from_worker``: a class written for Skalds' ``BaseTaskWorker`` runs as a task type.

It runs in the flow's own process and main thread: no process of its own, no Kafka, no Redis. An exception in
its before, main or after handler fails the task; SIGTERM and SIGINT unwind main and then release.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Unpack, get_args
from uuid import uuid4

from prefect import Flow
from prefect.exceptions import TerminationSignal
from prefect.utilities.hashing import file_hash
from pydantic import BaseModel

from skald_bridge.authoring.context import current_run
from skald_bridge.authoring.declaration import FlowOptions, task_type
from skald_bridge.authoring.live import Reject
from skald_bridge.authoring.runs import live
from skald_bridge.authoring.skalds import HOOK
from skald_bridge.domain.documents import TASK_ID_LABEL as TASK_ID_LABEL
from skald_work_pools.needs import Needs

_BASES = ("skalds.worker.baseclass", "skald_bridge.authoring.skalds")
_log = logging.getLogger("skald.worker")
_MEANT = {
    "release": ("_custom_release", "_release", "release_handler"),
    "before": ("_custom_run_before", "_run_before", "run_before_handler"),
    "run_before": ("_custom_run_before", "_run_before", "run_before_handler"),
    "after": ("_custom_run_after", "_run_after", "run_after_handler"),
    "run_after": ("_custom_run_after", "_run_after", "run_after_handler"),
    "update": ("_custom_update_event", "_update_event", "update_event_handler"),
    "update_event": ("_custom_update_event", "_update_event", "update_event_handler"),
}
"""Names of methods that look like a handler: its hook, the base's own method, the decorator that marks it."""


@dataclass
class WorkerTask:
    """What a worker class is constructed with."""

    id: str
    class_name: str
    attachments: BaseModel
    dependencies: list[str] = field(default_factory=list)


def flow_from_worker(
    worker: type[Any],
    *,
    name: str | None = None,
    needs: Needs | None = None,
    retries: int | None = None,
    retry_delay_seconds: float | None = None,
    persistent: bool = False,
    **options: Unpack[FlowOptions],
) -> Flow[..., None]:
    """The task type of a worker class: named as the class, its attachments model the class's type argument.

    Works on ``skalds.worker.baseclass.BaseTaskWorker`` and on this product's own base alike, as a call or
    as a class decorator.

    Raises:
        TypeError: no type argument, or no main handler.
    """
    model = attachments_model(worker)
    if _handler(worker, "_custom_run_main", "_run_main") is None:
        raise TypeError(f"{worker.__name__} has no main handler; mark one method with @run_main_handler")
    for line in unmarked(worker):
        warnings.warn(line, UserWarning, stacklevel=2)

    def run(attachments: Any) -> None:
        run_worker(worker, attachments)

    # Prefect finds a flow again by module and name: the caller's module, where this call is made once more.
    caller = sys._getframe(1).f_globals  # noqa: SLF001
    run.__annotations__["attachments"] = model
    run.__module__ = caller.get("__name__", worker.__module__)
    run.__name__ = run.__qualname__ = f"{worker.__name__}_task_type"
    run.__doc__ = inspect.getdoc(worker) if worker.__doc__ else None
    options.setdefault("version", _version(worker))
    made: Flow[..., None] = task_type(
        name=name or worker.__name__,
        needs=needs,
        retries=retries,
        retry_delay_seconds=retry_delay_seconds,
        persistent=persistent,
        **options,
    )(run)
    caller[run.__name__] = made
    return made


def _version(worker: type[Any]) -> str | None:
    """As Prefect versions a function's flow: by its file's content."""
    try:
        return file_hash(inspect.getsourcefile(worker) or "")
    except (OSError, TypeError):
        return None


def is_worker(cls: type[Any]) -> bool:
    """Whether a class derives from one of the two bases and is neither of them."""
    return cls.__module__ not in _BASES and any(base.__module__ in _BASES for base in cls.__mro__)


def unmarked(worker: type[Any]) -> list[str]:
    """A sentence for each method that looks like a handler, where there is none and so none is called."""
    own = {name for cls in worker.__mro__ if cls.__module__ not in _BASES for name in vars(cls)}
    return [
        f"{worker.__name__}.{name} is no handler and a task's life does not call it: mark it with @{decorator}"
        for name, (hook, method, decorator) in _MEANT.items()
        if name in own and callable(getattr(worker, name)) and _handler(worker, hook, method) is None
    ]


def attachments_model(worker: type[Any]) -> type[BaseModel]:
    """The type argument of ``BaseTaskWorker[...]``, also when it is given to a class in between.

    Raises:
        TypeError: there is none.
    """
    for cls in worker.__mro__:
        for base in getattr(cls, "__orig_bases__", ()):
            for argument in get_args(base):
                if inspect.isclass(argument) and issubclass(argument, BaseModel):
                    return argument
    raise TypeError(
        f"{worker.__name__} does not say its attachments model; "
        f"write: class {worker.__name__}(BaseTaskWorker[MyAttachments])"
    )


def run_worker(worker: type[Any], attachments: BaseModel, task_id: str | None = None) -> None:
    """One life of a worker: initialize, before, main, after, release."""
    for line in unmarked(worker):
        _log.warning("%s", line)
    with live(attachments) as settings:
        made = _construct(worker, settings.taken, task_id or _task_id())
        settings.on_update(_update_handler(made))
        cause: tuple[Any, ...] = ()
        try:
            _call(made, "_custom_run_before", "_run_before")
            _call(made, "_custom_run_main", "_run_main")
            _call(made, "_custom_run_after", "_run_after")
        except TerminationSignal as ended:
            cause = (ended.signal, None)
            raise
        except KeyboardInterrupt:
            cause = (signal.SIGINT, None)
            raise
        finally:
            made.is_done = True
            try:
                _call(made, "_custom_release", "_release", *cause)
            except Exception:
                _log.exception("release of %s failed", worker.__name__)


def _task_id() -> str:
    run = current_run()
    return str(run.labels.get(TASK_ID_LABEL, run.id)) if run else f"task-{uuid4().hex[:8]}"


def _construct(worker: type[Any], attachments: BaseModel, task_id: str) -> Any:
    if any(cls.__module__ == "skalds.worker.baseclass" for cls in worker.__mro__):
        # Named at run time: the package is no dependency of this one.
        task = importlib.import_module("skalds.model.task").Task(
            id=task_id, class_name=worker.__name__, source="Prefect", attachments=attachments
        )
        return worker(task=task)
    return worker(task=WorkerTask(task_id, worker.__name__, attachments))


def _handler(owner: type[Any], hook: str, method: str) -> str | None:
    """The method marked for ``hook``, or else the base's ``method`` where the user's class overrides it."""
    for name in dir(owner):
        if getattr(inspect.getattr_static(owner, name), HOOK, None) == hook:
            return name
    for cls in owner.__mro__:
        if method in vars(cls):
            return None if cls.__module__ in _BASES else method
    return None


def _call(worker: Any, hook: str, method: str, *arguments: Any) -> None:
    if (name := _handler(type(worker), hook, method)) is None:
        return
    handler = getattr(worker, name)
    handler(*(arguments if _accepts(handler, arguments) else ()))


def _accepts(handler: Callable[..., Any], arguments: tuple[Any, ...]) -> bool:
    """Skalds' users write ``release(self)`` as well as ``release(self, *args)``."""
    try:
        inspect.signature(handler).bind(*arguments)
    except TypeError:
        return False
    return True


def _update_handler(worker: Any) -> Callable[[BaseModel], None]:
    name = _handler(type(worker), "_custom_update_event", "_update_event")

    def handle(data: BaseModel) -> None:
        if name is None:
            raise Reject(f"{type(worker).__name__} has no update_event_handler")
        getattr(worker, name)(data)

    return handle
