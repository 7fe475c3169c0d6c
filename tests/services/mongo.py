"""Servers that speak MongoDB's protocol: two that the suite brings, and a mongod that ``MONGO_URI`` names."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from tests.services.artifacts import done, environment_of, jars, java, once, tool
from tests.services.service import Service, lasting_port

SECANTUS = "SecantusDB==0.7.0b3"
JAVA_SERVER = "1.47.0"
SOURCE = Path(__file__).with_name("MongoJava.java")

Kind = Literal["secantus", "java", "mongod"]
#: What a test of documents runs over.
KINDS: tuple[Kind, ...] = ("secantus", "java", *(("mongod",) if os.environ.get("MONGO_URI") else ()))


class Mongo(Service):
    """One server."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        super().__init__(folder)
        self.port = port or lasting_port()

    @property
    def ports(self) -> dict[str, int]:
        return {"MONGODB": self.port}

    @property
    def uri(self) -> str:
        """For ``MONGO_HOST``."""
        return f"mongodb://{self.host}:{self.port}"

    def answers(self) -> bool:
        # Imported here: the plugin that names these servers is loaded before every suite.
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError

        client: MongoClient[dict[str, object]] = MongoClient(
            self.uri, serverSelectionTimeoutMS=200, socketTimeoutMS=2000
        )
        with client, contextlib.suppress(PyMongoError):
            return bool(client.admin.command("ping")["ok"])
        return False


class Secantus(Mongo):
    """SecantusDB, on MongoDB's own storage engine: a replica set of one, with transactions and change streams."""

    name = "SecantusDB"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        super().__init__(folder, port)
        self.venv = once(SECANTUS.replace("==", "-"), lambda made: environment_of(made, SECANTUS)) / "venv"

    def command(self) -> list[str]:
        # By its Python, for a script's first line names the folder that the environment was made in.
        program = [str(self.venv / "bin" / "python"), str(self.venv / "bin" / "secantusd-py")]
        listen = ["--host", self.host, "--port", str(self.port), "--log-level", "WARNING"]
        # Without --sync-on-commit a SIGKILL takes the last acknowledged writes along.
        data = ["--storage-path", str(self.folder / "data"), "--cache-size", "256M", "--sync-on-commit"]
        return [*program, *listen, *data]


class JavaMongo(Mongo):
    """mongo-java-server, a second implementation: neither transactions nor change streams."""

    name = "mongo-java-server"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        super().__init__(folder, port)
        made_of = f"{JAVA_SERVER}-{zlib.crc32(SOURCE.read_bytes()):x}"
        self.installed = once(f"mongo-java-server-{made_of}", _compile)

    def command(self) -> list[str]:
        path = f"{self.installed / 'classes'}:{self.installed / 'libs'}/*"
        machine = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return [java(), *machine, "-cp", path, "MongoJava", str(self.port), str(self.folder / "data.mv")]


class Mongod(Mongo):
    """A mongod of someone else: tests use databases of their own in it, and leave its process alone."""

    name = "MongoDB"

    @property
    def uri(self) -> str:
        return os.environ["MONGO_URI"]

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self, *, detached: bool = False) -> None:
        assert self.answers(), "the MongoDB that MONGO_URI names does not answer"

    def stop(self) -> None:
        self._not_ours()

    def kill(self) -> None:
        self._not_ours()

    def freeze(self) -> None:
        self._not_ours()

    def thaw(self) -> None:
        self._not_ours()

    def _not_ours(self) -> None:
        pytest.skip("the MongoDB that MONGO_URI names is not the test's to end")

    def __exit__(self, *_: object) -> None:
        """It goes on."""


def _compile(folder: Path) -> None:
    group = "de.bwaldvogel"
    servers = [
        f"{group}:{name}:{JAVA_SERVER}" for name in ("mongo-java-server", "mongo-java-server-h2-backend")
    ]
    jars(folder, *servers, "org.slf4j:slf4j-nop:2.0.17")
    compiler = [tool("javac", "default-jdk-headless"), "-cp", f"{folder / 'libs'}/*"]
    done([*compiler, "-d", str(folder / "classes"), str(SOURCE)], "javac")


@contextlib.contextmanager
def running_mongo(folder: Path, kind: Kind = "secantus") -> Iterator[Mongo]:
    """A fresh server; skips the test (fails it in CI) where it cannot be had."""
    if kind == "mongod" and not os.environ.get("MONGO_URI"):
        pytest.skip("MONGO_URI names no MongoDB")
    kinds: dict[Kind, type[Mongo]] = {"secantus": Secantus, "java": JavaMongo, "mongod": Mongod}
    with kinds[kind](folder) as server:
        yield server
