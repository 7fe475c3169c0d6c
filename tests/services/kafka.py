"""A real Kafka broker: one node, KRaft, without and with SASL/PLAIN, and SASL over TLS."""

from __future__ import annotations

import base64
import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tests.services.artifacts import done, jars, java, once, tool
from tests.services.service import Service, lasting_port

VERSION = "3.9.1"
USER, PASSWORD = "skald", "skald-secret"
Listener = Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL"]
PORTS = ("PLAINTEXT", "CONTROLLER", "SASL_PLAINTEXT", "SASL_SSL")

_STOREPASS = "changeit"
_LOGGING = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.kafka.server.KafkaRaftServer=INFO
"""
_JAAS = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
_STARTED = "Kafka Server started"
_CLASSES = "classes.jsa"


def distribution() -> Path:
    """The cached folder with the broker's jars, its TLS certificate, an empty formatted log and loaded classes."""
    return once(f"kafka-{VERSION}", _install)


def _install(folder: Path) -> None:
    jars(folder, f"org.apache.kafka:kafka_2.13:{VERSION}", "org.slf4j:slf4j-reload4j:1.7.36")
    (folder / "log4j.properties").write_text(_LOGGING)
    _certificate(folder)
    first = Kafka(folder / "template", installed=folder)
    first.folder.mkdir()
    format_log = [*_java(folder, "128m"), "kafka.tools.StorageTool", "format", "-t", _identity()]
    done([*format_log, "-c", str(first.write_settings())], "Kafka's format tool")
    # Classes that one broker has loaded and checked are mapped by the next: half of the time of a start.
    warm = Kafka(folder / "warm", installed=folder)
    warm.options = [f"-XX:ArchiveClassesAtExit={folder / _CLASSES}"]
    warm.start()
    warm.stop()
    shutil.rmtree(warm.folder)


def _certificate(folder: Path) -> None:
    store = ["-keystore", str(folder / "server.p12"), "-storetype", "PKCS12", "-storepass", _STOREPASS]
    keytool = [tool("keytool", "default-jdk-headless")]
    names = ["-dname", "CN=localhost", "-ext", "SAN=dns:localhost,ip:127.0.0.1"]
    key = ["-genkeypair", "-alias", "kafka", "-keyalg", "RSA", "-keysize", "2048", "-validity", "3650"]
    done([*keytool, *key, *names, *store], "keytool")
    export = ["-exportcert", "-rfc", "-alias", "kafka", "-file", str(folder / "ca.pem")]
    done([*keytool, *export, *store], "keytool")


def _identity() -> str:
    """As Kafka writes one: it must not begin with a dash."""
    while (said := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return said


def _java(installed: Path, heap: str) -> list[str]:
    options = [f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    logging = f"-Dlog4j.configuration=file:{installed / 'log4j.properties'}"
    return [java(), "-cp", f"{installed / 'libs'}/*", *options, logging]


class Kafka(Service):
    """One broker; topics are made on first use, with six partitions."""

    name = "Kafka"

    def __init__(
        self, folder: Path, ports: dict[str, int] | None = None, installed: Path | None = None
    ) -> None:
        super().__init__(folder)
        self.installed = installed or distribution()
        self.options = [f"-XX:SharedArchiveFile={self.installed / _CLASSES}"]
        self._ports = ports or {name: lasting_port() for name in PORTS}

    @property
    def ports(self) -> dict[str, int]:
        return self._ports

    @property
    def port(self) -> int:
        return self._ports["PLAINTEXT"]

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def sasl_bootstrap(self) -> str:
        return f"127.0.0.1:{self._ports['SASL_PLAINTEXT']}"

    @property
    def sasl_ssl_bootstrap(self) -> str:
        return f"127.0.0.1:{self._ports['SASL_SSL']}"

    @property
    def ca(self) -> Path:
        """The certificate that SASL_SSL clients must trust."""
        return self.installed / "ca.pem"

    def client(self, listener: Listener = "PLAINTEXT") -> dict[str, str]:
        """A client's settings, as librdkafka names them."""
        if listener == "PLAINTEXT":
            return {"bootstrap.servers": self.bootstrap}
        sasl = {"sasl.mechanism": "PLAIN", "sasl.username": USER, "sasl.password": PASSWORD}
        if listener == "SASL_PLAINTEXT":
            return {"bootstrap.servers": self.sasl_bootstrap, "security.protocol": listener, **sasl}
        tls = {"bootstrap.servers": self.sasl_ssl_bootstrap, "ssl.ca.location": str(self.ca)}
        return {**tls, "security.protocol": listener, **sasl}

    def command(self) -> list[str]:
        if not (self.folder / "data").exists():
            shutil.copytree(self.installed / "template" / "data", self.folder / "data")
        run = ["kafka.Kafka", str(self.write_settings())]
        return [*_java(self.installed, "256m"), *self.options, *run]

    def answers(self) -> bool:
        return _STARTED in self.said()

    def write_settings(self) -> Path:
        listeners = [f"{name}://127.0.0.1:{port}" for name, port in self._ports.items()]
        protocols = [f"{name}:{name}" for name in PORTS if name != "CONTROLLER"]
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._ports['CONTROLLER']}",
            # A killed broker comes back only when its former self has timed out.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(one for one in listeners if not one.startswith("CONTROLLER")),
            "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": _JAAS,
            "listener.name.sasl_ssl.plain.sasl.jaas.config": _JAAS,
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": self.installed / "server.p12",
            "ssl.keystore.password": _STOREPASS,
            "log.dirs": self.folder / "data",
            "num.partitions": 6,
            "auto.create.topics.enable": "true",
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.num.partitions": 4,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # The default takes half of this heap.
            "log.cleaner.dedupe.buffer.size": 10 * 1024 * 1024,
            "log.cleaner.threads": 1,
            "num.network.threads": 2,
            "num.io.threads": 4,
        }
        file = self.folder / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return file


@contextlib.contextmanager
def running_kafka(folder: Path) -> Iterator[Kafka]:
    """A fresh broker; skips the test (fails it in CI) where Java or Maven are missing."""
    with Kafka(folder) as broker:
        yield broker
