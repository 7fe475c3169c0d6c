"""A client of Skalds, written from its documents alone: MongoDB, Kafka and Redis, and nothing else.

It creates a task as the documents' example does (insert, then announce), watches it, changes its attachments
and cancels it; a second one it lets run to its end. Each observation is one line of JSON on stdout.

    python client.py MONGO_URI DATABASE KAFKA_BOOTSTRAP REDIS_PORT CLASS_NAME
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from typing import Any

import redis
from confluent_kafka import Producer
from pymongo import MongoClient

uri, database, bootstrap, port, class_name = sys.argv[1:]
tasks: Any = MongoClient(uri)[database]["tasks"]
producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
cache: Any = redis.Redis(port=int(port), decode_responses=True)


def milliseconds() -> int:
    return int(time.time() * 1000)


def say(what: str, **more: object) -> None:
    print(json.dumps({"what": what, **more}), flush=True)


def announce(topic: str, task: str) -> None:
    """A TaskEvent, its fields named as the documents' example leaves them: without aliases."""
    event = {
        "id": str(uuid.uuid4()),
        "title": None,
        "initiator": "client",
        "recipient": None,
        "create_date_time": milliseconds(),
        "update_date_time": milliseconds(),
        "task_ids": [task],
    }
    producer.produce(topic, json.dumps(event).encode(), key=task.encode())
    assert producer.flush(30) == 0, f"{topic} is not acknowledged"


def create(attachments: dict[str, object]) -> str:
    task = f"client-{uuid.uuid4().hex[:8]}"
    now = milliseconds()
    tasks.insert_one(
        {
            "id": task,
            "className": class_name,
            "source": "MongoDB",
            "name": "watch the gate",
            "description": "made by a client",
            "executor": None,
            "dependencies": [],
            "mode": "Passive",
            "isPersistent": False,
            "createDateTime": now,
            "updateDateTime": now,
            "deadlineDateTime": now + 7 * 24 * 3600 * 1000,
            "lifecycleStatus": "Created",
            "priority": 5,
            "attachments": attachments,
        }
    )
    announce("task.assign", task)
    say("created", task=task)
    return task


def watch(task: str, status: str, heartbeats: set[int] | None = None, seconds: float = 60) -> None:
    """Until the document has the status, and the task's heartbeat one of the values (none: two that differ)."""
    seen: set[int] = set()
    statuses: list[str] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = tasks.find_one({"id": task})
        assert found is not None
        if found["lifecycleStatus"] not in statuses[-1:]:
            statuses.append(found["lifecycleStatus"])
        if (value := cache.get(f"task:{task}:heartbeat")) is not None:
            seen.add(int(value))
        alive = len(seen & set(range(200))) > 1 if heartbeats is None else bool(seen & heartbeats)
        if statuses[-1] == status and alive:
            executor = found["executor"]
            say("watched", task=task, statuses=statuses, heartbeats=sorted(seen), executor=executor)
            return
        time.sleep(0.05)
    sys.exit(f"task {task} is not {status}: {statuses}, heartbeats {sorted(seen)}")


def online() -> dict[str, list[str]]:
    """Class names of every node that beats, by node."""
    nodes = cache.hgetall("skalds:hash")
    return {node: cache.lrange(f"skalds:{node}:allow-task-class-name", 0, -1) for node in nodes}


say("online", nodes=online())
first = create({"seconds": 300, "frameRate": 25})
watch(first, "Running")
tasks.update_one(
    {"id": first},
    {"$set": {"attachments": {"seconds": 300, "frameRate": 12}, "updateDateTime": milliseconds()}},
)
announce("task.update.attachment", first)
say("updated", task=first)
sys.stdin.readline()  # whoever started this says when the update has been seen
announce("task.cancel", first)
watch(first, "Cancelled", {-2})
second = create({"seconds": 1})
watch(second, "Finished", {200})
third = create({"seconds": 0.5, "breaks": "lens cap on"})
watch(third, "Failed", {-1})
say("exception", task=third, text=cache.get(f"task:{third}:exception"))
say("imported", modules=sorted(name for name in sys.modules if "skald" in name))
