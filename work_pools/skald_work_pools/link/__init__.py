"""The link between a node and the bridge: typed messages, their bytes, and what changed of a node; pure."""

PATH = "/api/node-link"
"""Where the bridge's REST API answers links."""
