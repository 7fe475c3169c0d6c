"""What producer and consumer share: the topics, made where they are missing, and Kafka's errors in our words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from skald_bridge.domain.errors import Denied, Unavailable

CLIENT = "skald-bridge"
REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
    }
)
OF_THE_MESSAGE = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError._BAD_MSG,
        KafkaError._INVALID_ARG,
    }
)
"""Errors of one message, which would be the same with any broker at any time."""
_ANSWER_SECONDS = 10.0
_log = logging.getLogger("skald_bridge.kafka")


@dataclass(frozen=True)
class Topics:
    """``partitions`` and ``replicas`` are those of topics made here; never more replicas than brokers."""

    names: Sequence[str]
    partitions: int
    replicas: int

    def make(self, connection: Mapping[str, Any], refusal: Callable[[], KafkaError | None]) -> None:
        """Those that are missing.

        ``refusal`` gives what librdkafka told of a connection that was refused.

        Raises:
            Unavailable: Kafka does not answer; ``Denied``: it does not let us.
        """
        admin = AdminClient(dict(connection), logger=_log)
        try:
            found = admin.list_topics(timeout=_ANSWER_SECONDS)
            replicas = min(self.replicas, max(1, len(found.brokers)))
            wanted = [
                NewTopic(topic, num_partitions=self.partitions, replication_factor=replicas)
                for topic in self.names
                if topic not in found.topics
            ]
            made = admin.create_topics(wanted, operation_timeout=_ANSWER_SECONDS) if wanted else {}
            for answer in made.values():
                _done(answer)
        except KafkaException as error:
            admin.poll(0)  # why a connection failed is told only here
            raise explained(connection, refusal() or error.args[0]) from error


def explained(connection: Mapping[str, Any], error: KafkaError | None) -> Exception:
    assert error is not None
    where = connection.get("bootstrap.servers", "?")
    said = f"Kafka at {where}: {error.str()}"
    if error.code() in REFUSED:
        return Denied(said, remedy="Check KAFKA_USERNAME, KAFKA_PASSWORD and the user's rights.")
    return Unavailable(said, remedy="It is tried again; nothing is lost meanwhile.")


def _done(answer: Any) -> None:
    try:
        answer.result(_ANSWER_SECONDS)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
