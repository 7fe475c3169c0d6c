"""Redis behind TLS, whose certificate a private authority signed."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from skald_blocks import RedisCache
from skald_bridge.adapters.redis_pulse import RedisConfig, RedisPulse
from skald_bridge.domain.errors import Unavailable
from skald_bridge.domain.ids import TaskId
from skald_bridge.domain.pulse import SILENT
from tests.services.redis_server import RedisServer

HOST = "127.0.0.1"
NOW = datetime.now(UTC)


def certificate(folder: Path) -> Path:
    """PEM of a key and its own authority's certificate, for this machine's loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "redis.pem"
    file.write_bytes(key.private_bytes(encoding, *plain) + signed.public_bytes(encoding))
    return file


@asynccontextmanager
async def encrypted(server: RedisServer, pem: Path) -> AsyncIterator[int]:
    """A port that speaks TLS in front of the server."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(server.host, server.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    async with await asyncio.start_server(serve, HOST, 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]


async def test_tls(redis_server: RedisServer, tmp_path: Path) -> None:
    task, pem = TaskId("encrypted"), certificate(tmp_path)
    async with encrypted(redis_server, pem) as port:
        async with RedisPulse(RedisConfig(HOST, port, tls=True, ca_file=pem)) as pulse:
            await pulse.beat([], [task], NOW)
            assert (await pulse.vitals([task], NOW)).get(task, SILENT).heartbeat is not None
        client = RedisCache(host=HOST, port=port, tls=True, ca_file=str(pem)).get_async_client()
        async with client:
            assert await client.ping()
        async with RedisPulse(RedisConfig(HOST, port, tls=True)) as pulse:
            with pytest.raises(Unavailable, match="certificate"):
                await pulse.beat([], [task], NOW)
