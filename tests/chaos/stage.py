"""All that takes part: Prefect, Kafka, Redis behind a link, MongoDB, a bridge and two nodes; and their faults."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psutil
from redis import Redis

from skald_work_pools.messages import NODE_VARIABLE_PREFIX
from tests.chaos.lag import Outage
from tests.chaos.partition import Link, link_to
from tests.chaos.plan import Fault, How, Target
from tests.chaos.program import MARK, Program, family, freeze, thaw
from tests.services.fleet import Fleet, fleet
from tests.services.kafka import Kafka
from tests.services.mongo import Secantus
from tests.services.poll import until
from tests.services.prefect_server import PrefectServer, migrated_database
from tests.services.redis_server import RedisServer
from tests.services.service import Service, lasting_port

ROOT = Path(__file__).parents[2]
FLOWS = "chaos_jobs.py"
KINDS = ("steady", "once", "flaky")
WHOLE = "whole"
NODES = ("node-a", "node-b")
LIMIT = 6
"""Tasks at once on a node."""
_WORK_SECONDS = 15.0
_FULL_BYTES = 4096
"""A file's size from which on the bridge cannot write to it while its disk is full."""


@dataclass
class Stage:
    """``folder`` holds everything; ``mark`` is in every process of the product's."""

    folder: Path
    mark: str
    server: PrefectServer
    kafka: Kafka
    redis: RedisServer
    mongo: Secantus
    link: Link
    fleet: Fleet
    bridge: Program
    nodes: dict[str, Program]
    orphans: list[str] = field(default_factory=list)
    """Processes that outlived the node that had started them."""

    @property
    def journal(self) -> Path:
        return self.folder / "bridge" / "journal.db"

    @property
    def stamps(self) -> Path:
        return self.folder / "stamps"

    def announced(self) -> bool:
        wanted = {"variables": {"name": {"like_": NODE_VARIABLE_PREFIX}}}
        return len(self.fleet.api("POST", "/variables/filter", wanted)) == len(self.nodes)

    def beats(self) -> bool:
        with Redis(port=self.redis.port) as redis:
            return all(redis.exists(f"skalds:{name}:heartbeat") for name in NODES)

    def service(self, target: Target) -> Service:
        services: dict[Target, Service] = {
            Target.KAFKA: self.kafka,
            Target.REDIS: self.redis,
            Target.MONGO: self.mongo,
        }
        return services[target]

    def suffer(self, fault: Fault) -> Outage:
        """The fault from its beginning to its end; a node is struck while it is at work."""
        if fault.target is Target.NODE:
            with contextlib.suppress(AssertionError):
                until(lambda: self._at_work(NODES[fault.node]), _WORK_SECONDS, "a task on the node")
        began = time.monotonic()
        if fault.how is How.FREEZE:
            self._frozen(fault)
        elif fault.how is How.CUT:
            self.link.cut()
            time.sleep(fault.away)
            self.link.heal()
        elif fault.how is How.FULL:
            self._disk_full(fault.away)
        else:
            self._ended(fault)
        return Outage(fault, began, time.monotonic())

    def _at_work(self, node: str) -> bool:
        begun = {json.loads(line)["pid"] for line in stamp_lines(self.stamps)}
        return any(process.pid in begun for process in family(self.nodes[node].pid))

    def pid(self, fault: Fault) -> int:
        if fault.target is Target.BRIDGE:
            return self.bridge.pid
        if fault.target is Target.NODE:
            return self.nodes[NODES[fault.node]].pid
        if fault.target is Target.PREFECT:
            assert self.server.process is not None
            return self.server.process.pid
        return self.service(fault.target).pid

    def _frozen(self, fault: Fault) -> None:
        pid = self.pid(fault)
        freeze(pid)
        try:
            time.sleep(fault.away)
        finally:
            thaw(pid)

    def _disk_full(self, seconds: float) -> None:
        """A limit on the size of files: needs no root, and hits a process that runs."""
        bridge = psutil.Process(self.bridge.pid)
        unlimited = resource.RLIM_INFINITY
        bridge.rlimit(psutil.RLIMIT_FSIZE, (_FULL_BYTES, unlimited))
        try:
            time.sleep(seconds)
        finally:
            bridge.rlimit(psutil.RLIMIT_FSIZE, (unlimited, unlimited))

    def _ended(self, fault: Fault) -> None:
        killed = fault.how is How.KILL
        if fault.target in (Target.BRIDGE, Target.NODE):
            program = self.bridge if fault.target is Target.BRIDGE else self.nodes[NODES[fault.node]]
            if killed:
                self.orphans += [f"{fault.name}: process {left.pid} outlived it" for left in program.kill()]
            else:
                program.stop()
            time.sleep(fault.away)
            program.start()
            return
        if fault.target is Target.PREFECT:
            (self.server.kill if killed else self.server.stop)()
            time.sleep(fault.away)
            self.server.start()
            return
        service = self.service(fault.target)
        (service.kill if killed else service.stop)()
        time.sleep(fault.away)
        service.start()


