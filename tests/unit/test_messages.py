import pytest
from hypothesis import given
from hypothesis import strategies as st

from skald_work_pools.messages import Run, Update, UpdateApplied, UpdateRejected, Warm, decode, encode

json_objects = st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.lists(st.integers()))
messages = st.one_of(
    st.builds(Run, flow_run=json_objects, entrypoint=st.text(), path=st.text(), env=st.just({})),
    st.builds(Update, update_id=st.text(), revision=st.integers(1), attachments=json_objects),
    st.builds(Warm, pid=st.integers(1)),
    st.builds(UpdateApplied, update_id=st.text(), revision=st.integers(1), attachments=json_objects),
    st.builds(UpdateRejected, update_id=st.text(), revision=st.integers(1), reason=st.text()),
)


@given(messages)
def test_a_message_survives_the_wire_on_one_line(message):
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "line",
    [b"", b"nonsense", b"[]", b'{"kind":"fire"}', b'{"kind":"warm"}', b'{"kind":"warm","pid":1,"x":2}'],
)
def test_a_line_that_is_no_message_is_named(line):
    with pytest.raises(ValueError, match="not a node message"):
        decode(line)
