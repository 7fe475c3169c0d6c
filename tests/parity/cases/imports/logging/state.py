import logging


def state() -> dict:
    return {
        "root": [type(each).__name__ for each in logging.getLogger().handlers],
        "root_level": logging.getLogger().level,
        "prefect": logging.getLogger("prefect").level,
        "runs": [type(each).__name__ for each in logging.getLogger("prefect.flow_runs").handlers],
        "httpx": logging.getLogger("httpx").level,
        "disabled": logging.root.manager.disable,
        "record": logging.getLogRecordFactory() is logging.LogRecord,
        "name_of_25": logging.getLevelName(25),
    }
