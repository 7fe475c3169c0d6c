"""Where Redis is, and as whom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, model_validator

from skald_blocks.environment import Environment

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis


class RedisCache(Block):
    """A Redis server, with an ACL user and TLS where it asks for them. Nothing is connected before a client is.

    Example:
        >>> cache = RedisCache(host="redis", username="skald", password="...", tls=True)
        >>> cache.save("heartbeats")
        >>> cache.get_client().get("skalds:node-1:heartbeat")
    """

    _block_type_name = "Redis Cache"
    _block_type_slug = "redis-cache"
    _logo_url = "https://raw.githubusercontent.com/PrefectHQ/prefect/420d0d6a78bb6df1fc18bcf188fdad43c1d22ea9/assets/block-logos/redis.png"  # type: ignore[assignment]
    _documentation_url = "https://redis.readthedocs.io/en/stable/connections.html"  # type: ignore[assignment]
    _description = "Connects to the Redis server that holds heartbeats of nodes and tasks."

    model_config = ConfigDict(hide_input_in_errors=True)

    host: str = Field(title="Host", description="Name or address of the server.", min_length=1)
    port: int = Field(6379, title="Port", description="The server's port.", ge=1, le=65535)
    db: int = Field(0, title="Database", description="Number of the logical database.", ge=0)
    username: str | None = Field(
        None, title="Username", description="ACL user; without it, the server's default user."
    )
    password: SecretStr | None = Field(None, title="Password", description="The user's password.")
    tls: bool = Field(False, title="TLS", description="Encrypt the connection.")
    ca_file: str | None = Field(
        None, title="CA file", description="PEM file of the authority that signed the server's certificate."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.username and self.password is None:
            raise ValueError("a username needs a password")
        if self.ca_file and not self.tls:
            raise ValueError("a CA file is for TLS; set tls")
        return self

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """From REDIS_HOST, REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD, REDIS_TLS and REDIS_CA_FILE.

        Raises:
            EnvironmentProblem: one is missing or cannot be used.
        """
        given = Environment(environment)
        return cls(
            host=given.required("REDIS_HOST", "redis"),
            port=given.port("REDIS_PORT", 6379),
            username=given.text("REDIS_USERNAME"),
            password=given.secret("REDIS_PASSWORD"),
            tls=given.flag("REDIS_TLS"),
            ca_file=given.text("REDIS_CA_FILE"),
        )

    def connection(self) -> dict[str, Any]:
        """redis-py's arguments of where and as whom. Holds the password."""
        found: dict[str, Any] = {"host": self.host, "port": self.port, "db": self.db}
        if self.username:
            found["username"] = self.username
        if self.password is not None:
            found["password"] = self.password.get_secret_value()
        if self.tls:
            found["ssl"] = True
            if self.ca_file:
                found["ssl_ca_certs"] = self.ca_file
        return found

    def get_client(self, **options: Any) -> Redis:
        """Connects at its first command; answers are text. ``options`` are redis-py's."""
        from redis import Redis

        return Redis(**{**self.connection(), "decode_responses": True, **options})

    def get_async_client(self, **options: Any) -> AsyncRedis:
        """``get_client`` for asyncio."""
        from redis.asyncio import Redis

        return Redis(**{**self.connection(), "decode_responses": True, **options})
