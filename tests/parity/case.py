"""A case as its folder says it: deployments, steps, and how what the flows saw is to be read.

Without a ``case.toml``, ``flow.py:main`` is deployed from the folder and run twice, one after the other, and on the
node once more.

    about = "one line: who meets this"
    like = "kind/case"            # its folder and all its keys, but for those that are written here
    seconds = 90                  # a run of the node that has not ended by then never will
    compare = ["message"]         # further fields of each run: message, log, output
    identities = ["uuid"]         # fields of which only counts which runs have the same value
    gone = ["child"]              # files with ids of processes that a node must have ended; stock is not asked

    requires = ["polars"]         # packages that it needs and that this one does not bring

    [deployments.main]
    entrypoint = "flow.py:main"   # the default
    folder = "."                  # the directory of its set_working_directory step
    env = {NAME = "value"}        # values of job_variables.env; NAME.none = true removes the variable
    job_variables = {}

    [[steps]]                     # exactly one of: run, redeploy, sh, write, variable, secret, serve, cancel, end
    run = "main"                  # a deployment; with env, parameters, await, times, again
    await = "end"                 # "end" (default), "nothing", or the name of a file the run leaves
    endless = false               # whether the stock worker never ends it
    times = 1
    again = 0                     # further runs on the node only: they must go on as the stock side's runs do
    [[steps]]
    redeploy = "main"             # with env, entrypoint, folder as they are from now on
    [[steps]]
    sh = "ln -sfn release2 current"    # in the folder
    [[steps]]
    write = "helper.py"           # with text
    [[steps]]
    variable = "name_@id@"        # with value; secret likewise
    [[steps]]
    serve = "server.py"           # started beside the runs; it leaves the file `ready` when it is
    [[steps]]
    cancel = 1                    # the number of a run
    [[steps]]
    end = true                    # wait until every run has ended

    [differs]
    argv = "why no node can be like a stock worker here"; it fails once they are equal

    [unsettled]
    errors = "why this is not compared: the stock worker's own runs are not alike"

    [expected]                    # what every run on a node sees; there is no stock side where this is ours alone
    child = "gone"

In all texts ``@id@`` stands for letters and digits that only this side of this case has, ``@project@`` for the
absolute path of its folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent / "cases"
FILE = "case.toml"
KINDS_OF_STEP = {
    "run": {"env", "parameters", "await", "times", "again", "endless"},
    "redeploy": {"env", "entrypoint", "folder"},
    "sh": set(),
    "write": {"text"},
    "variable": {"value"},
    "secret": {"value"},
    "serve": set(),
    "cancel": set(),
    "end": set(),
}
EXTRA = {"message", "log", "output"}


@dataclass(frozen=True)
class Deployment:
    entrypoint: str = "flow.py:main"
    folder: str = "."
    env: dict[str, Any] = field(default_factory=dict)
    job_variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    kind: str
    what: Any
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    name: str
    folder: Path
    about: str = ""
    seconds: float = 90
    compare: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    deployments: Mapping[str, Deployment] = field(default_factory=lambda: {"main": Deployment()})
    steps: tuple[Step, ...] = (Step("run", "main", {"times": 2, "again": 1}),)
    differs: Mapping[str, str] = field(default_factory=dict)
    unsettled: Mapping[str, str] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


def read(folder: Path) -> Case:
    """Raises ``ValueError`` that names the folder for a key or a step that is none."""
    name = folder.relative_to(CASES).as_posix() if folder.is_relative_to(CASES) else folder.name
    told = _told(name, folder)
    if like := told.pop("like", None):
        folder = CASES / like
        told = _told(like, folder) | told
    known = {each.name for each in fields(Case)} - {"name", "folder"}
    if unknown := told.keys() - known:
        raise ValueError(f"{name}: no such key: {', '.join(sorted(unknown))}")
    if unknown := set(told.get("compare", ())) - EXTRA:
        raise ValueError(f"{name}: nothing to compare: {', '.join(sorted(unknown))}")
    if "deployments" in told:
        told["deployments"] = {key: Deployment(**value) for key, value in told["deployments"].items()}
    if "steps" in told:
        told["steps"] = tuple(_step(name, step) for step in told["steps"])
        if any("again" in step.more for step in told["steps"][:-1]):
            raise ValueError(f"{name}: only the last step can be done again")
    for key in ("compare", "identities", "gone", "requires"):
        if key in told:
            told[key] = frozenset(told[key])
    return Case(name, folder, **told)


def found() -> list[Case]:
    """All cases, by name; a kind is a folder of folders."""
    kinds = [kind for kind in CASES.iterdir() if kind.is_dir() and not kind.name.startswith((".", "_"))]
    folders = [
        folder for kind in kinds for folder in kind.iterdir() if not folder.name.startswith((".", "_"))
    ]
    return sorted((read(folder) for folder in folders), key=lambda case: case.name)


def filled(value: Any, texts: Mapping[str, str]) -> Any:
    """The value with each key of ``texts`` replaced wherever it stands in a text; ``{none: true}`` is ``None``."""
    if isinstance(value, str):
        for key, text in texts.items():
            value = value.replace(key, text)
        return value
    if value == {"none": True}:
        return None
    if isinstance(value, Mapping):
        return {key: filled(each, texts) for key, each in value.items()}
    if isinstance(value, Iterable):
        return [filled(each, texts) for each in value]
    return value


def _told(name: str, folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name}: {error}") from error


def _step(name: str, told: dict[str, Any]) -> Step:
    kinds = told.keys() & KINDS_OF_STEP.keys()
    if len(kinds) != 1:
        raise ValueError(f"{name}: a step has exactly one of {', '.join(KINDS_OF_STEP)}: {told}")
    kind = kinds.pop()
    more = {key: value for key, value in told.items() if key != kind}
    if unknown := more.keys() - KINDS_OF_STEP[kind]:
        raise ValueError(f"{name}: a {kind} step has no {', '.join(sorted(unknown))}")
    return Step(kind, told[kind], more)
