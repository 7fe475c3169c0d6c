"""The real System Controller: REST, monitors and dispatcher, with two defects of 0.3.8 repaired from outside.

As shipped no task of a node is ever dispatched, nor judged once it is:

- The dispatcher looks at a store of nodes that it made itself and nobody fills. It gets the controller's.
- A round of the task monitor turns its tasks into ids and then reads ``id`` of each: every round with a task
  that is Assigning or Running ends there. It gets ids that are also what it takes them for.
"""

from __future__ import annotations

from typing import Any

from skalds.config._enum import SystemControllerModeEnum
from skalds.config.system_controller_config import SystemControllerConfig
from skalds.system_controller.main import SystemController
from skalds.system_controller.monitor.task_monitor import TaskMonitor


class TaskAndId(str):
    """A task's id that is also what the task monitor reads of a task."""

    lifecycleStatus: str
    mode: str

    @classmethod
    def of(cls, task: Any) -> TaskAndId:
        made = cls(task.id)
        made.lifecycleStatus, made.mode = task.lifecycleStatus, task.mode
        return made

    @property
    def id(self) -> TaskAndId:
        return self


def repair_dispatcher() -> None:
    components = SystemController._init_components

    async def with_the_store_that_is_filled(self: Any) -> None:
        await components(self)
        self.dispatcher.skald_store = self.skald_store

    SystemController._init_components = with_the_store_that_is_filled


def repair_monitor() -> None:
    running = TaskMonitor._get_all_running_and_assigning_tasks

    async def tasks_that_stay_tasks(self: Any) -> list[TaskAndId]:
        return [TaskAndId.of(task) for task in await running(self)]

    TaskMonitor._get_all_running_and_assigning_tasks = tasks_that_stay_tasks


repair_dispatcher()
repair_monitor()
mode = SystemControllerModeEnum.DISPATCHER
SystemController(SystemControllerConfig(system_controller_mode=mode)).run()
