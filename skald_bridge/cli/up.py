"""`skald up`: Prefect's server, the bridge and one node, supervised."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from skald_bridge.api.access import Access, check_access
from skald_bridge.cli.connect import check_server, configured_url, running_up, up_file
from skald_bridge.cli.invocation import invocation
from skald_bridge.cli.log_setup import rotation
from skald_bridge.cli.media import Media, with_media
from skald_bridge.cli.output import say
from skald_bridge.domain.errors import InvalidInput, Rejected, Unavailable
from skald_bridge.installation.embedded import HOST, api_url
from skald_bridge.installation.part_ends import writing
from skald_bridge.installation.parts import (
    SKALD,
    bridge_part,
    linked,
    node_part,
    our_environment,
    server_part,
)
from skald_bridge.installation.ports_in_use import check_free
from skald_bridge.installation.supervisor import Part, PartChange, Supervisor
from skald_bridge.media.inputs import ROOTS_ENV
from skald_bridge.settings import Settings
from skald_bridge.settings.file import CONFIG_ENV

GRACE = 10.0


def up(
    context: typer.Context,
    pool: Annotated[
        str | None, typer.Option("--pool", "-p", help="Work pool of the node. [default: cpu]")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65535, help="Port of Prefect's server. [default: 4200]")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the node. [default: the host's name]")
    ] = None,
    grace: Annotated[
        float, typer.Option("--grace", min=0, help="Seconds that running tasks get at the end.")
    ] = GRACE,
    media: Media = None,
    no_node: Annotated[bool, typer.Option("--no-node", help="Server and bridge only.")] = False,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", metavar="NAME", help="Write a profile for the `prefect` command, such as skald."
        ),
    ] = None,
) -> None:
    """Run it all on this machine: Prefect's server, bridge, a node.

    With PREFECT_API_URL set to another server, that one is used. A part that crashes is started again. Ctrl-C
    ends node, bridge and server, in this order; a second Ctrl-C does not wait for running tasks.
    """
    call = invocation(context)
    settings = with_media(call.settings(pool=pool, server_port=port, skald_id=name), media)
    if call.config is not None:
        os.environ[CONFIG_ENV] = str(call.config.absolute())
    run_up(settings, grace=grace, with_node=not no_node, profile=profile)


def run_up(
    settings: Settings, *, grace: float = GRACE, with_node: bool = True, profile: str | None = None
) -> None:
    """Run the parts until a signal; see ``up``.

    Raises:
        Unavailable: a port is taken, another `skald up` has this home, a part does not stay up.
        InvalidInput: the home cannot be written.
    """
    home = settings.home.absolute()
    with _only_one(home):
        own = api_url(settings.server_port)
        configured = configured_url(settings)
        foreign = configured is not None and not _same(configured, own)
        url = configured.rstrip("/") if configured is not None and foreign else own
        if foreign:
            _check_foreign(url)
            say(f"Prefect at {url} answers; looking for work pool {settings.pool}")
            _check_pool(settings, home, url)
        else:
            check_free(
                HOST,
                settings.server_port,
                what="Prefect's server",
                remedy=f"Choose another, skald up --port {settings.server_port + 1}; "
                f"or use the server that is there: PREFECT_API_URL={url}",
            )
        rest = _rest_is_free(settings)
        parts = _parts(settings, home, url, embedded=not foreign, grace=grace, with_node=with_node, rest=rest)
        supervisor = Supervisor(parts, home / "logs", tell=_tell, rotation=rotation(settings))
        try:
            supervisor.run(
                when_up=lambda: _announce(supervisor, settings, home, url, with_node, rest, profile)
            )
        finally:
            up_file(home).unlink(missing_ok=True)
    say("all ended")


def _parts(
    settings: Settings, home: Path, url: str, *, embedded: bool, grace: float, with_node: bool, rest: bool
) -> list[Part]:
    base = {name: value for name, value in os.environ.items() if not name.startswith("SKALD_CHANNEL")}
    base["LOG_LEVEL"] = settings.log_level
    base[ROOTS_ENV] = os.pathsep.join(settings.media_roots)
    if embedded:
        # It names a profile of the user's Prefect; the server has a home of its own.
        base.pop("PREFECT_PROFILE", None)
    else:
        base.setdefault("PREFECT_HOME", str(Path("~/.prefect").expanduser()))
    parts = [server_part(base, home, settings.server_port)] if embedded else []
    parts.append(bridge_part(base, home, url, rest=rest))
    if with_node:
        called = settings.skald_id or socket.gethostname()
        if rest:
            base = linked(base, settings.system_controller_host, settings.system_controller_port)
        parts.append(node_part(base, home, url, pool=settings.pool, node=called, grace=grace))
    return parts


def _rest_is_free(settings: Settings) -> bool:
    """Whether the bridge can listen; what others have taken is told, and all else runs without it.

    Raises:
        InvalidInput: it may not listen there without a key.
    """
    host, port = settings.system_controller_host, settings.system_controller_port
    check_access(Access(host, settings.api_key))
    remedy = "Set SYSTEM_CONTROLLER_PORT to a free one."
    try:
        check_free(host, port, what="the REST API", remedy=remedy)
    except Unavailable as error:
        say(f"no REST API: {error.message} {remedy}")
        return False
    return True


def _announce(
    supervisor: Supervisor,
    settings: Settings,
    home: Path,
    url: str,
    with_node: bool,
    rest: bool,
    profile: str | None,
) -> None:
    if not with_node:
        _make_pool(settings, home, url)
    file = up_file(home)
    found = {
        "pid": os.getpid(),
        "api_url": url,
        "pool": settings.pool,
        "parts": supervisor.pids(),
        "started": datetime.now(UTC).isoformat(),
    }
    beside = file.with_suffix(".new")
    with writing(beside):
        beside.write_text(json.dumps(found), encoding="utf-8")
        beside.rename(file)
    say(f"up: {url.removesuffix('/api')} is Prefect's UI; work pool {settings.pool}; logs in {home / 'logs'}")
    if rest:
        at = f"http://{settings.system_controller_host}:{settings.system_controller_port}"
        say(f"the fleet: {at}/fleet/; REST for Skalds' clients: {at}/api, metrics: {at}/metrics")
    say("in another terminal: skald nodes, skald tasks --watch; Ctrl-C ends everything")
    if profile is not None and _write_profile(profile, url):
        say(f"for Prefect's own command: prefect profile use {profile}")
    else:
        say(f"for Prefect's own command: export PREFECT_API_URL={url}")
        if profile is None:
            say("  or, once for ever: skald up --profile skald, and prefect profile use skald")


def _write_profile(name: str, url: str) -> bool:
    """Into the user's own Prefect, not into the home's; what keeps it from being written is told."""
    command = [sys.executable, "-m", "skald_bridge.adapters.prefect_profiles", name, url]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip().splitlines() or ["unknown"]
        say(f"no profile {name}: {said[-1]}")
        return False
    say(f"profile {name}: {done.stdout.strip()}")
    return True


def _same(configured: str, own: str) -> bool:
    """Whether the user has named the server that this very command is to run, as its own hint says."""
    given, ours = urlsplit(configured.rstrip("/")), urlsplit(own)
    hosts = (HOST, "localhost")
    return given.hostname in hosts and given.port == ours.port and given.path in (ours.path, "")


def _check_foreign(url: str) -> None:
    """Raises ``Unavailable``, with a remedy that fits one who wants to start a server."""
    try:
        check_server(url)
    except Unavailable as error:
        if "does not answer" not in error.message:
            raise
        raise Unavailable(
            error.message,
            remedy="Start that server; or unset PREFECT_API_URL (and `prefect profile use` another) to have one "
            "started here.",
        ) from error


def _check_pool(settings: Settings, home: Path, url: str) -> None:
    """Make the pool where it is missing; raises ``Rejected`` where it is of another type."""
    done = _make_pool(settings, home, url)
    if done.returncode == Rejected.exit_code:
        message, _, remedy = done.stderr.strip().removeprefix("Error: ").partition("\n  Remedy: ")
        raise Rejected(message, remedy=remedy or None)


def _make_pool(settings: Settings, home: Path, url: str) -> subprocess.CompletedProcess[str]:
    command = [*SKALD, "pool", settings.pool]
    theirs = os.environ.get("PREFECT_HOME", str(Path("~/.prefect").expanduser()))
    env = our_environment({**os.environ, "PREFECT_HOME": theirs}, home, url)
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _tell(change: PartChange) -> None:
    say(f"{change.part}: {change.what}{f' ({change.detail})' if change.detail else ''}")


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    try:
        (home / "run").mkdir(parents=True, exist_ok=True)
        lock = (home / "run" / "up.lock").open("w")
    except OSError as error:
        raise InvalidInput(
            f"The folder {home} cannot be written: {error.strerror}.",
            remedy="Set SKALD_HOME to one that can.",
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            there = running_up(home)
            who = f"pid {there['pid']}" if there else "starting or ending"
            raise Unavailable(
                f"A `skald up` runs for {home} already ({who}).",
                remedy="Use it, end it, or give this one another SKALD_HOME and --port.",
            ) from error
        yield
