"""Prefect blocks of Skald: credentials in, client out."""

from blocks.media_store import MediaStore

__all__ = ["MediaStore"]
