"""What a task takes from a node."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

_UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?\s*", re.IGNORECASE)


def parse_size(value: object) -> object:
    """Bytes from an int or from text such as ``512MB``, ``2Gi`` or ``1.5 GiB``; anything else is passed on.

    Raises:
        ValueError: the text is no size; the message names the accepted forms.
    """
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(
            f"{value!r} is not a size; write bytes or a number with a unit, such as 512MB or 2GiB"
        )
    return int(float(match[1]) * _UNITS[(match[2] or "").lower()])


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]


class Needs(BaseModel):
    """Needs of one task; zero means "not reserved".

    ``gpus`` alone takes whole GPUs; with ``gpu_memory`` a share of that many bytes on each of them, with
    ``nvenc`` or ``nvdec`` that many sessions. Any of these three implies one GPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float = Field(0, ge=0, title="CPUs", description="CPU cores reserved; 0.5 is half a core.")
    memory: Size = Field(0, title="Memory", description="Main memory reserved: bytes, or 512MB, 2GiB.")
    gpus: int = Field(
        0,
        ge=0,
        title="GPUs",
        description="Number of GPUs; whole ones unless memory or sessions on them are given.",
    )
    gpu_memory: Size = Field(
        0, title="GPU memory", description="Memory on each GPU; the rest of the GPU stays free for others."
    )
    nvenc: int = Field(0, ge=0, title="Encoder sessions", description="NVENC sessions on each GPU.")
    nvdec: int = Field(0, ge=0, title="Decoder sessions", description="NVDEC sessions on each GPU.")
    tags: frozenset[str] = Field(
        frozenset(), title="Tags", description="Tags that the node must have, such as cuda-12 or rtsp-lan."
    )

    @model_validator(mode="before")
    @classmethod
    def _imply_gpu(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("gpus"):
            asks = any(data.get(key) not in (None, 0, "0", "") for key in ("gpu_memory", "nvenc", "nvdec"))
            return {**data, "gpus": 1} if asks else data
        return data

    def overridden_by(self, values: Mapping[str, Any]) -> Needs:
        """These needs with the non-null entries of ``values`` (job variables) in their place.

        Raises:
            pydantic.ValidationError: a value is of the wrong type; it names the field.
        """
        changes = {key: values[key] for key in type(self).model_fields if values.get(key) is not None}
        return type(self).model_validate({**self.model_dump(), **changes}) if changes else self

    def not_zero(self) -> dict[str, Any]:
        """The fields that are reserved, as JSON."""
        return self.model_dump(mode="json", exclude_defaults=True)
