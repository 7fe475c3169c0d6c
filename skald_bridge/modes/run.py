"""Starts the mode that the settings name."""

from __future__ import annotations

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.modes.jobs import checked, read_entries
from skald_bridge.modes.options import Options
from skald_bridge.settings import Mode


def run(options: Options) -> int:
    """Run a mode to its end and return the process's exit code.

    edge: 0 when every entry that ends has completed, 1 when one failed. node: 0 after a signal.
    single_process: 0, 1, or 128 + the number of the signal that ended the task.

    Raises:
        SkaldError: bad input, or no server; nothing has been started then.
    """
    settings = options.settings
    if settings.skald_mode is Mode.NODE:
        from skald_bridge.modes.node import run_node

        return run_node(settings, options.catalog)
    if settings.skald_mode not in (Mode.EDGE, Mode.SINGLE_PROCESS):
        raise InvalidInput(
            f"skald_mode {settings.skald_mode} is not a mode of this command.",
            remedy="Use edge, node or single_process.",
        )
    entries = read_entries(settings.yaml_file)
    if settings.skald_mode is Mode.SINGLE_PROCESS:
        from skald_bridge.modes.single import run_single

        job = checked(entries[:1], options.catalog, settings.yaml_file)[0]
        return run_single(job, settings.alive_file)
    from skald_bridge.modes.edge import run_edge

    return run_edge(settings, checked(entries, options.catalog, settings.yaml_file))
