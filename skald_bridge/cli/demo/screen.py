"""What a person sees of the demonstration: bars while it runs, then tables, places and the journal's tail."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skald_bridge.cli.demo.story import View
from skald_bridge.cli.output import plain, size, table
from skald_bridge.cli.tables import FittedTable
from skald_bridge.cli.tasks import shown_state, took
from skald_bridge.domain.facts import Subtask, Task
from skald_bridge.domain.ids import short
from skald_bridge.domain.plain_text import visible
from skald_bridge.domain.records import JournalRecord

_BAR = 24
_EVERY = 5.0
_FULL_WHEN = frozenset({"Completed", "Cached"})


class Screen:
    """A live picture on a terminal, one line per change elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = (
            Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
        )
        self._started = time.monotonic()
        self._told = 0.0

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, line: str) -> None:
        passed = time.monotonic() - self._started
        self._console.print(f"[dim]{passed:6.1f} s[/]  {plain(line)}")

    def look(self, view: View) -> None:
        if self._live is not None:
            self._live.update(picture(view))
        elif time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            done = sum(task.state is not None and task.state.type.terminal for task in view.tasks)
            own = view.progress.get(view.pipeline.id)
            self.tell(f"{done} of {len(view.tasks)} tasks ended; pipeline: {own.text if own else 'starting'}")


def picture(view: View) -> Panel:
    """A bar for each task and each subtask of the pipeline."""
    grid = Table.grid(padding=(0, 2))
    for task in view.tasks:
        grid.add_row(*_task_row(task, view))
        if task.id == view.pipeline.id:
            for subtask in view.subtasks:
                grid.add_row(*_subtask_row(subtask))
    return Panel(grid, title="tasks and subtasks", border_style="dim", expand=False)


def _task_row(task: Task, view: View) -> list[RenderableType]:
    progress = view.progress.get(task.id)
    ended = task.state is not None and task.state.type.terminal
    fraction = 1.0 if ended else progress.fraction if progress else 0.0
    text = f"{task.node or ''}  {progress.text if progress else ''}".strip()
    return [
        Text(visible(task.class_name), style="bold"),
        ProgressBar(
            total=1, completed=fraction, width=_BAR, pulse=task.start is not None and progress is None
        ),
        Text.from_markup(shown_state(task.state)),
        Text(visible(text), style="dim", overflow="ellipsis", no_wrap=True),
    ]


def _subtask_row(subtask: Subtask) -> list[RenderableType]:
    full = subtask.state in _FULL_WHEN
    again = f"attempt {subtask.attempt}  " if subtask.attempt > 1 else ""
    return [
        Text(f"  {visible(subtask.name)}"),
        ProgressBar(total=1, completed=float(full), width=_BAR, pulse=subtask.state == "Running"),
        Text(visible(subtask.state)),
        Text(f"{again}{subtask.seconds:.1f}s", style="yellow" if again else "dim"),
    ]


def result_table(view: View) -> FittedTable:
    """One row a task, oldest first."""
    now = datetime.now(UTC)
    rows = [
        [
            plain(task.name),
            plain(task.class_name),
            plain(task.node),
            str(task.attempt or ""),
            took(task, now),
            f"{shown_state(task.state)} {plain(_short(task))}".rstrip(),
        ]
        for task in view.tasks
    ]
    return table(["TASK", "TYPE", "NODE", "ATTEMPTS", "TIME", "RESULT"], rows)


def subtask_table(subtasks: Sequence[Subtask]) -> FittedTable:
    rows = [[plain(s.name), plain(s.state), str(s.attempt), f"{s.seconds:.1f}s"] for s in subtasks]
    return table(["SUBTASK OF THE PIPELINE", "STATE", "ATTEMPTS", "TIME"], rows)


def places(files: Sequence[Path]) -> Group:
    return Group(
        *(Text(f"  {visible(str(file))}  ({size(file.stat().st_size)})", overflow="fold") for file in files)
    )


def journal_tail(records: Sequence[tuple[int, JournalRecord]]) -> FittedTable:
    rows = [
        [
            str(position),
            f"{record.at.astimezone():%H:%M:%S.%f}"[:-3],
            plain(record.class_name),
            plain(short(record.task)),
            plain(record.lifecycle.value),
            plain(record.name),
            plain(record.node),
        ]
        for position, record in records
    ]
    return table(["#", "AT", "CLASS", "TASK", "LIFECYCLE", "PREFECT", "NODE"], rows)


def _short(task: Task) -> str:
    message = (task.state.message or "") if task.state else ""
    return message if len(message) <= 60 else message[:57] + "..."
