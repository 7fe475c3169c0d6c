"""States as people ask for them: Skalds' words, Prefect's types, or state names."""

from __future__ import annotations

from collections.abc import Sequence

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.domain.lifecycle import LifecycleStatus, StateType, lifecycle_of

_LIFECYCLE = {
    status.value.upper(): [kind.value for kind in StateType if lifecycle_of(kind) is status]
    for status in LifecycleStatus
}
_NAMES = ("Late", "AwaitingRetry", "Retrying", "Suspended", "Rescheduled", "Resuming")


def state_filter(words: Sequence[str]) -> list[str]:
    """State types, or state names, for ``Engine.tasks``; words may hold several, with commas.

    Raises:
        InvalidInput: a word is neither; the message lists what there is.
    """
    wanted = [part.strip() for word in words for part in word.split(",") if part.strip()]
    types: list[str] = []
    names: list[str] = []
    known = {name.upper(): name for name in _NAMES}
    for word in wanted:
        key = word.upper()
        if key in StateType.__members__:
            types.append(key)
        elif key in _LIFECYCLE:
            types += _LIFECYCLE[key]
        elif key in known:
            names.append(known[key])
        else:
            raise InvalidInput(f"--state: there is no state {word!r}.", remedy=_REMEDY)
    if types and names:
        raise InvalidInput("--state: state types and state names cannot be mixed.", remedy=_REMEDY)
    return list(dict.fromkeys(types or names))


_REMEDY = (
    f"Write {', '.join(LifecycleStatus)}; or Prefect's {', '.join(StateType)}; "
    f"or a name: {', '.join(_NAMES)}."
)
