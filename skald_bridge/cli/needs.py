"""``--needs KEY=VALUE``: job variables of one task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from skald_bridge.cli.values import value
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.suggestions import unknown_field
from skald_work_pools.needs import Needs

_REMEDY = "Write such as --needs gpus=1, --needs memory=2GiB or --needs tags=cuda-12,rtsp-lan."


def job_variables(words: Sequence[str]) -> dict[str, Any]:
    """What the task takes instead of what its type and deployment say: fields of ``Needs``.

    Raises:
        InvalidInput: a word is no KEY=VALUE, or a field is unknown, given twice, or of a wrong type.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not key:
            raise InvalidInput(f"--needs: {word!r} is not KEY=VALUE.", remedy=_REMEDY)
        if key not in Needs.model_fields:
            raise InvalidInput(f"--needs: {unknown_field(key, list(Needs.model_fields))}.", remedy=_REMEDY)
        if key in found:
            raise InvalidInput(f"--needs: {key} is given twice.", remedy="Keep one.")
        found[key] = _tags(text) if key == "tags" else value(text)
    try:
        Needs().overridden_by(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(
            f"--needs: {'.'.join(map(str, first['loc']))}: {first['msg']}.", remedy=_REMEDY
        ) from error
    return found


def _tags(text: str) -> Any:
    given = value(text)
    return given if isinstance(given, list) else [tag.strip() for tag in text.split(",") if tag.strip()]
