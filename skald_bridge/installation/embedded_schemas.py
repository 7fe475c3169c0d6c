"""The embedded server's JSON schemas: one that was found sound is not checked again.

For each run that is created Prefect checks the work pool's and the deployment's schema against the schema of
schemas, a fifth of all its work under a burst; they are the same ones every time.
"""

from __future__ import annotations

import json
from typing import Any

from cachetools import FIFOCache
from prefect.utilities.schema_tools import validation

REMEMBERED = 1000


def install(validator: Any = None) -> None:
    """For this process; ``validator`` is the class that Prefect checks with."""
    checks = validator or validation._VALIDATOR  # noqa: SLF001
    check = checks.check_schema
    sound: FIFOCache[str, bool] = FIFOCache(REMEMBERED)

    def check_once(_cls: Any, schema: Any, *args: Any, **options: Any) -> None:
        try:
            text = json.dumps(schema, sort_keys=True)
        except (TypeError, ValueError):
            check(schema, *args, **options)
            return
        if text not in sound:
            check(schema, *args, **options)
        sound[text] = True

    checks.check_schema = classmethod(check_once)
