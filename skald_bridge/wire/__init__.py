"""Bytes to typed messages and back, one file per outside system; pure.

Names and shapes are those that Skalds' programs were measured to read and write. What arrives is checked here, field
by field, before anybody acts on it; nothing here knows how it travelled.
"""
