"""The reference as Markdown, from settings, commands, task types and routes as the code has them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import typer
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from typer.testing import CliRunner

from skald_bridge.api.app import make_app
from skald_bridge.cli.app import COMMANDS, app
from skald_bridge.cli.kube import k8s
from skald_bridge.domain.task_types import Field, deployed_type
from skald_bridge.settings.file import environment_names
from skald_bridge.settings.model import Settings
from skald_bridge.settings.template import shown
from skald_work_pools.needs import Needs
from tests.docs.authoring import authoring_page
from tests.docs.markdown import code, line, page, table
from tests.docs.measured import job_variables_page, metrics_page

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
FLOWS = ("record", "transcode", "analyze", "pipeline", "complex_job")


def pages() -> dict[str, str]:
    """File name to text."""
    return {
        "settings.md": settings(),
        "commands.md": commands(),
        "task-types.md": task_types(),
        "routes.md": routes(),
        "authoring.md": authoring_page(),
        "job-variables.md": job_variables_page(),
        "metrics.md": metrics_page(),
    }


def settings() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        variables = " or ".join(f"`{each}`" for each in environment_names(name))
        default = shown(field.get_default())
        rows.append(
            (f"`{name}`", variables, "" if default is None else code(default), field.description or "")
        )
    return page(
        "Settings",
        "Flags win over the environment, the environment over `.env`, and `.env` over a configuration file "
        "(`skald --config FILE`, or `SKALD_CONFIG`). `skald init` writes a file with all of them. An empty "
        "variable means that it is not set.",
        table(("setting", "environment", "default", "meaning"), rows),
    )


def commands() -> str:
    return page(
        "Commands",
        "What `skald COMMAND --help` says, on one page. Exit codes and the shapes of `--json` are in "
        "[the command line](../cli.md).",
        *map(_help, _words()),
    )


def task_types() -> str:
    parts = []
    for name in FLOWS:
        flow = getattr(import_module(f"flows.{name}"), name)
        assert isinstance(flow, Flow)
        schema = parameter_schema(flow).model_dump()
        row = {"name": name, "description": flow.description, "parameter_openapi_schema": schema}
        made = deployed_type(flow.name, [row], tuple(Needs.model_fields))
        needs = ", ".join(f"{key} {value}" for key, value in made.needs.items())
        parts.append(
            "\n\n".join(
                [
                    f"## {made.name}",
                    made.description.strip(),
                    *([f"Needs: {needs}."] if needs else []),
                    table(("field", "type", "default", "meaning"), map(_field, made.fields)),
                ]
            )
        )
    return page(
        "Task types",
        "The product's own task types and the fields of their attachments; `skald types NAME` says the same of what is "
        "deployed, yours too. A field marked with * can be changed while the task runs (`skald update`).",
        *parts,
    )


def routes() -> str:
    nothing: Any = SimpleNamespace(version="-")
    made = make_app(nothing, nothing, nothing, SimpleNamespace(origins=()))  # type: ignore[arg-type]
    rows = [
        (f"`{method.upper()} {path}`", line(told.get("summary") or ""), line(told.get("description") or ""))
        for path, methods in made.openapi()["paths"].items()
        for method, told in methods.items()
    ]
    return page(
        "Routes",
        "The bridge's HTTP interface. Bodies, answers and errors of each are in `/api/openapi.json` of a running "
        "bridge; how it is guarded and how events are read is in [the REST page](../rest.md).",
        table(("route", "does", "more"), rows),
    )


def _help(words: str) -> str:
    """What ``skald WORDS --help`` prints."""
    printed = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert printed.exit_code == 0, printed.output
    text = "\n".join(line.rstrip() for line in printed.output.strip("\n").splitlines())
    return f"## skald {words}\n\n```text\n{text}\n```"


def _words() -> list[str]:
    """Every command, those of groups too."""
    inner = [each.name or getattr(each.callback, "__name__", "") for each in k8s.registered_commands]
    return [
        words
        for name in COMMANDS
        for words in ([f"k8s {each}" for each in inner] if name == "k8s" else [name])
    ]


def _field(field: Field) -> tuple[str, str, str, str]:
    default = "required" if field.required else code(field.default)
    return f"`{field.name}`{' *' if field.can_change else ''}", field.type, default, line(field.description)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
        typer.echo(f"docs/reference/{name}")
