"""Errors as JSON: what is wrong, how to mend it, and the status that says whose turn it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from skald_bridge.domain.errors import InvalidInput, NotFound, Rejected, SkaldError, Unavailable

_log = logging.getLogger("skald_bridge.api")
_STATUS: dict[type[SkaldError], int] = {InvalidInput: 422, NotFound: 404, Rejected: 409, Unavailable: 503}
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
_REMEDIES = {404: "The routes are listed at /api/openapi.json.", 405: "Use one of the methods in Allow."}


class Problem(BaseModel):
    """Every error of this API."""

    error: str = Field(description="What is wrong, in one sentence; names the field where there is one.")
    remedy: str | None = Field(None, description="What to do about it.")
    status: int = Field(description="The HTTP status.")


_MEANINGS = {
    400: "The request cannot be read.",
    401: "The key is missing or wrong.",
    403: "The request comes from a page of another origin.",
    404: "There is no such task or Skald.",
    405: "The route has no such method.",
    408: "The request did not arrive in time.",
    409: "The task or Prefect refuses the command.",
    413: "The body is too large.",
    421: "The Host header names another server.",
    422: "A field is wrong.",
    500: "A defect of this product.",
    503: "A service that is needed does not answer, or too many clients are connected.",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI."""
    return {status: {"model": Problem, "description": _MEANINGS[status]} for status in statuses}


ALWAYS = responses(400, 401, 403, 408, 413, 421, 422, 500, 503)
"""What connections, the guard and the reading of a request can answer on every route."""


def problem(
    status: int, error: str, remedy: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = Problem(error=_sendable(error), remedy=remedy, status=status)
    return JSONResponse(body.model_dump(), status, headers=dict(headers or {}))


def _sendable(text: str) -> str:
    """What a client has sent may hold halves of surrogate pairs, which are no UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def handle_problems(app: FastAPI) -> None:
    """Make every error of ``app`` a ``Problem``."""
    app.add_exception_handler(SkaldError, _ours)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SkaldError):
        raise error
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    return problem(status, error.message, error.remedy)


async def _unreadable(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return problem(422, f"The body is not JSON: {first['ctx']['error']}", "Send a JSON object in UTF-8.")
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    remedy = first.get("ctx", {}).get("remedy", "/api/openapi.json describes every field.")
    return problem(422, f"{where}: {first['msg']}", remedy)


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request))
    return problem(error.status_code, str(error.detail), _REMEDIES.get(error.status_code), headers)


def _methods(request: Request) -> list[str]:
    """Of all routes with this path; Starlette names those of the first one only.

    A path that is written out is no id: the routes that would take it for one do not count.
    """
    written = request.app.openapi()["paths"].get(request.url.path, {})
    found = {method for method in METHODS if method.lower() in written}
    for route in () if found else request.app.routes:
        is_folder = isinstance(route, Mount)  # takes every method, and answers GET
        for method in ("GET",) if is_folder else METHODS:
            if route.matches({**request.scope, "method": method})[0] is Match.FULL:
                found.add(method)
    return sorted(found | {"HEAD"} if "GET" in found else found)


async def _defect(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, f"Unexpected {type(error).__name__}.", "The bridge's log has the details.")
