"""``python -m skald_bridge.cli`` is ``skald``."""

from skald_bridge.cli.app import main

main()
