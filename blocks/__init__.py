"""Prefect blocks of Skald: credentials in, client out."""

from blocks.kafka_cluster import KafkaCluster
from blocks.media_store import MediaStore
from blocks.mongo_archive import MongoArchive
from blocks.redis_cache import RedisCache

__all__ = ["KafkaCluster", "MediaStore", "MongoArchive", "RedisCache"]
