"""Pages of docs/reference, made of the code; ``python -m tests.docs`` writes them."""
