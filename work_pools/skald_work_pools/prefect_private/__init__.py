"""Every private part of Prefect that this package leans on; nothing outside this folder imports one.

``PRIVATE`` names them, and a test fails loudly when an upgrade moves one. What is gained: a child process is
in user code one request after it was handed a run, and its node can cancel, suspend and reschedule it without
Prefect's control socket and observer websocket.

Of a child process: ``engines`` run flows with fewer requests, ``execution`` fetches code and runs a flow or its
hooks, ``proposals`` insist on states, ``clients`` are warm before a run is known, ``logs`` and ``events`` hand on what
the process tells; ``host`` is what the node offers to all of them. Of the node itself: ``worker``, and ``events``
again. ``hooks`` are asked by both.
"""

from __future__ import annotations

PRIVATE: dict[str, tuple[str, ...]] = {
    "prefect._flow_run_suspension": (
        "FlowRunSuspensionRequest.get_state",
        "FlowRunSuspensionRequest.mark_requested",
        "is_suspended_flow_run_state",
        "register_flow_run_suspension_request",
    ),
    "prefect._internal.control_listener": ("get_intent",),
    "prefect._internal.engine": ("get_hook_name",),
    "prefect._internal.metrics": ("RunMetrics",),
    "prefect.client.orchestration": ("ssl",),
    "prefect.context": ("AsyncClientContext.get_or_create", "SyncClientContext.get_or_create"),
    "prefect.engine": ("get_intent", "handle_engine_signals"),
    "prefect.events.worker": (
        "EventsWorker.set_client_override",
        "ProcessPoolForwardingEventsClient",
        "related_resources_from_run_context",
    ),
    "prefect.flow_engine": (
        "AsyncFlowRunEngine.initialize_run",
        "AsyncFlowRunEngine.set_state",
        "AsyncFlowRunEngine.setup_run_context",
        "BaseFlowRunEngine._get_flow_run_suspension_request",
        "BaseFlowRunEngine.heartbeat_seconds",
        "BaseFlowRunEngine.setup_flow_run_suspension_request",
        "FlowRunEngine.call_hooks",
        "FlowRunEngine.initialize_run",
        "FlowRunEngine.set_state",
        "FlowRunEngine.setup_run_context",
        "_termination_intent",
        "get_intent",
        "propose_state",
        "propose_state_sync",
        "run_flow",
    ),
    "prefect.logging.handlers": ("APILogHandler", "PrefectConsoleHandler", "set_api_log_sink"),
    "prefect.results": (
        "_aread_server_default_result_storage_block_id",
        "_read_server_default_result_storage_block_id",
    ),
    "prefect.workers.base": (
        "BaseWorker._emit_worker_started_event",
        "BaseWorker._setup_cancellation_observer",
        "BaseWorker.sync_with_backend",
    ),
    "prefect.runner._workspace_resolver": ("PreparedWorkspace", "prepare_workspace"),
    "prefect.types._datetime": ("now",),
    "prefect.workers.server": ("_run_healthcheck_server",),
}
"""Module to names, methods with their class."""

WORKER_ATTRIBUTES = (
    "_last_polled_time",
    "_limit",
    "_started_event",
    "_work_pool",
    "_work_pool_name",
    "_work_queues",
)
"""Attributes of a ``BaseWorker`` that its ``__init__`` sets and ``NodeWorker`` uses."""

EVENTS_CLIENT_ATTRIBUTES = ("_websocket",)
"""Attributes that the ``__init__`` of ``PrefectEventsClient`` sets and ``EventStream`` uses."""
