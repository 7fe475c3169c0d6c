"""Runs that are given no attachments: each gets the model's own defaults, made for it alone."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel


@contextmanager
def let_be_left_out(
    function: Callable[..., Any], parameter: str, model: type[BaseModel], annotation: Any
) -> Iterator[None]:
    """Inside, Prefect makes the flow of ``function``; from then on its runs may leave ``parameter`` out.

    Prefect takes a default from the signature as it is, one object for all runs of a process, and before it
    validates anything it refuses a run that lacks an argument, in an exception that ends the process. So the
    engine sees the default ``{}``, which it validates as any given value: a new model for each run, or a
    failure that names the missing fields. Forms and the server's schema see the model's defaults, and see a
    model with required fields as required. Calls of the function itself are as they were. ``annotation`` is what
    Prefect reads: the model, or the model with what else is told of it.
    """
    with_model = _signature(function, parameter, annotation)
    shown = with_model if _needs_a_value(model) else _with_default(with_model, parameter, _shown(model))
    _present(function, shown)
    try:
        yield
    finally:
        _present(function, _with_default(with_model, parameter, {}))


def _needs_a_value(model: type[BaseModel]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _shown(model: type[BaseModel]) -> dict[str, Any]:
    """The defaults that a form shows, by alias: those of the model's schema, but for empty ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = model.model_json_schema()
    fields: dict[str, dict[str, Any]] = schema.get("properties", {})
    return {name: field["default"] for name, field in fields.items() if field.get("default") is not None}


def _signature(function: Callable[..., Any], parameter: str, annotation: Any) -> inspect.Signature:
    found = inspect.signature(function)
    return found.replace(parameters=[found.parameters[parameter].replace(annotation=annotation)])


def _with_default(signature: inspect.Signature, parameter: str, default: object) -> inspect.Signature:
    return signature.replace(parameters=[signature.parameters[parameter].replace(default=default)])


def _present(function: Callable[..., Any], signature: inspect.Signature) -> None:
    function.__signature__ = signature  # type: ignore[attr-defined]
