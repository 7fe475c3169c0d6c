"""A built dashboard page, served under /dashboard."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from skald_bridge.domain.errors import InvalidInput

BASE = "/dashboard"
INDEX = "index.html"
_ICONS = ("vite.svg", "favicon.ico")
"""Pages built for ``BASE`` ask for these at the root, whether they have them or not."""


def check_dashboard(folder: Path) -> None:
    """Raises ``InvalidInput`` for a folder without a page."""
    if not (folder / INDEX).is_file():
        raise InvalidInput(
            f"--dashboard: {folder} has no {INDEX}.",
            remedy="Name the folder of a built page; that of skalds is skalds/system_controller/static/dashboard.",
        )


def serve_dashboard(app: FastAPI, folder: Path) -> None:
    """The page under ``BASE``; "/" leads there."""
    app.mount(BASE, _Page(directory=folder, html=True), name="dashboard")

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse(BASE + "/", 302)

    async def icon(request: Request) -> Response:
        file = folder / request.url.path.removeprefix("/")
        return FileResponse(file) if file.is_file() else Response(status_code=204)

    for name in _ICONS:
        app.add_api_route(f"/{name}", icon, include_in_schema=False)


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
