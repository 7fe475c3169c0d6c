"""The product flows and their prefect.yaml: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def flows_root() -> Path:
    """The folder that holds ``prefect.yaml`` and ``flows/``.

    Raises:
        FileNotFoundError: neither a checkout nor a complete installation.
    """
    for root in (_PACKAGE / "bundled", _PACKAGE.parent):
        if (root / "prefect.yaml").is_file() and (root / "flows").is_dir():
            return root
    raise FileNotFoundError(
        "The product flows are missing from this installation; install prefect-skald again."
    )


def flows_directory() -> Path:
    """``flows/`` itself."""
    return flows_root() / "flows"
