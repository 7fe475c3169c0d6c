"""Prefect blocks of Skald: credentials in, client out."""

from skald_blocks.kafka_cluster import KafkaCluster
from skald_blocks.media_store import MediaStore
from skald_blocks.mongo_archive import MongoArchive
from skald_blocks.redis_cache import RedisCache

__all__ = ["KafkaCluster", "MediaStore", "MongoArchive", "RedisCache"]
