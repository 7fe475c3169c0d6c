from __future__ import annotations

import pytest

from skald_bridge.domain.errors import InvalidInput
from skald_bridge.wire.skalds_yaml import Entry, parse

DOCUMENTED = """
TaskWorkers:
  TaskWorker1:
    isPersistent: true
    attachments:
      fixFrame: 30
      rtspUrl: rtsp://192.168.1.1/camera1
    className: MyWorker
  TaskWorker2:
    isPersistent: false
    attachments:
      jobId: job-12345
      retries: 2
      sub_tasks:
        - name: Download Data
          duration: 1.5
          fail_chance: 0.2
        - name: Process Data
          duration: 2.0
          fail_chance: 0.1
    className: ComplexWorker
"""


def test_the_documents_example_in_its_order() -> None:
    assert parse(DOCUMENTED, "all_workers.yml") == [
        Entry("TaskWorker1", "MyWorker", {"fixFrame": 30, "rtspUrl": "rtsp://192.168.1.1/camera1"}, True),
        Entry(
            "TaskWorker2",
            "ComplexWorker",
            {
                "jobId": "job-12345",
                "retries": 2,
                "sub_tasks": [
                    {"name": "Download Data", "duration": 1.5, "fail_chance": 0.2},
                    {"name": "Process Data", "duration": 2.0, "fail_chance": 0.1},
                ],
            },
            False,
        ),
    ]


def test_what_may_be_left_out() -> None:
    assert parse("TaskWorkers: {a: {className: X}}", "f.yml") == [Entry("a", "X", {}, True)]
    assert parse("TaskWorkers: {a: {class_name: X, is_persistent: no, attachments: }}", "f.yml") == [
        Entry("a", "X", {}, False)
    ]


def test_anchors_and_merges_work() -> None:
    text = (
        "x: &base {className: X, isPersistent: false}\nTaskWorkers:\n  a: {<<: *base, attachments: {n: 1}}\n"
    )
    assert parse(text, "f.yml") == [Entry("a", "X", {"n": 1}, False)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f.yml: TaskWorkers is missing"),
        ("- a", "f.yml: TaskWorkers is missing"),
        ("TaskWorkers: {}", "TaskWorkers is missing or has no entries"),
        ("TaskWorkers: [a]", "TaskWorkers is missing or has no entries"),
        ("TaskWorkers:\n  a: 1", "f.yml: entry a is 1, not a mapping"),
        ("TaskWorkers: {a: {attachments: {}}}", "f.yml: entry a: className is missing"),
        ("TaskWorkers: {a: {className: 3}}", "f.yml: entry a: className is 3"),
        (
            "TaskWorkers: {a: {classname: X}}",
            r"entry a has an unknown field classname.*Did you mean className\?",
        ),
        ("TaskWorkers: {a: {className: X, zzz: 1}}", "An entry has className, isPersistent and attachments"),
        ("TaskWorkers: {a: {className: X, class_name: Y}}", "entry a gives class_name twice"),
        (
            "TaskWorkers: {a: {className: X, isPersistent: maybe}}",
            "isPersistent is 'maybe', not true or false",
        ),
        ("TaskWorkers: {a: {className: X, attachments: [1]}}", "attachments is .1., not a mapping"),
        ("TaskWorkers:\n  a: {className: X}\n  a: {className: Y}", r"the key a is given twice \(line 3"),
        ("TaskWorkers: {a: [", r"f.yml is not YAML: .*\(line 1"),
        ("a: !!python/object/apply:os.system [ls]", "f.yml is not YAML"),
    ],
)
def test_a_bad_file_is_named_with_entry_field_and_remedy(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"(?s){said}") as caught:
        parse(text, "f.yml")
    assert caught.value.remedy
    assert caught.value.exit_code == 2
