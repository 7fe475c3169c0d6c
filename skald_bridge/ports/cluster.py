"""Kubernetes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Cluster(Protocol):
    """One namespace of a Kubernetes cluster; objects are its API's JSON.

    Methods block, and raise ``Denied`` and ``Unavailable``.
    """

    namespace: str

    def get(self, kind: str, name: str) -> dict[str, Any] | None: ...

    def apply(
        self, manifest: dict[str, Any], *, dry_run: bool = False, force: bool = False
    ) -> dict[str, Any]:
        """Server-side apply; the object as it then is, or would be. ``force`` takes over others' fields.

        Raises:
            InvalidInput: the cluster does not take it.
            Rejected: fields belong to somebody else, or cannot be changed.
        """
        ...

    def list(self, kind: str, selector: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Those whose labels fit ``selector``, and whose fields fit ``fields``, as far as the kind has such."""
        ...

    def delete(self, kind: str, name: str) -> bool:
        """Ask for its end, and for that of all that depends on it, which takes time; whether it was there."""
        ...

    def logs(
        self, pod: str, *, follow: bool = False, tail: int | None = None, previous: bool = False
    ) -> Iterator[str]:
        """Lines without their ends. Raises ``NotFound``, and ``InvalidInput`` for a pod that has none yet."""
        ...
