from __future__ import annotations

import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from skald_bridge.domain.errors import InvalidInput, NotFound
from skald_bridge.modes.catalog import TypeCatalog, catalog, main_source, read_types
from skald_bridge.modes.jobs import checked, read_entries
from skald_bridge.modes.typefile import task_type_of, write
from skald_bridge.wire.skalds_yaml import Entry
from skald_work_pools.task_type import declared
from tests.unit.modes import workers_of_a_user

FILE = Path(workers_of_a_user.__file__)
SCRIPT = """
from tests.unit.modes.workers_of_a_user import MyWorker
from skald_bridge.skalds import Skalds, SkaldConfig
def made():
    class Hidden(MyWorker):
        pass
    return Hidden
app = Skalds(SkaldConfig(skald_mode="node"))
app.register_task_worker(made()).run()
raise SystemExit("must not be reached")
"""


@pytest.mark.parametrize("source", [str(FILE), workers_of_a_user.__name__])
def test_a_file_and_a_module_offer_their_classes_and_task_types(source: str) -> None:
    types = read_types(source)
    assert sorted(types) == ["MyWorker", "sleep-a-while"]
    assert types["MyWorker"].parameter == "attachments"
    assert types["MyWorker"].model.__name__ == "Camera"


def test_a_script_is_read_up_to_its_run(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(SCRIPT)
    for _ in range(2):
        assert sorted(read_types(str(script))) == ["Hidden", "MyWorker"]


def test_registered_types_go_before_imported_ones_and_bundled_ones_come_last() -> None:
    made = catalog([str(FILE)])
    made.register(workers_of_a_user.MyWorker)
    found = made.find("MyWorker")
    assert found is not None and found.source == workers_of_a_user.__name__
    assert made.own_names() == ["MyWorker", "sleep-a-while"]
    assert made.find("NoSuchWorker") is None


def test_the_flows_of_this_product_are_known_by_name() -> None:
    made = TypeCatalog()
    assert made.find("record") is not None
    assert made.own_names() == []


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (workers_of_a_user.helper, "helper is no task type"),
        (int, "int is no task type"),
        (3, "3 is no task type"),
    ],
)
def test_what_is_no_task_type_is_refused(offered: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        TypeCatalog().register(offered)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("no.such.module", "There is no module no.such.module"),
        ("nowhere/there.py", "There is no file .*nowhere/there.py"),
        ("json", "json offers no task type"),
    ],
)
def test_a_wrong_import_is_named(source: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        catalog([source])


def test_a_file_that_breaks_is_named_with_its_error(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("import no_such_package_at_all\n")
    with pytest.raises(InvalidInput, match=r"broken.py cannot be read .*no_such_package_at_all"):
        catalog([str(file)])


def test_a_type_file_finds_the_type_in_another_process(tmp_path: Path) -> None:
    found = read_types(str(FILE))["MyWorker"]
    entrypoint = write(found, tmp_path)
    assert write(found, tmp_path) == entrypoint
    file, name = entrypoint.rsplit(":", 1)
    code = (
        "import sys; from prefect.flows import load_flow_from_entrypoint as load\n"
        f"flow = load({entrypoint!r}, use_placeholder_flow=False)\n"
        "assert flow.name == 'MyWorker' and flow.retries == 0, flow\n"
        f"assert load({write(found, tmp_path, 4)!r}, use_placeholder_flow=False).retries == 4\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=tmp_path)
    assert name == "task_type" and Path(file).is_file()


def test_a_type_that_is_gone_is_said_to_be_gone() -> None:
    with pytest.raises(InvalidInput, match="offers no task type Gone any more"):
        task_type_of("Gone", str(FILE), [], None)


def running(monkeypatch: pytest.MonkeyPatch, **marks: object) -> None:
    script = ModuleType("__main__")
    vars(script).update(marks)
    monkeypatch.setitem(sys.modules, "__main__", script)


def test_registered_classes_are_found_in_the_running_script(monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, __file__=str(FILE), __spec__=None)
    assert main_source("X") == str(FILE)


def test_registered_classes_are_found_in_the_module_run_with_m(monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, __spec__=ModuleSpec("cameras.main", None))
    assert main_source("X") == "cameras.main"


def test_what_an_interactive_session_registers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    running(monkeypatch, __spec__=None)
    with pytest.raises(InvalidInput, match="X is defined where no other process can find it"):
        main_source("X")


ENTRIES = [
    (
        Entry("a", "MyWorkr", {}),
        r"entry a, className: there is no task type MyWorkr.*Did you mean MyWorker\?",
    ),
    (Entry("a", "MyWorker", {}), "entry a, attachments of MyWorker: rtspUrl: required, but not given"),
    (
        Entry("a", "MyWorker", {"rtspUrl": "x", "fixFrame": "many"}),
        r"fixFrame: Input should be a valid integer.*got 'many'.*Correct it in f.yml",
    ),
    (Entry("a", "sleep-a-while", {"howLang": 1}), "unknown field 'howLang', did you mean 'howLong'?"),
]


@pytest.mark.parametrize(("entry", "said"), ENTRIES)
def test_an_entry_that_cannot_run_is_named_before_anything_starts(entry: Entry, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"(?s){said}"):
        checked([entry], catalog([str(FILE)]), Path("f.yml"))


def test_a_good_entry_becomes_parameters_by_alias() -> None:
    (job,) = checked([Entry("a", "MyWorker", {"rtsp_url": "x"})], catalog([str(FILE)]), Path("f.yml"))
    assert job.parameters() == {"attachments": {"rtspUrl": "x", "fixFrame": 30}}
    assert declared(job.type.flow) is not None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="needs a YAML file"):
        read_entries(None)
    with pytest.raises(NotFound, match=r"There is no file .*gone\.yml"):
        read_entries(tmp_path / "gone.yml")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match=r"binary\.yml cannot be read"):
        read_entries(tmp_path / "binary.yml")
