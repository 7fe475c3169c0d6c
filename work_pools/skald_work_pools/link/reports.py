"""What changed of a node, and a report with the changes in it."""

from __future__ import annotations

from skald_work_pools.leases import Usage
from skald_work_pools.link.messages import Changes, Free, Report


def free_of(usage: Usage) -> Free:
    return Free(usage.cpus_free, usage.memory_free, usage.slots_free, usage.gpus)


def usage_of(report: Report) -> Usage:
    """The node's books, as placement reads them."""
    free = report.free
    return Usage(free.cpus, free.memory, free.slots, free.gpus, report.leases)


def difference(before: Report, after: Report) -> Changes | None:
    """What ``merged`` makes ``after`` of ``before`` by; ``None`` where nothing has changed."""
    if before == after:
        return None
    old = {lease.run_id: lease for lease in before.leases}
    new = {lease.run_id: lease for lease in after.leases}
    return Changes(
        free=after.free if after.free != before.free else None,
        leases=tuple(lease for lease in after.leases if old.get(lease.run_id) != lease),
        ended=tuple(run_id for run_id in old if run_id not in new),
        types=after.types if after.types != before.types else None,
        needs=after.needs if after.needs != before.needs else None,
        draining=after.draining if after.draining != before.draining else None,
        waiting=after.waiting if after.waiting != before.waiting else None,
    )


def merged(report: Report, changes: Changes) -> Report:
    """The report after the changes; the order of leases says nothing."""
    leases = {lease.run_id: lease for lease in report.leases}
    for run_id in changes.ended:
        leases.pop(run_id, None)
    leases.update({lease.run_id: lease for lease in changes.leases})
    return Report(
        free=report.free if changes.free is None else changes.free,
        leases=tuple(leases.values()),
        types=report.types if changes.types is None else changes.types,
        needs=report.needs if changes.needs is None else changes.needs,
        draining=report.draining if changes.draining is None else changes.draining,
        waiting=report.waiting if changes.waiting is None else changes.waiting,
    )
