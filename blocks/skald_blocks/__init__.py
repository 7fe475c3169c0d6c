"""Prefect blocks of Skald: credentials in, client out.

A block holds what a connection is made of and checks it when it is saved; the library behind it is imported when a
client is asked for. Where no block is saved, Skalds' environment variables say the same (``environment``).
"""

from skald_blocks.kafka_cluster import KafkaCluster
from skald_blocks.media_store import MediaStore
from skald_blocks.mongo_archive import MongoArchive
from skald_blocks.redis_cache import RedisCache

__all__ = ["KafkaCluster", "MediaStore", "MongoArchive", "RedisCache"]
