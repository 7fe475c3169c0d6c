"""Every setting: its name, meaning and default. The environment is read here; files in ``file``.

Skalds' own variable names (KAFKA_HOST, LOG_LEVEL, …) are accepted as they are; every field is also
SKALD_<FIELD>. An empty variable means "not set".
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from skald_bridge.domain.commands import Controller
from skald_bridge.domain.deadlines import LatePolicy
from skald_bridge.settings.values import Days, DaysKept, Names, Paths, level_name
from skald_work_pools.gpu_shares import Overuse
from skald_work_pools.needs import Size


class Mode(StrEnum):
    """What ``skald run`` starts; the first three are Skalds' modes."""

    EDGE = "edge"
    NODE = "node"
    SINGLE_PROCESS = "single_process"
    SCHEDULER = "scheduler"


class Environment(StrEnum):
    DEV = "DEV"
    PRODUCTION = "PRODUCTION"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class ControllerMode(StrEnum):
    """What the System Controller does: API only; and monitoring; and dispatching."""

    CONTROLLER = "CONTROLLER"
    MONITOR = "MONITOR"
    DISPATCHER = "DISPATCHER"


class Strategy(StrEnum):
    """How a node is chosen among those that fit."""

    LEAST_TASKS = "LEAST_TASKS"
    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"


def _skalds(default: Any, name: str, description: str, **rules: Any) -> Any:
    """A field that Skalds' users have set under ``name``."""
    return Field(default, validation_alias=name, description=description, **rules)


