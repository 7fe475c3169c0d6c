"""The ``skald`` command, one file a command: it parses, calls, prints.

What a command finds out is printed as a table for people, or with ``--json`` as one stable shape for programs. Every
error names its cause and a remedy, and has an exit code of its own. Modules are imported when their command runs:
``--help`` needs none of them, and Prefect is imported only where it must be.
"""
