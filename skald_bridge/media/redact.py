"""Text without the credentials that URLs carry: in front of the host, in the query, or in the path."""

from __future__ import annotations

import re

HIDDEN = "***"
_CAMERA = re.compile(r"(?i)\b(rtsps?://)[^\s<>]*@")
# a password with a slash in it: what follows the colon is no port
_USERINFO = re.compile(r"(?<=://)(?:[^/\s?#]*@|[^/\s?#@:]*:(?!\d{0,5}(?:[/?#\s'\"]|$))[^\s]*@)")
_ENCODED = re.compile(r"(?i)(%3a%2f%2f)(?:(?!%2f)[^\s&])*?%40")
_NAMES = "pass|pas|pwd|psw|token|secret|key|sig|auth|cred|user|usr|login|account|session"
# Cameras join their parameters with & or _, in the path too: /user=admin_password=x_channel=1.sdp
_PARAMETER = re.compile(
    rf"(?i)((?:[?&;/_,]|%3f|%26)[a-z0-9.\[\]-]*(?:{_NAMES})[a-z0-9._\[\]-]*?(?:=|%3d))"
    r"[^&\s]*?(?=&|\s|%26|['\"](?:[\s),.:;\]]|$)|_[a-z]\w*=|$)"
)
_PATH = re.compile(r"(?i)\b(rtsps?://[^/\s]*)(/[^\s'\"?]*)")
_SEGMENT = re.compile(r"(?<=/)[^/]+")
_PAIR = re.compile(r"[^/:=&]+:[^/]+")
_TOKEN = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)[A-Za-z0-9]{12,}")
_BARE = re.compile(r"^[^/\s]*:\S*@")


def redact(text: str) -> str:
    """``text`` with user, password and secret-looking values of every URL in it replaced by ``***``."""
    text = _USERINFO.sub(f"{HIDDEN}@", _CAMERA.sub(rf"\1{HIDDEN}@", text))
    text = _PARAMETER.sub(rf"\1{HIDDEN}", _ENCODED.sub(rf"\1{HIDDEN}%40", text))
    return _PATH.sub(lambda match: match[1] + _SEGMENT.sub(_segment, match[2]), text)


def redact_input(text: str) -> str:
    """``redact`` for a text that is one input as a whole, whatever characters its password has."""
    if "://" not in text:
        return _BARE.sub(f"{HIDDEN}@", text)
    return redact(re.sub(r"\s", "+", text))


def _segment(match: re.Match[str]) -> str:
    """A camera's path may hold ``user:password``, or be the secret itself."""
    text = match[0]
    return HIDDEN if _PAIR.fullmatch(text) or _TOKEN.fullmatch(text) else text
