"""What a mode is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from skald_bridge.modes.catalog import TypeCatalog, catalog
from skald_bridge.settings import Settings


@dataclass
class Options:
    """``settings`` say the mode and the file; ``catalog`` holds the task types it may use."""

    settings: Settings
    catalog: TypeCatalog = field(default_factory=TypeCatalog)


def options(settings: Settings, imports: Sequence[str] = ()) -> Options:
    """Options whose task types are those of ``imports`` and of the settings' own (SKALD_IMPORT).

    Raises:
        InvalidInput: one of them cannot be read or offers no task type.
    """
    return Options(settings, catalog(list(dict.fromkeys([*imports, *settings.imports]))))
