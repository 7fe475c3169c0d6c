"""A warm start means what a cold one means: the same folders run on a stock process worker and on a node, and what
their flows saw is compared.

``cases/KIND/NAME/`` is a folder of flows as a user has it, with a ``case.toml`` where the default is not enough; each
side works on its own copy. A flow says what it saw by leaving files in the folder that its parameter ``out`` names:
the keys of a JSON file, and every other file's text, are fields; state, states and errors in the run's log are
fields of every run. All fields of all runs are to be equal. ``case`` says what a ``case.toml`` may contain.
"""