def stamp_lines(stamps: Path) -> list[str]:
    """What the tasks' user code has said; each line is JSON: ``task``, ``pid``, ``at``."""
    return stamps.read_text().splitlines() if stamps.exists() else []


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Everything up; everything gone afterwards, by SIGKILL where it did not end before."""
    mark = uuid4().hex
    with contextlib.ExitStack() as stack:
        kafka = stack.enter_context(Kafka(folder / "kafka"))
        redis = stack.enter_context(RedisServer(folder / "redis", kept=True))
        mongo = stack.enter_context(Secantus(folder / "mongo"))
        link = stack.enter_context(link_to(redis.port))
        server = stack.enter_context(_prefect(folder / "prefect"))
        project = folder / "project"
        project.mkdir()
        shutil.copy(Path(__file__).parent / "project" / FLOWS, project / FLOWS)
        deployments = [{"name": kind, "entrypoint": f"{FLOWS}:{kind}"} for kind in (*KINDS, WHOLE)]
        made = stack.enter_context(fleet(server, project, deployments, node=None))
        env = {**server.client_env, MARK: mark, "PYTHONPATH": os.pathsep.join([str(ROOT), *_inherited()])}
        bridge = _bridge(folder, env, kafka, link, mongo)
        nodes = {name: _node(folder, project, env, made.pool, name) for name in NODES}
        made_up = Stage(folder, mark, server, kafka, redis, mongo, link, made, bridge, nodes)
        try:
            # An idle bridge asks for the nodes every two minutes, and when it starts.
            for node in nodes.values():
                node.start()
            until(made_up.announced, 90, "both nodes have said what they are")
            bridge.start()
            until(made_up.beats, 90, "heartbeats of both nodes in Redis")
            yield made_up
        finally:
            for program in (bridge, *nodes.values()):
                program.kill()


def _inherited() -> list[str]:
    return [path for path in [os.environ.get("PYTHONPATH")] if path]


@contextlib.contextmanager
def _prefect(home: Path) -> Iterator[PrefectServer]:
    """On SQLite, in the server's own process: its database dies and comes back with it."""
    home.mkdir()
    shutil.copy(migrated_database(), home / "prefect.db")
    server = PrefectServer(home)
    server.port = lasting_port()
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _bridge(folder: Path, env: dict[str, str], kafka: Kafka, link: Link, mongo: Secantus) -> Program:
    own = {
        "SKALD_HOME": str(folder / "bridge"),
        "KAFKA_HOST": "127.0.0.1",
        "KAFKA_PORT": str(kafka.port),
        "REDIS_HOST": "127.0.0.1",
        "REDIS_PORT": str(link.port),
        "MONGO_HOST": mongo.uri,
        "SYSTEM_CONTROLLER_PORT": str(lasting_port()),
        "LOG_LEVEL": "DEBUG",
    }
    command = [sys.executable, "-m", "skald_bridge.cli", "bridge"]
    lock = folder / "bridge" / "journal.db.lock"
    return Program(command, {**env, **own}, folder / "bridge.log", folder, lock=lock)


def _node(folder: Path, project: Path, env: dict[str, str], pool: str, name: str) -> Program:
    own = {"SKALD_HOME": str(folder / "skald"), "SKALD_TAGS": name, "SKALD_GRACE": "2"}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--type", "skald", "--pool", pool]
    command += ["--limit", str(LIMIT), "--name", name]
    return Program(command, {**env, **own}, folder / f"{name}.log", project, ready="started!")
