"""The task types that are there by name: registered ones, imported ones, and those of this product."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from prefect import Flow

from skald_bridge.authoring.declaration import attachments_parameter
from skald_bridge.authoring.workers import flow_from_worker, is_worker
from skald_bridge.domain.errors import InvalidInput
from skald_bridge.installation.bundled import flows_directory
from skald_bridge.modes import loading
from skald_work_pools.task_type import declared


@dataclass(frozen=True)
class Type:
    """A task type. ``source`` is the module or file that another process finds it in."""

    flow: Flow[..., Any]
    source: str

    @property
    def name(self) -> str:
        return self.flow.name

    @property
    def parameter(self) -> str:
        return attachments_parameter(self.flow.fn)[0]

    @property
    def model(self) -> Any:
        return attachments_parameter(self.flow.fn)[1]


class TypeCatalog:
    """Types by name. This product's own are read only when a name is not found among the others."""

    def __init__(self) -> None:
        self._types: dict[str, Type] = {}
        self._bundled: dict[str, Type] | None = None

    def register(self, offered: Any) -> None:
        """Add a worker class or a task type.

        Raises:
            InvalidInput: it is neither; or another process could not find it again.
        """
        flow = as_flow(offered)
        self._types[flow.name] = Type(flow, _source_of(offered))

    def read(self, source: str) -> None:
        """Add every task type of a module or file.

        Raises:
            InvalidInput: it cannot be read, or offers none.
        """
        found = read_types(source)
        if not found:
            raise InvalidInput(
                f"{source} offers no task type.",
                remedy="It needs a function with @task_type, or a class on BaseTaskWorker[MyModel].",
            )
        self._types |= found

    def find(self, name: str) -> Type | None:
        return self._types.get(name) or self._own().get(name)

    def own_names(self) -> list[str]:
        return sorted(self._types)

    def names(self) -> list[str]:
        """Every name that ``find`` knows."""
        return sorted({*self._types, *self._own()})

    def _own(self) -> dict[str, Type]:
        if self._bundled is None:
            files = sorted(flows_directory().glob("*.py"))
            self._bundled = {
                name: found
                for file in files
                if not file.name.startswith("_")
                for name, found in read_types(str(file)).items()
            }
        return self._bundled


def read_types(source: str) -> dict[str, Type]:
    """The task types that a module or file registers or holds, by name."""
    module, registered = loading.load(source)
    kept = str(Path(source).absolute()) if loading.is_file(source) else source
    flows = (as_flow(offered) for offered in (*_offers(module), *registered))
    return {flow.name: Type(flow, kept) for flow in flows}


def as_flow(offered: Any) -> Flow[..., Any]:
    """The flow of a worker class or of a task type.

    Raises:
        InvalidInput: it is neither.
    """
    if isinstance(offered, Flow) and declared(offered) is not None:
        return offered
    if inspect.isclass(offered) and is_worker(offered):
        try:
            return flow_from_worker(offered)
        except TypeError as error:
            raise InvalidInput(f"{error}.", remedy="Complete the class, then register it.") from error
    label = getattr(offered, "__name__", repr(offered))
    raise InvalidInput(
        f"{label} is no task type.",
        remedy="Register a class on BaseTaskWorker[MyModel], or a function with @task_type.",
    )


def _offers(module: ModuleType) -> Iterator[Any]:
    for offered in list(vars(module).values()):
        is_type = isinstance(offered, Flow) and declared(offered) is not None
        if is_type or (inspect.isclass(offered) and is_worker(offered) and not inspect.isabstract(offered)):
            yield offered


def _source_of(offered: Any) -> str:
    """Where another process finds what was registered: its module, or the script that is running."""
    function = offered.fn if isinstance(offered, Flow) else offered
    module = sys.modules.get(function.__module__)
    if module is None or function.__module__ == "__main__" or "<locals>" in function.__qualname__:
        return main_source(function.__qualname__)
    return function.__module__


def main_source(what: str) -> str:
    """The running script as a file or, after ``python -m``, as a module.

    Raises:
        InvalidInput: there is none, as in an interactive session.
    """
    main = sys.modules["__main__"]
    if spec := getattr(main, "__spec__", None):
        return str(spec.name)
    file = getattr(main, "__file__", None)
    if file is None or not Path(file).is_file():
        raise InvalidInput(
            f"{what} is defined where no other process can find it.",
            remedy="Put it into a file and run that file.",
        )
    return str(Path(file).absolute())


def catalog(imports: Sequence[str]) -> TypeCatalog:
    """A catalog of what ``imports`` name: modules and files."""
    made = TypeCatalog()
    for source in imports:
        made.read(source)
    return made
