"""The node's end of its link to the bridge: what it says of itself, and what it does with an offer."""
