"""MongoDB's errors: of the service, or of one document; told without credentials and without the documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bson.errors import BSONError
from pydantic import SecretStr
from pymongo.errors import BulkWriteError, ConnectionFailure, DocumentTooLarge, OperationFailure, PyMongoError

from skald_bridge.domain.errors import Unavailable

DUPLICATE_KEY = 11000
MOST_SAID = 500
"""Characters of what an encoder complains about."""
_CODES_OF_A_DOCUMENT = frozenset(
    {
        2,  # BadValue
        9,  # FailedToParse
        14,  # TypeMismatch
        15,  # Overflow: nested too deeply
        16,  # InvalidLength
        22,  # InvalidBSON
        28,  # PathNotViable
        52,  # DollarPrefixedFieldName
        54,  # NotSingleValueField
        56,  # EmptyFieldName
        57,  # DottedFieldName
        66,  # ImmutableField
        121,  # DocumentValidationFailure
        10334,  # BSONObjectTooLarge
        17280,  # KeyTooLong
        17419,  # the document after the update is too large
        17420,
    }
)
OF_THE_DOCUMENT = (BSONError, DocumentTooLarge, OverflowError, UnicodeError, RecursionError)
"""Raised before anything is sent."""


def is_of_the_document(error: PyMongoError) -> bool:
    """Whether a server that takes others refuses this write for what it is."""
    if isinstance(error, BulkWriteError):
        failed = error.details.get("writeErrors", [])
        return (
            bool(failed) and not error.details.get("writeConcernErrors") and all(map(_is_writes_own, failed))
        )
    return isinstance(error, OperationFailure) and error.code in _CODES_OF_A_DOCUMENT


def _is_writes_own(failed: Mapping[str, Any]) -> bool:
    return failed.get("code") in _CODES_OF_A_DOCUMENT


def redacted(text: str, uri: SecretStr) -> str:
    """``text`` without the URI's credentials."""
    secret = uri.get_secret_value()
    text = text.replace(secret, "***")
    credentials = secret.partition("://")[2].rpartition("@")[0]
    for part in sorted({credentials, *credentials.split(":", 1)[1:]}, key=len, reverse=True):
        text = text.replace(part, "***") if part else text
    return text


def unavailable(error: PyMongoError, uri: SecretStr) -> Unavailable:
    """In our words, without credentials, with what to do about it."""
    code = error.code if isinstance(error, OperationFailure) else None
    if code in (13, 18, 8000):
        remedy = "Put a user into MONGO_HOST who may read and write the database DB_NAME."
    elif code == DUPLICATE_KEY:
        remedy = "Remove all but one of the documents that have the same id; the index on id must be unique."
    elif isinstance(error, ConnectionFailure):
        remedy = "Start MongoDB, or correct MONGO_HOST."
    else:
        remedy = "It answers, and refuses: its message says what."
    what = redacted(said(error), uri)
    return Unavailable(f"MongoDB at {_where(uri)} cannot be used: {what}", remedy=remedy)


def said(error: PyMongoError) -> str:
    """In short, and without the documents that a failed bulk write quotes: attachments may hold credentials."""
    if isinstance(error, BulkWriteError):
        details = error.details
        failed = [*details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
        return str(failed[0].get("errmsg")) if failed else "a batch failed"
    return str(error).partition(", Timeout:")[0].partition(", full error:")[0]


def _where(uri: SecretStr) -> str:
    hosts = uri.get_secret_value().partition("://")[2].rpartition("@")[2]
    return hosts.partition("/")[0].partition("?")[0]
