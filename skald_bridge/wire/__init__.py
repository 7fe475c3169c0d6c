"""Bytes to typed messages and back, one file per system; pure."""
