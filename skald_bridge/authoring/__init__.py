"""What flow authors import: task types, live attachments, progress, recordings, Skalds workers.

All of it works in a run of any Prefect worker, and in a plain call in a test; on a node, updates and pauses reach the
task, too. Nothing here asks a service before user code runs.
"""

from skald_bridge.authoring.attachments import CAN_CHANGE, Attachments
from skald_bridge.authoring.changing import newest_of, only_changing
from skald_bridge.authoring.declaration import task_type
from skald_bridge.authoring.live import Live, Reject
from skald_bridge.authoring.progress import progress
from skald_bridge.authoring.recordings import all_recorded, recorded
from skald_bridge.authoring.runs import live
from skald_bridge.authoring.workers import flow_from_worker
from skald_work_pools.needs import Needs

__all__ = [
    "CAN_CHANGE",
    "Attachments",
    "Live",
    "Needs",
    "Reject",
    "all_recorded",
    "flow_from_worker",
    "live",
    "newest_of",
    "only_changing",
    "progress",
    "recorded",
    "task_type",
]
