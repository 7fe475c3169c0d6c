"""What must hold of Redis' keys."""

from __future__ import annotations

from redis import Redis

_NO_EXPIRY = -1


def immortal_keys(port: int) -> list[str]:
    """Keys of Redis that never expire; a hash may have an expiry for each of its fields instead."""
    found = []
    with Redis(port=port, decode_responses=True) as redis:
        for key in redis.scan_iter(count=1000):
            if redis.pttl(key) != _NO_EXPIRY:
                continue
            fields = redis.hkeys(key) if redis.type(key) == "hash" else []
            expiries = redis.execute_command("HPTTL", key, "FIELDS", len(fields), *fields) if fields else []
            if not fields or _NO_EXPIRY in expiries:
                found.append(f"key {key}")
    return found
