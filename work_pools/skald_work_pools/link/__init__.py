"""The link between a node and the bridge: typed messages, their bytes, and what changed of a node; pure."""
