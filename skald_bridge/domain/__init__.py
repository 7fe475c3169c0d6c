"""Facts in, effects out; pure."""
