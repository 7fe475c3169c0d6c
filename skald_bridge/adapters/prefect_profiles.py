"""``python -m skald_bridge.adapters.prefect_profiles NAME URL``: a profile of Prefect's own command line.

A process of its own: `skald up` does not carry Prefect in its memory.
"""

from __future__ import annotations

import ipaddress
import sys
from urllib.parse import urlsplit

from skald_bridge.domain.errors import Rejected, SkaldError


def write(name: str, url: str) -> bool:
    """Have the profile ``name`` talk to ``url``; its other settings, and which one is active, stay as they are.

    Returns whether it was made.

    Raises:
        Rejected: the profile talks to a server on another machine.
    """
    from prefect.settings import PREFECT_API_URL, Profile, load_profiles, save_profiles

    profiles = load_profiles(include_defaults=False)
    there = profiles[name] if name in profiles.names else None
    before = there.settings.get(PREFECT_API_URL) if there is not None else None
    if isinstance(before, str) and not _is_local(before):
        raise Rejected(
            f"The Prefect profile {name} talks to {before}.",
            remedy="Name another one: skald up --profile NAME",
        )
    if there is None:
        profiles.add_profile(Profile(name=name, settings={PREFECT_API_URL: url}))
    else:
        profiles.update_profile(name, {PREFECT_API_URL: url})
    save_profiles(profiles)
    return there is None


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main() -> None:
    name, url = sys.argv[1:]
    try:
        made = write(name, url)
    except SkaldError as error:
        print(f"{error.message} {error.remedy}")  # noqa: T201
        sys.exit(error.exit_code)
    print("made" if made else "changed")  # noqa: T201


if __name__ == "__main__":
    main()
