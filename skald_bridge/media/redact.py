"""Text without the credentials that URLs carry."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?<=://)[^/\s?#]*@")
_QUERY = re.compile(
    r"(?i)([?&;][^=&\s]*(?:pass|pwd|token|secret|key|sig|auth|credential)[^=&\s]*=)[^&\s'\"]*",
)


def redact(text: str) -> str:
    """``text`` with user, password and secret-looking query values of every URL in it replaced by ``***``."""
    return _QUERY.sub(r"\1***", _USERINFO.sub("***@", text))
