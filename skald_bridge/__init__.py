"""Skald on Prefect: task types as flows, nodes as work pools, and the bridge to the Skalds world."""
