"""The `skald` command: its commands, the options all of them share, and how errors look."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from skald_bridge.cli.exit_codes import ExitCode
from skald_bridge.cli.invocation import Invocation
from skald_bridge.cli.lazy import EXIT_CODES, group
from skald_bridge.cli.problems import is_usage, problem_of

_HERE = "skald_bridge.cli"
COMMANDS = {
    "up": (f"{_HERE}.up:up", "Run it all on this machine: Prefect's server, bridge, a node."),
    "demo": (f"{_HERE}.demo:demo", "Run the demonstration: a media job on real footage, on two nodes."),
    "doctor": (f"{_HERE}.doctor:doctor", "Check this machine and the configured services; name remedies."),
    "submit": (f"{_HERE}.submit:submit", "Create a task of a task type."),
    "tasks": (f"{_HERE}.tasks:tasks", "List tasks, newest first."),
    "task": (f"{_HERE}.task:task", "Show one task: subtasks, attachments, node, states."),
    "logs": (f"{_HERE}.logs:logs", "Print what a task and its nodes said: prints, logs, tracebacks."),
    "why": (f"{_HERE}.why:why", "Say why a task is where it is: refusals, lease, its pool."),
    "queue": (f"{_HERE}.queue:queue", "List who waits, for what, since when, and why not yet."),
    "events": (f"{_HERE}.events:events", "Print the journal: every state change, in Skalds' words."),
    "rejected": (f"{_HERE}.rejected:rejected", "List what the bridge could not handle; have it tried again."),
    "cancel": (f"{_HERE}.control:cancel", "Cancel a task: its process is ended."),
    "pause": (f"{_HERE}.control:pause", "Freeze a running task; it keeps what it holds."),
    "resume": (f"{_HERE}.control:resume", "Let a paused task go on."),
    "retry": (f"{_HERE}.control:retry", "Run a task that has ended once more."),
    "update": (f"{_HERE}.update:update", "Change a task's attachments, also while it runs."),
    "types": (f"{_HERE}.types:types", "List task types, or show one: its fields, needs, deployments."),
    "nodes": (f"{_HERE}.nodes:nodes", "List nodes: what they have, what they run."),
    "node": (f"{_HERE}.node:node", "Run a node on this machine."),
    "pool": (f"{_HERE}.pool:pool", "Create a work pool, for nodes or for Kubernetes."),
    "bridge": (f"{_HERE}.bridge:bridge", "Run the bridge: states to journal, pulse and archive; REST."),
    "run": (f"{_HERE}.run:run", "Run a Skalds YAML file: as edge, node or single process."),
    "deploy": (f"{_HERE}.deploy:deploy", "Deploy the flows of a folder, or those of this package."),
    "k8s": (f"{_HERE}.kube:k8s", "Run Skalds' YAML files on Kubernetes, a pod for each task."),
    "init": (f"{_HERE}.init:init", "Write a configuration file that explains every setting."),
    "version": (f"{_HERE}.version:version", "Print the versions of skald, Prefect and Python."),
}

app = typer.Typer(
    name="skald",
    cls=group(COMMANDS),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from skald_bridge.cli.version import version

        version()
        raise typer.Exit()


@app.callback(epilog=EXIT_CODES)
def skald(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Settings in YAML, JSON or TOML; see `skald init`."),
    ] = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log more, and show where errors come from.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_version, help="Print the versions and end."),
    ] = False,
) -> None:
    """Long media and AI jobs on CPU and GPU nodes, on Prefect.

    Start with `skald up`; see a job done with `skald demo`.
    """
    context.obj = Invocation(config, debug)


def main() -> None:
    """Entry point: runs the command and ends the process with its exit code."""
    # Prefect's client tells its maker of its use, and says so amid what is printed: only where that is wanted.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        code = _run()
    except BrokenPipeError:
        code = _without_reader()
    sys.exit(code)


def _run() -> int:
    """The exit code. Raises ``BrokenPipeError`` when nobody reads the output any more."""
    try:
        ended = app(standalone_mode=False, prog_name="skald")
        if sys.stdout is not None:
            sys.stdout.flush()
        return ended if isinstance(ended, int) else ExitCode.DONE
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except SystemExit as end:
        # So typer and rich end a process whose output nobody reads.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        return _failed(end.__context__)
    except Exception as error:
        return _failed(error)


def _failed(error: Exception) -> int:
    from skald_bridge.cli.output import print_error, reader_gone

    if isinstance(error, BrokenPipeError) and (reader_gone(1, 2) or _nowhere()):
        raise error
    if type(error).__name__ == "NoArgsIsHelpError":  # and the help is printed
        return ExitCode.BAD_INPUT
    if "--debug" in sys.argv and not is_usage(error):
        raise error
    problem = problem_of(error)
    print_error(problem)
    return problem.exit_code


def _nowhere() -> bool:
    """Whether standard output goes to the null device: there rich leaves it when its pipe has broken."""
    return os.path.samestat(os.fstat(1), Path(os.devnull).stat())


def _without_reader() -> int:
    """What is still to be written goes nowhere; that is no error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    return ExitCode.DONE
