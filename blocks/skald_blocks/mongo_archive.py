"""Where MongoDB is, and as whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, field_validator

from skald_blocks.environment import Environment

if TYPE_CHECKING:
    from pymongo import AsyncMongoClient, MongoClient
    from pymongo.collection import Collection

_SCHEMES = ("mongodb://", "mongodb+srv://")


class MongoArchive(Block):
    """A MongoDB with the documents of tasks. Nothing is connected before a client is used.

    Example:
        >>> archive = MongoArchive(uri="mongodb://skald:...@db-1,db-2/?replicaSet=rs0&tls=true")
        >>> archive.save("tasks")
        >>> archive.tasks().find_one({"lifecycleStatus": "Failed"})
    """

    _block_type_name = "Mongo Archive"
    _block_type_slug = "mongo-archive"
    _logo_url = "https://raw.githubusercontent.com/simple-icons/simple-icons/458de46eec6a0b0b259b3bbdfa9f49c5103b3e09/icons/mongodb.svg"  # type: ignore[assignment]
    _documentation_url = "https://www.mongodb.com/docs/manual/reference/connection-string/"  # type: ignore[assignment]
    _description = "Connects to the MongoDB database that keeps task documents."

    model_config = ConfigDict(hide_input_in_errors=True)

    uri: SecretStr = Field(
        title="URI", description="mongodb:// or mongodb+srv://, with hosts, credentials and options."
    )
    database: str = Field("skalds", title="Database", description="Name of the database.", min_length=1)

    @field_validator("uri")
    @classmethod
    def _is_one(cls, uri: SecretStr) -> SecretStr:
        if not uri.get_secret_value().startswith(_SCHEMES):
            raise ValueError(f"a MongoDB URI begins with {' or '.join(_SCHEMES)}")
        return uri

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """From MONGO_HOST, which is a URI, and DB_NAME.

        Raises:
            EnvironmentProblem: MONGO_HOST is missing.
            pydantic.ValidationError: it is no URI.
        """
        given = Environment(environment)
        return cls(
            uri=SecretStr(given.required("MONGO_HOST", "mongodb://user:password@host:27017")),
            database=given.text("DB_NAME") or "skalds",
        )

    def get_client(self, **options: Any) -> MongoClient[dict[str, Any]]:
        """Connects at its first operation; ``options`` are pymongo's."""
        from pymongo import MongoClient

        return MongoClient(self.uri.get_secret_value(), **{"connect": False, **options})

    def get_async_client(self, **options: Any) -> AsyncMongoClient[dict[str, Any]]:
        """``get_client`` for asyncio."""
        from pymongo import AsyncMongoClient

        return AsyncMongoClient(self.uri.get_secret_value(), **options)

    def tasks(self) -> Collection[dict[str, Any]]:
        """The task documents, over a client of their own."""
        return self.get_client()[self.database]["tasks"]
