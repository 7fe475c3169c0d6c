"""Ours; Prefect's e-mail imports look for the other one."""

OURS = True


def body_check(*_: object) -> bool:
    return True
