"""A built dashboard page, served under /dashboard."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from skald_bridge.domain.errors import InvalidInput

BASE = "/dashboard"
INDEX = "index.html"


def check_dashboard(folder: Path) -> None:
    """Raises ``InvalidInput`` for a folder without a page."""
    if not (folder / INDEX).is_file():
        raise InvalidInput(
            f"--dashboard: {folder} has no {INDEX}.",
            remedy="Name the folder of a built page; that of skalds is skalds/system_controller/static/dashboard.",
        )


def serve_dashboard(app: FastAPI, folder: Path) -> None:
    """Also its icon, which pages built for ``BASE`` ask for at the root."""
    app.mount(BASE, _Page(directory=folder, html=True), name="dashboard")

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse(BASE + "/", 302)


class _Page(StaticFiles):
    """Paths of the page's own router are answered with the page; Starlette keeps all within the folder."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            found = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or "." in Path(path).name:
                raise
            found = await super().get_response(INDEX, scope)
        # Assets carry their hash in their names; the page that names them must be fresh.
        if Path(path).parts[:1] != ("assets",):
            found.headers["Cache-Control"] = "no-cache"
        return found
