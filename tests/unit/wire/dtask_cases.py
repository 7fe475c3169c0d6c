"""What dtask's server answers to odd bodies, recorded from it (Go 1.26)."""

from __future__ import annotations

REFUSED: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n ",
    "array": b"[]",
    "array of one": b'[{"task_id":"t","worker_id":"w"}]',
    "string": b'"t"',
    "number": b"5",
    "true": b"true",
    "half": b'{"task_id":"t"',
    "no quotes": b"{task_id:1}",
    "single quotes": b"{'task_id':'t'}",
    "trailing comma": b'{"task_id":"t",}',
    "comment": b'{"task_id":"t"/**/}',
    "NaN elsewhere": b'{"x":NaN}',
    "Infinity elsewhere": b'{"x":-Infinity}',
    "leading zero": b'{"x":01}',
    "plus": b'{"x":+1}',
    "bare point": b'{"x":1.}',
    "control character": b'{"x":"a\nb"}',
    "bad escape": b'{"x":"\\a"}',
    "short escape": b'{"x":"\\u12"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"task_id":"t"}'.encode("utf-16"),
    "bytes outside of strings": b"\xff{}",
    "no colon": b'{"x" 1}',
    "number as a key": b"{1:2}",
    "half of null": b"nul",
}
"""By both POST routes."""

BAD_HEARTBEATS: dict[str, bytes] = {
    "worker_id number": b'{"worker_id":5}',
    "worker_id bool": b'{"worker_id":true}',
    "worker_id array": b'{"worker_id":["w"]}',
    "worker_id object": b'{"worker_id":{}}',
    "max_tasks text": b'{"worker_id":"w","max_tasks":"4"}',
    "max_tasks fraction": b'{"worker_id":"w","max_tasks":4.0}',
    "max_tasks exponent": b'{"worker_id":"w","max_tasks":4e0}',
    "max_tasks bool": b'{"worker_id":"w","max_tasks":true}',
    "max_tasks 2^63": b'{"worker_id":"w","max_tasks":9223372036854775808}',
    "max_tasks long": b'{"worker_id":"w","max_tasks":%s}' % (b"9" * 5000),
    "current_tasks below": b'{"worker_id":"w","current_tasks":-9223372036854775809}',
    "timestamp fraction": b'{"worker_id":"w","timestamp":1.5}',
    "timestamp text": b'{"worker_id":"w","timestamp":"now"}',
    "tags text": b'{"worker_id":"w","resource_tags":"gpu"}',
    "tags object": b'{"worker_id":"w","resource_tags":{}}',
    "tags of numbers": b'{"worker_id":"w","resource_tags":[1]}',
    "tags nested": b'{"worker_id":"w","resource_tags":[["gpu"]]}',
    "an earlier duplicate is wrong": b'{"worker_id":5,"worker_id":"w"}',
    "address null in capitals, then a number": b'{"ADDRESS":null,"Address":1}',
}

BAD_SCHEDULES: dict[str, bytes] = {
    "task_id number": b'{"task_id":5}',
    "task_id object": b'{"task_id":{}}',
    "tags text": b'{"task_id":"t","required_tags":"gpu"}',
    "tags of numbers": b'{"task_id":"t","required_tags":[1]}',
    "tags bool": b'{"task_id":"t","required_tags":true}',
}