_LOWER = ("skald_mode", "log_format", "controller", "late")
Seconds = Annotated[float, Field(ge=0)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """``Settings()`` is the environment over the defaults; ``file.load`` adds a file and flags."""

    model_config = SettingsConfigDict(
        env_prefix="SKALD_",
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        loc_by_alias=False,
        hide_input_in_errors=True,
    )

    home: Path = Field(
        Path("~/.skald"), description="Folder of everything kept: database, journal, logs, media."
    )
    retention_days: DaysKept = Field(
        30.0,
        description="How long journal and archive keep tasks that have ended: 30, 12 weeks; 0 keeps them for ever.",
    )
    prefect_api_url: str | None = _skalds(
        None, "PREFECT_API_URL", "Prefect's API, ending in /api; without it the embedded server is used."
    )
    server_port: Port = Field(4200, description="Port of the embedded Prefect server (skald up).")

    skald_id: str | None = _skalds(None, "SKALD_ID", "Name of this node; the host's name when not given.")
    skald_env: Environment = _skalds(Environment.DEV, "SKALD_ENV", "DEV or PRODUCTION.")
    skald_mode: Mode = _skalds(
        Mode.NODE, "SKALD_MODE", "What skald run starts: edge, node, single_process or scheduler."
    )
    yaml_file: Path | None = _skalds(None, "YAML_FILE", "The tasks of an edge or of a single process.")
    alive_file: Path | None = Field(
        None,
        description="A file that a single process touches every 5 seconds while its task runs, for probes.",
    )

    link: str | None = Field(
        None,
        description="Address of the bridge that the node keeps a link to, such as http://bridge:8000.",
    )
    pool: str = Field("cpu", min_length=1, description="Work pool of the node.")
    tags: Annotated[Names, NoDecode] = Field(
        (), description="What the node has besides devices, such as cuda-12."
    )
    queues: Annotated[Names, NoDecode] = Field((), description="Work queues the node serves; none means all.")
    limit: int | None = Field(None, ge=1, description="Most tasks at once on the node; none means what fits.")
    grace: Seconds = Field(30, description="Seconds that running tasks get when a node is stopped.")
    cancel_grace: Seconds = Field(10, description="Seconds from a task's cancellation to SIGKILL.")
    spares: int = Field(2, ge=0, description="Warm processes that wait for the next task.")
    warm_memory: Size = Field(
        0, description="Memory for loaded code: bytes, or 4GiB; 0 is a quarter of the machine's."
    )
    gpu_overuse: Overuse = Field(
        Overuse.WARN,
        description="Of tasks that use more of a GPU than their gpu_memory: warn, or kill after 10 s.",
    )
    imports: Annotated[Names, NoDecode] = _skalds(
        (), "SKALD_IMPORT", "Modules and files that task types are taken from (skald run), with commas."
    )
    task_worker_retry: int = _skalds(
        -1, "TASK_WORKER_RETRY", "Retries of a failed edge task; -1 means as its task type says.", ge=-1
    )

    log_level: Annotated[str, NoDecode] = _skalds(
        "INFO", "LOG_LEVEL", "TRACE, DEBUG, INFO, SUCCESS, WARNING, ERROR or CRITICAL."
    )
    log_path: Path | None = _skalds(
        None, "LOG_PATH", "Folder of log files; without it logs go to stderr only."
    )
    log_retention: Days = _skalds(
        3.0, "LOG_RETENTION", "How long old log files are kept: 3, 3 days, 12 hours."
    )
    log_rotation_mb: float = _skalds(
        10, "LOG_ROTATION_MB", "Size in MB at which a log file is put aside.", gt=0
    )
    log_split_with_worker_id: bool = _skalds(False, "LOG_SPLIT_WITH_WORKER_ID", "One log file per worker.")
    log_format: LogFormat = _skalds(LogFormat.TEXT, "LOG_FORMAT", "text or json (one object a line).")

    media_roots: Annotated[Paths, NoDecode] = Field(
        (), description="Folders that task inputs may lie in, besides SKALD_HOME/media; separated by colons."
    )
    media_schemes: Annotated[Names, NoDecode] = Field(
        ("file", "rtsp", "rtsps", "http", "https"), description="Kinds of URL that task inputs may have."
    )

    controller: Controller = Field(
        Controller.OURS,
        description="Who decides which documents run: ours (this bridge), or upstream (a Skalds System Controller).",
    )
    late: LatePolicy = Field(
        LatePolicy.FAIL,
        description="What becomes of tasks past their deadlineDateTime: fail, cancel or ignore.",
    )

    kubernetes_pools: Annotated[Names, NoDecode] = Field(
        (),
        description="Work pools of type kubernetes whose Jobs and pods the bridge looks after; see KUBECONFIG.",
    )
    kubernetes_namespace: str | None = Field(
        None, description="Namespace of those Jobs; the kubeconfig's, or the pod's own, when not given."
    )

    kafka_block: str | None = Field(
        None,
        description="Name of a Kafka Cluster block saved in Prefect, instead of KAFKA_HOST and the like.",
    )
    kafka_group: str = Field(
        "skald-bridge",
        min_length=1,
        description="Kafka's consumer group of this bridge; each bridge has its own.",
    )
    redis_block: str | None = Field(
        None, description="Name of a Redis Cache block saved in Prefect, instead of REDIS_HOST and the like."
    )
    mongo_block: str | None = Field(
        None, description="Name of a Mongo Archive block saved in Prefect, instead of MONGO_HOST and DB_NAME."
    )
    kafka_host: str | None = _skalds(
        None, "KAFKA_HOST", "Kafka's host; without it events stay in the journal."
    )
    kafka_port: Port = _skalds(9092, "KAFKA_PORT", "Kafka's port.")
    kafka_username: str | None = _skalds(None, "KAFKA_USERNAME", "User for SASL/PLAIN.")
    kafka_password: SecretStr | None = _skalds(None, "KAFKA_PASSWORD", "Password for SASL/PLAIN.")
    kafka_tls: bool = _skalds(False, "KAFKA_TLS", "Encrypt the connection to Kafka.")
    kafka_ca_file: Path | None = _skalds(
        None, "KAFKA_CA_FILE", "PEM file of the authority that signed Kafka's certificate."
    )
    kafka_topic_partitions: int = _skalds(
        6, "KAFKA_TOPIC_PARTITIONS", "Partitions of topics made here.", ge=1
    )
    kafka_replication_factor: int = _skalds(
        3,
        "KAFKA_REPLICATION_FACTOR",
        "Replicas of topics made here; never more than there are brokers.",
        ge=1,
    )

    redis_host: str | None = _skalds(None, "REDIS_HOST", "Redis' host; without it heartbeats stay in memory.")
    redis_port: Port = _skalds(6379, "REDIS_PORT", "Redis' port.")
    redis_password: SecretStr | None = _skalds(None, "REDIS_PASSWORD", "Redis' password.")
    redis_username: str | None = _skalds(
        None, "REDIS_USERNAME", "Redis' ACL user; without it the default one."
    )
    redis_tls: bool = _skalds(False, "REDIS_TLS", "Encrypt the connection to Redis.")
    redis_ca_file: Path | None = _skalds(
        None, "REDIS_CA_FILE", "PEM file of the authority that signed Redis' certificate."
    )
    redis_sync_period: float = _skalds(3, "REDIS_SYNC_PERIOD", "Seconds between heartbeats.", gt=0)
    redis_key_ttl: int = _skalds(3600, "REDIS_KEY_TTL", "Seconds that keys outlive their writer.", ge=1)

    mongo_host: SecretStr | None = _skalds(
        None, "MONGO_HOST", "MongoDB as a mongodb:// URI; without it documents stay in the embedded archive."
    )
    db_name: str = _skalds("skalds", "DB_NAME", "Database in MongoDB.", min_length=1)

    system_controller_mode: ControllerMode = _skalds(
        ControllerMode.DISPATCHER, "SYSTEM_CONTROLLER_MODE", "CONTROLLER, MONITOR or DISPATCHER."
    )
    system_controller_host: str = _skalds(
        "127.0.0.1", "SYSTEM_CONTROLLER_HOST", "Address the REST API listens on."
    )
    system_controller_port: Port = _skalds(8000, "SYSTEM_CONTROLLER_PORT", "Port of the REST API.")
    api_key: SecretStr | None = Field(
        None, description="Key of the REST API; needed where others than this machine can reach it."
    )
    cors_origins: Annotated[Names, NoDecode] = Field(
        (), description="Origins of other pages that may call the REST API, such as https://desk.example."
    )
    dtask: bool = Field(True, description="Whether the REST API also answers dtask-scheduler's routes.")
    link_suspicious: float = Field(
        10, description="Seconds of a linked node's silence after which it is offered nothing.", gt=0
    )
    link_offline: float = Field(
        20, description="Seconds of its silence after which its link is closed.", gt=0
    )
    dashboard: Path | None = Field(
        None, description="Folder of a built dashboard page, which is served under /dashboard."
    )
    monitor_skald_interval: float = _skalds(
        5, "MONITOR_SKALD_INTERVAL", "Seconds between looks at the nodes.", gt=0
    )
    monitor_task_interval: float = _skalds(
        3, "MONITOR_TASK_INTERVAL", "Seconds between looks at tasks.", gt=0
    )
    monitor_heartbeat_timeout: float = _skalds(
        5, "MONITOR_HEARTBEAT_TIMEOUT", "Seconds after which a missing heartbeat is suspicious.", gt=0
    )
    dispatcher_interval: float = _skalds(5, "DISPATCHER_INTERVAL", "Seconds between dispatcher rounds.", gt=0)
    dispatcher_strategy: Strategy = _skalds(
        Strategy.LEAST_TASKS, "DISPATCHER_STRATEGY", "LEAST_TASKS, ROUND_ROBIN or RANDOM."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and not value.strip() and info.field_name is not None:
            return cls.model_fields[info.field_name].get_default()
        return value

    @field_validator("home", "yaml_file", "log_path", "dashboard", mode="after")
    @classmethod
    def _at_home(cls, value: Path | None) -> Path | None:
        return value.expanduser() if value is not None else None

    @field_validator("log_level", mode="before")
    @classmethod
    def _level(cls, value: Any) -> Any:
        return level_name(value)

    @field_validator(
        "skald_env",
        "system_controller_mode",
        "dispatcher_strategy",
        "skald_mode",
        "log_format",
        "controller",
        "late",
        mode="before",
    )
    @classmethod
    def _any_case(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        return value.lower() if info.field_name in _LOWER else value.upper()
