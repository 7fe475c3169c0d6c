"""The page of what flow authors import, from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

from skald_bridge import authoring
from skald_bridge.authoring import testing
from tests.docs.markdown import page, table

_LITERAL = re.compile(r"``(.+?)``")
_INNER = {"offer", "basis", "reopen", "overridden_by", "not_zero"}
"""Public, but for transports and nodes."""
_HEADING = re.compile(r"^(Raises|Args|Returns):$")


def authoring_page() -> str:
    functions = [name for name in authoring.__all__ if inspect.isfunction(getattr(authoring, name))]
    classes = [name for name in authoring.__all__ if inspect.isclass(getattr(authoring, name))]
    return page(
        "Authoring",
        "What a task type imports from `skald_bridge.authoring`. The [tutorial](../tutorial.md) uses most of it.",
        *(_function(getattr(authoring, name), "skald_bridge.authoring") for name in functions),
        *(_class(getattr(authoring, name), "skald_bridge.authoring") for name in classes),
        _function(testing.updates, "skald_bridge.authoring.testing"),
    )


def _function(function: Any, module: str) -> str:
    plain = inspect.unwrap(function)
    head = f"from {module} import {plain.__name__}\n\n{_signature(plain.__name__, plain)}"
    return f"## {plain.__name__}\n\n```python\n{head}\n```\n\n{_prose(plain)}"


def _class(cls: type[Any], module: str) -> str:
    parts = [f"## {cls.__name__}", f"```python\nfrom {module} import {cls.__name__}\n```", _prose(cls)]
    if fields := getattr(cls, "model_fields", None):
        parts.append(
            table(("field", "says"), ((f"`{name}`", told.description) for name, told in fields.items()))
        )
    for name, member in vars(cls).items():
        documented = inspect.getdoc(member) if not name.startswith("_") and name not in _INNER else None
        if not documented or isinstance(member, classmethod):
            continue
        if isinstance(member, property):
            parts.append(f"`.{name}`: {_flowing(documented)}")
        elif inspect.isfunction(member):
            called = inspect.unwrap(member)
            parts.append(
                f"`.{name}({', '.join(list(inspect.signature(called).parameters)[1:])})`: {_prose(member)}"
            )
    return "\n\n".join(parts)


def _signature(name: str, function: Any) -> str:
    """One parameter a line where they are many, as the source spells their types."""
    shown = inspect.signature(function)
    kinds = inspect.Parameter
    parameters: list[str] = []
    starred = False
    for each in shown.parameters.values():
        if each.kind is kinds.KEYWORD_ONLY and not starred:
            parameters.append("*")
        starred = starred or each.kind in (kinds.VAR_POSITIONAL, kinds.KEYWORD_ONLY)
        parameters.append(_parameter(each))
    flat = f"{name}({', '.join(parameters)}) -> {shown.return_annotation}"
    if len(flat) <= 100:
        return flat
    return (
        f"{name}(\n{''.join(f'    {each},' + chr(10) for each in parameters)}) -> {shown.return_annotation}"
    )


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    text = f"{stars.get(parameter.kind, '')}{parameter.name}: {parameter.annotation}"
    if parameter.default is inspect.Parameter.empty:
        return text
    return f"{text} = {'...' if callable(parameter.default) else repr(parameter.default)}"


def _prose(thing: Any) -> str:
    """The docstring as Markdown: its lists of arguments and errors as lists, its examples as code."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", inspect.getdoc(thing) or ""):
        head, _, rest = paragraph.partition("\n")
        if _HEADING.match(head):
            items = re.split(r"\n(?=\S)", textwrap.dedent(rest))
            parts.append(f"{head}\n\n" + "\n".join(f"- {_item(item)}" for item in items))
        elif paragraph.startswith("    "):
            parts.append(f"```python\n{textwrap.dedent(paragraph)}\n```")
        else:
            parts.append(_flowing(paragraph))
    return "\n\n".join(parts)


def _item(text: str) -> str:
    name, colon, rest = text.partition(":")
    return f"`{name}`: {_flowing(rest)}" if colon else _flowing(text)


def _flowing(text: str) -> str:
    return _LITERAL.sub(r"`\1`", " ".join(text.split()))
