"""Flows the benches run; plain Prefect, so that every worker runs the same ones."""
