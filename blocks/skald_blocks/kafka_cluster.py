"""Where Kafka is, and as whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, model_validator

from skald_blocks.environment import Environment

if TYPE_CHECKING:
    from confluent_kafka import Producer

_CONFLUENT = "confluent.cloud"
"""Skalds speaks SASL over TLS to brokers of this name."""


class KafkaCluster(Block):
    """Brokers of Kafka, with TLS and SASL where they ask for it. Nothing is connected before a client is.

    Example:
        >>> cluster = KafkaCluster(bootstrap_servers="kafka-1:9092,kafka-2:9092", tls=True)
        >>> cluster.save("events")
        >>> cluster.get_client().produce("task.assign", b"{}", "a task's id")
    """

    _block_type_name = "Kafka Cluster"
    _block_type_slug = "kafka-cluster"
    _logo_url = "https://raw.githubusercontent.com/simple-icons/simple-icons/384447aca37491580f6f62a6ff9db2cf13a48f49/icons/apachekafka.svg"  # type: ignore[assignment]
    _documentation_url = "https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md"  # type: ignore[assignment]
    _description = "Connects to the Kafka cluster that carries task events."

    model_config = ConfigDict(hide_input_in_errors=True)

    bootstrap_servers: str = Field(
        title="Bootstrap servers",
        description="Brokers to begin with, with ports: kafka-1:9092,kafka-2:9092.",
        min_length=1,
    )
    username: str | None = Field(None, title="Username", description="SASL user; without it, no SASL.")
    password: SecretStr | None = Field(None, title="Password", description="SASL password.")
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", title="SASL mechanism", description="How the user's password is shown to the brokers."
    )
    tls: bool = Field(False, title="TLS", description="Encrypt the connection.")
    ca_file: str | None = Field(
        None, title="CA file", description="PEM file of the authority that signed the brokers' certificates."
    )
    certificate_file: str | None = Field(
        None, title="Certificate file", description="PEM file that the brokers know the client by."
    )
    key_file: str | None = Field(None, title="Key file", description="PEM file of the certificate's key.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.username and self.password is None:
            raise ValueError("a username needs a password")
        if not self.tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ValueError("certificates are for TLS; set tls")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """From KAFKA_HOST (one, or several with commas), KAFKA_PORT, KAFKA_USERNAME, KAFKA_PASSWORD, KAFKA_TLS
        and KAFKA_CA_FILE.

        Raises:
            EnvironmentProblem: one is missing or cannot be used.
        """
        given = Environment(environment)
        hosts = given.required("KAFKA_HOST", "kafka")
        port = given.port("KAFKA_PORT", 9092)
        return cls(
            bootstrap_servers=",".join(_with_port(host.strip(), port) for host in hosts.split(",")),
            username=given.text("KAFKA_USERNAME"),
            password=given.secret("KAFKA_PASSWORD"),
            tls=given.flag("KAFKA_TLS") or _CONFLUENT in hosts,
            ca_file=given.text("KAFKA_CA_FILE"),
        )

    def connection(self) -> dict[str, Any]:
        """librdkafka's settings of where and as whom, for any client. Holds the password."""
        transport = "SSL" if self.tls else "PLAINTEXT"
        files = {
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.certificate_file,
            "ssl.key.location": self.key_file,
        }
        found: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "security.protocol": f"SASL_{transport}" if self.username else transport,
            **{name: value for name, value in files.items() if value},
        }
        if self.username and self.password is not None:
            found |= {
                "sasl.mechanism": self.sasl_mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password.get_secret_value(),
            }
        return found

    def producer_config(self, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """For a producer that stores each message once, in order, on all replicas; librdkafka's names."""
        return {**self.connection(), "enable.idempotence": True, "acks": "all", **(changes or {})}

    def get_client(self, changes: Mapping[str, Any] | None = None) -> Producer:
        """A producer; ``flush`` it before the end. ``changes`` as in ``producer_config``."""
        from confluent_kafka import Producer

        return Producer(self.producer_config(changes))


def _with_port(host: str, port: int) -> str:
    """IPv6 addresses stand in brackets."""
    return host if ":" in host.rpartition("]")[2] else f"{host}:{port}"