GOOD_HEARTBEATS: dict[str, tuple[bytes, bytes]] = {
    "nothing": (
        b"{}",
        b'{"WorkerID":"","Address":"","ResourceTags":null,"MaxTasks":0,"CurrentTasks":0,"Available":0',
    ),
    "null": (
        b"null",
        b'{"WorkerID":"","Address":"","ResourceTags":null,"MaxTasks":0,"CurrentTasks":0,"Available":0',
    ),
    "all": (
        b'{"worker_id":"w","timestamp":1702540800,"resource_tags":["gpu","cuda-12.0"],"max_tasks":30,'
        b'"current_tasks":5,"address":"10.0.0.1:9000"}',
        b'{"WorkerID":"w","Address":"10.0.0.1:9000","ResourceTags":["gpu","cuda-12.0"],"MaxTasks":30,'
        b'"CurrentTasks":5,"Available":25',
    ),
    "nulls": (
        b'{"worker_id":"w","timestamp":null,"resource_tags":null,"max_tasks":null,"address":null}',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":0,"CurrentTasks":0,"Available":0',
    ),
    "no tags": (
        b'{"worker_id":"w","resource_tags":[]}',
        b'{"WorkerID":"w","Address":"","ResourceTags":[],"MaxTasks":0,"CurrentTasks":0,"Available":0',
    ),
    "a tag that is null": (
        b'{"worker_id":"w","resource_tags":[null,"a"]}',
        b'{"WorkerID":"w","Address":"","ResourceTags":["","a"],"MaxTasks":0',
    ),
    "any case": (
        b'{"Worker_ID":"w","MAX_TASKS":3,"cuRRent_tasks":1,"Resource_Tags":["a"]}',
        b'{"WorkerID":"w","Address":"","ResourceTags":["a"],"MaxTasks":3,"CurrentTasks":1,"Available":2',
    ),
    "letters that fold": (
        '{"wor\u212aer_id":"w","max_ta\u017f\u212as":3}'.encode(),
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":3,"CurrentTasks":0,"Available":3',
    ),
    "last duplicate": (
        b'{"worker_id":"v","worker_id":"w","max_tasks":1,"Max_Tasks":2}',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":2,"CurrentTasks":0,"Available":2',
    ),
    "null after a value": (
        b'{"worker_id":"w","worker_id":null,"max_tasks":4,"max_tasks":null,"resource_tags":["a"],'
        b'"resource_tags":null}',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":4,"CurrentTasks":0,"Available":4',
    ),
    "an array over another": (
        b'{"worker_id":"w","resource_tags":["a","b","c"],"resource_tags":["d",null]}',
        b'{"WorkerID":"w","Address":"","ResourceTags":["d","b"],"MaxTasks":0',
    ),
    "an array over a shorter one over a longer one": (
        b'{"worker_id":"w","resource_tags":["a","b","c"],"resource_tags":["d"],"resource_tags":[null,null,null]}',
        b'{"WorkerID":"w","Address":"","ResourceTags":["d","b","c"],"MaxTasks":0',
    ),
    "an array over an empty one": (
        b'{"worker_id":"w","resource_tags":["a","b"],"resource_tags":[],"resource_tags":[null]}',
        b'{"WorkerID":"w","Address":"","ResourceTags":[""],"MaxTasks":0',
    ),
    "unknown fields": (
        b'{"worker_id":"w","metrics":{"cpu":0.5,"worker_id":"v"},"x":[1e999,{"y":null}],"max_tasks":1}',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":1',
    ),
    "what follows": (
        b'{"worker_id":"w"} and so on',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":0',
    ),
    "what comes before": (
        b' \r\n\t{"worker_id":"w"}',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":0',
    ),
    "largest": (
        b'{"worker_id":"w","max_tasks":9223372036854775807,"current_tasks":-9223372036854775808}',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":9223372036854775807,'
        b'"CurrentTasks":-9223372036854775808,"Available":-1',
    ),
    "minus zero": (
        b'{"worker_id":"w","max_tasks":-0,"current_tasks":-3}',
        b'{"WorkerID":"w","Address":"","ResourceTags":null,"MaxTasks":0,"CurrentTasks":-3,"Available":3',
    ),
    "escapes": (
        b'{"worker_id":"w","address":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f<>&\\u2028\\u2029\\u00e9"}',
        b'{"WorkerID":"w","Address":"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f\x7f\\u003c\\u003e\\u0026'
        b'\\u2028\\u2029\xc3\xa9","ResourceTags":null',
    ),
    "surrogates": (
        b'{"worker_id":"w","address":"\\ud83d\\ude00 \\ud83d \\ude00 \\ud83d\\ud83d\\ude00 \\ud83dx"}',
        '{"WorkerID":"w","Address":"\U0001f600 \ufffd \ufffd \ufffd\U0001f600 \ufffdx","ResourceTags":null'.encode(),
    ),
    "bytes that are no UTF-8": (
        b'{"worker_id":"w","address":"a\xffb\xe2\x82c\xed\xa0\x80d\xf0\x9f\x98e\xc0\xaf"}',
        '{"WorkerID":"w","Address":"a\ufffdb\ufffd\ufffdc\ufffd\ufffd\ufffdd\ufffd\ufffd\ufffde\ufffd\ufffd",'
        '"ResourceTags":null'.encode(),
    ),
}
"""Body, and how the list of workers begins afterwards."""

GOOD_SCHEDULES: dict[str, tuple[bytes, int, bytes]] = {
    "any worker": (b'{"task_id":"t"}', 200, b'{"worker_id":"w","address":"10.0.0.1:9000"}\n'),
    "its tag": (
        b'{"task_id":"t","required_tags":["gpu"]}', 200, b'{"worker_id":"w","address":"10.0.0.1:9000"}\n'
    ),
    "its tags twice": (
        b'{"task_id":"t","required_tags":["gpu","gpu"]}', 200, b'{"worker_id":"w","address":"10.0.0.1:9000"}\n'
    ),
    "no tags": (
        b'{"task_id":"t","required_tags":null}', 200, b'{"worker_id":"w","address":"10.0.0.1:9000"}\n'
    ),
    "keys in capitals": (
        b'{"TASK_ID":"t","REQUIRED_TAGS":["gpu"]}', 200, b'{"worker_id":"w","address":"10.0.0.1:9000"}\n'
    ),
    "unknown fields": (
        b'{"task_id":"t","payload":{"a":[1]},"when":1e400}', 200,
        b'{"worker_id":"w","address":"10.0.0.1:9000"}\n',
    ),
    "what follows": (
        b'{"task_id":"t"}{"task_id":"", }', 200, b'{"worker_id":"w","address":"10.0.0.1:9000"}\n'
    ),
    "a tag in another case": (
        b'{"task_id":"t","required_tags":["GPU"]}', 503,
        b'{"error":"no available worker matching requirements"}\n',
    ),
    "a tag too many": (
        b'{"task_id":"t","required_tags":["gpu","tpu"]}', 503,
        b'{"error":"no available worker matching requirements"}\n',
    ),
    "an empty tag": (
        b'{"task_id":"t","required_tags":[""]}', 503,
        b'{"error":"no available worker matching requirements"}\n',
    ),
    "no task_id": (b'{"required_tags":["gpu"]}', 503, b'{"error":"task_id is required"}\n'),
    "empty task_id": (b'{"task_id":""}', 503, b'{"error":"task_id is required"}\n'),
    "null": (b"null", 503, b'{"error":"task_id is required"}\n'),
    "task_id null": (b'{"task_id":null}', 503, b'{"error":"task_id is required"}\n'),
}  # fmt: skip
"""With one worker, whose tags are gpu and cuda-12.0 and whose slots are many: body, status, answer."""

WORKER = (
    b'{"worker_id":"w","address":"10.0.0.1:9000","resource_tags":["gpu","cuda-12.0"],"max_tasks":1000,'
    b'"current_tasks":0}'
)
METHODS = ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS")
"""That POST's routes refuse."""
NO_SUCH_METHOD = b"Method not allowed\n"
MALFORMED = b"Invalid request body\n"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
