"""Every setting of this product, Skalds' own names among them.

``model`` has each setting's name, meaning and default, and reads the environment; ``file`` adds flags, ``.env`` and a
YAML file, each winning over those after it; ``sylklabs`` reads that scheduler's keys as ours; ``values`` are the forms
in which people write lists, spans and levels; ``template`` writes what ``skald init`` leaves behind.

Settings are read once, at the start of a command, and handed on: no other room looks at the environment for them.
"""

from skald_bridge.settings.model import ControllerMode, Environment, LogFormat, Mode, Settings, Strategy

__all__ = ["ControllerMode", "Environment", "LogFormat", "Mode", "Settings", "Strategy"]
