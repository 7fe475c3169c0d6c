"""What Kubernetes takes as a name, a label, a resource or a schedule, said before a cluster is asked; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from skald_bridge.domain.errors import InvalidInput

_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DNS_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]+")
_MOST = 253
_NICKNAMES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)


def check_namespace(field: str, text: str) -> str:
    """A DNS label. Raises ``InvalidInput``, as all of these: the message names ``field`` and what is wrong."""
    if not _DNS_LABEL.fullmatch(text):
        raise InvalidInput(
            f"{field}: {text!r} is no namespace.",
            remedy="Use at most 63 small letters, digits and dashes, such as media-1.",
        )
    return text


def check_object_name(field: str, text: str) -> str:
    """A DNS name, as Secrets, claims and service accounts have it."""
    if len(text) > _MOST or not _DNS_NAME.fullmatch(text):
        raise InvalidInput(
            f"{field}: {text!r} is no name of an object on Kubernetes.",
            remedy=f"Use at most {_MOST} small letters, digits, dashes and dots, such as mongo-1.",
        )
    return text


def check_secret(field: str, secret: str, key: str) -> None:
    check_object_name(field, secret)
    if len(key) > _MOST or not _SECRET_KEY.fullmatch(key):
        raise InvalidInput(
            f"{field}: {key!r} is no key of a Secret.",
            remedy="Use letters, digits, dots, dashes and underscores, such as uri.",
        )


def check_labels(field: str, labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        check_label_key(field, key)
        check_label_value(field, value)


def check_label_key(field: str, key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    if not _PART.fullmatch(name) or (slash and (len(prefix) > _MOST or not _DNS_NAME.fullmatch(prefix))):
        raise InvalidInput(
            f"{field}: {key!r} is no label's key.", remedy="Write such as zone or example.com/zone."
        )


def check_label_value(field: str, value: str) -> None:
    if value and not _PART.fullmatch(value):
        raise InvalidInput(
            f"{field}: {value!r} is no label's value.",
            remedy="Use at most 63 letters, digits, dots, dashes and underscores; "
            "`kubectl get nodes --show-labels` prints those of the nodes.",
        )


def check_resource(field: str, resource: str) -> None:
    """An extended resource: it has its vendor's domain."""
    check_label_key(field, resource)
    if "/" not in resource:
        raise InvalidInput(
            f"{field}: {resource!r} has no domain.",
            remedy="Write such as nvidia.com/gpu; `kubectl describe nodes` prints what there is.",
        )


def check_schedule(field: str, schedule: str) -> None:
    """Five fields of cron, or a nickname such as @daily, as a CronJob takes it."""
    if schedule in _NICKNAMES:
        return
    parts = schedule.split()
    if schedule.startswith("@") or len(parts) != len(_FIELDS):
        raise InvalidInput(
            f"{field}: {schedule!r} is no schedule.",
            remedy="Write five fields, such as '0 3 * * *', or @daily.",
        )
    for part, (name, least, most, words) in zip(parts, _FIELDS, strict=True):
        if not all(_is_range(each, least, most, words) for each in part.split(",")):
            raise InvalidInput(
                f"{field}: {schedule!r} is no schedule: its {name} is {part!r}.",
                remedy=f"Write {least} to {most}, *, */2, 1-5 or 1,2 there.",
            )


def _is_range(text: str, least: int, most: int, words: tuple[str, ...]) -> bool:
    whole, slash, step = text.partition("/")
    if slash and not (_digits(step) and int(step) > 0):
        return False
    if whole in ("*", "?"):
        return True
    first, dash, last = whole.partition("-")
    ends = [_number(first, least, words), _number(last, least, words) if dash else most]
    return ends[0] is not None and ends[1] is not None and least <= ends[0] <= ends[1] <= most


def _number(text: str, least: int, words: tuple[str, ...]) -> int | None:
    if text.upper() in words:
        return words.index(text.upper()) + least
    return int(text) if _digits(text) else None


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 9
