"""The fleet's page under /fleet/: files of this package, with which it is whole."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BASE = "/fleet"
FOLDER = Path(__file__).parent / "fleet_files"
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
"""What is shown comes from outside: nothing of it can become a script, a style or a request."""


def serve_fleet_page(app: FastAPI, *, as_root: bool) -> None:
    """``as_root``: "/" leads there, for want of another page."""
    app.mount(BASE, _Files(directory=FOLDER, html=True), name="fleet")
    if as_root:

        @app.get("/", include_in_schema=False)
        async def root() -> RedirectResponse:
            return RedirectResponse(BASE + "/", 302)


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        found = await super().get_response(path, scope)
        found.headers["Content-Security-Policy"] = POLICY
        found.headers["Cache-Control"] = "no-cache"
        return found
