"""The ports' implementations: one outside system a file."""
