"""``make services``: Kafka, Redis and MongoDB's protocol on their usual ports, until ``make services-stop``."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import pytest

from tests.services.kafka import PASSWORD, PORTS, USER, Kafka
from tests.services.mongo import Secantus
from tests.services.poll import until
from tests.services.redis_server import RedisServer
from tests.services.service import Service, taken

FOLDER = Path(os.environ.get("SERVICES_FOLDER") or Path(__file__).parents[2] / ".cache" / "services")
PATIENCE = 30


class Problem(Exception):
    """What went wrong, and the remedy."""


@dataclass(frozen=True)
class Running:
    """A service that an earlier ``start`` left behind."""

    name: str
    ports: dict[str, int]
    pid: int
    folder: str
    variables: dict[str, str]

    @property
    def port(self) -> int:
        return next(iter(self.ports.values()))

    @property
    def process(self) -> psutil.Process | None:
        """Itself, not whatever has its number today: its folder tells."""
        try:
            process = psutil.Process(self.pid)
            return process if process.cwd() == self.folder else None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None


@dataclass(frozen=True)
class Offer:
    """A service by its file's name; ``port`` is the first of ``ports``, another one if ``variable`` says so."""

    key: str
    variable: str
    usual: int
    count: int
    make: Callable[[Path, int], Service]
    variables: Callable[[int], dict[str, str]]

    @property
    def port(self) -> int:
        said = os.environ.get(self.variable) or str(self.usual)
        if not said.isdigit() or not 0 < int(said) <= 65536 - self.count:
            raise Problem(
                f"{self.variable}={said} is no port.\nRemedy: make services {self.variable}={self.usual}"
            )
        return int(said)

    @property
    def ports(self) -> range:
        return range(self.port, self.port + self.count)

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.key}.json"

    def running(self) -> Running | None:
        if not self.file.exists():
            return None
        left = Running(**json.loads(self.file.read_text()))
        return left if left.process else None

    def start(self) -> Running:
        service = self.make(FOLDER / self.key, self.port)
        service.start(detached=True)
        folder = str(service.folder.resolve())
        running = Running(service.name, service.ports, service.pid, folder, self.variables(self.port))
        self.file.write_text(json.dumps(asdict(running)))
        return running


def _kafka(folder: Path, port: int) -> Kafka:
    return Kafka(folder, {name: port + at for at, name in enumerate(PORTS)})


def _kafka_variables(port: int) -> dict[str, str]:
    return {"KAFKA_HOST": "127.0.0.1", "KAFKA_PORT": str(port), "KAFKA_REPLICATION_FACTOR": "1"}


OFFERS = (
    Offer("kafka", "KAFKA_PORT", 9092, len(PORTS), _kafka, _kafka_variables),
    Offer(
        "redis",
        "REDIS_PORT",
        6379,
        1,
        lambda folder, port: RedisServer(folder, port=port, kept=True),
        lambda port: {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port)},
    ),
    Offer(
        "mongo",
        "MONGO_PORT",
        27017,
        1,
        Secantus,
        lambda port: {"MONGO_HOST": f"mongodb://127.0.0.1:{port}"},
    ),
)


def start() -> None:
    """All that do not run yet; none of them where a port is taken."""
    with _alone():
        missing = [offer for offer in OFFERS if offer.running() is None]
        for offer in missing:
            if held := [port for port in offer.ports if taken(port)]:
                raise Problem(
                    f"port {held[0]} of 127.0.0.1 is taken, and {offer.key} needs it.\n"
                    f"Remedy: end what listens there (ss -ltnp 'sport = {held[0]}' names it), "
                    f"or: make services {offer.variable}={_elsewhere(offer)}"
                )
        for offer in missing:
            print(f"Starting {offer.key} ...", flush=True)
            try:
                offer.start()
            except (pytest.skip.Exception, pytest.fail.Exception) as error:
                raise Problem(
                    f"{offer.key} does not start without what this machine lacks: {error}"
                ) from error
            except AssertionError as error:
                raise Problem(f"{offer.key} does not start: {error}") from error
        _show([running for offer in OFFERS if (running := offer.running())])


def _elsewhere(offer: Offer) -> int:
    """Ports further up, in steps that keep its number recognizable."""
    return next(
        first
        for first in range(offer.usual + 10_000, 60_000, 10)
        if not any(taken(port) for port in range(first, first + offer.count))
    )


def _show(services: list[Running]) -> None:
    rows = [("service", "pid", "listens on", "data and log")]
    for offer, service in zip(OFFERS, services, strict=True):
        ports = {name: port for name, port in service.ports.items() if name != "CONTROLLER"}
        rows.append((service.name, str(service.pid), f"127.0.0.1:{service.port}", str(FOLDER / offer.key)))
        rows += [("", "", f"127.0.0.1:{port} {name}", "") for name, port in list(ports.items())[1:]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(f"\nSASL/PLAIN for Kafka: user {USER}, password {PASSWORD}. To use them:\n")
    for service in services:
        print("export " + " ".join(f"{name}={value}" for name, value in service.variables.items()))
    print("\nmake services-stop ends them and keeps their data.")


def stop() -> None:
    """Those that ``start`` left, as their operator would; their data stays."""
    with _alone():
        running = [running for offer in OFFERS if (running := offer.running())]
        for how in (psutil.Process.terminate, psutil.Process.kill):
            for service in running:
                if process := service.process:
                    how(process)
            with contextlib.suppress(AssertionError):
                until(lambda: not any(service.process for service in running), PATIENCE, "all of them ended")
        for offer in OFFERS:
            offer.file.unlink(missing_ok=True)
        names = ", ".join(service.name for service in running)
        print(f"Stopped: {names}." if names else "None of them ran.")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(words: list[str]) -> None:
    commands = {"start": start, "stop": stop}
    if len(words) != 1 or words[0] not in commands:
        sys.exit("usage: python -m tests.services start|stop")
    try:
        commands[words[0]]()
    except Problem as problem:
        sys.exit(f"Error: {problem}")


if __name__ == "__main__":
    main(sys.argv[1:])
