"""GPUs through NVML; the only importer of pynvml."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import pynvml

from skald_work_pools.devices import Gpu, GpuProcess, GpuReading

ENCODER_SESSIONS = 8
"""Encoder sessions of a GPU that has an encoder: what current drivers grant consumer cards."""
DECODER_SESSIONS = 16
"""Decoder sessions of a GPU that has a decoder; drivers grant any number, this bounds the sharing."""

T = TypeVar("T")


class Nvml:
    """This machine's GPUs, or none where there is no driver; to be opened after any fork.

    ``visible`` restricts them as ``CUDA_VISIBLE_DEVICES`` does: uuids, their beginnings, or indices;
    ``None`` is no restriction.
    """

    def __init__(self, visible: str | None = None) -> None:
        self._visible = visible
        self._handles: dict[str, Any] = {}
        self.problem = ""
        """Why there are no GPUs, or fewer than there should be; empty when all answered."""
        self.gpus = self._open()

    @classmethod
    def from_environment(cls) -> Nvml:
        """The GPUs that ``CUDA_VISIBLE_DEVICES`` leaves."""
        return cls(os.environ.get("CUDA_VISIBLE_DEVICES"))

    def readings(self) -> dict[str, GpuReading]:
        """Every GPU's reading, by uuid; never raises. Some milliseconds a GPU."""
        if any(handle is None for handle in self._handles.values()):
            self._reopen()
        return {gpu.uuid: self._read(gpu.uuid) for gpu in self.gpus}

    def close(self) -> None:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def _open(self) -> tuple[Gpu, ...]:
        try:
            pynvml.nvmlInit()
            count = int(pynvml.nvmlDeviceGetCount())
        except pynvml.NVMLError as error:
            self.problem = str(error)
            return ()
        gpus = []
        for index in range(count):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                gpu = _describe(handle)
            except pynvml.NVMLError as error:
                self.problem = f"GPU {index}: {error}"
                continue
            if _selected(index, gpu.uuid, self._visible):
                self._handles[gpu.uuid] = handle
                gpus.append(gpu)
        return tuple(gpus)

    def _reopen(self) -> None:
        """A GPU that was lost and reset answers under a new handle only."""
        for uuid, handle in self._handles.items():
            if handle is None:
                with suppress(pynvml.NVMLError):
                    self._handles[uuid] = pynvml.nvmlDeviceGetHandleByUUID(uuid)

    def _read(self, uuid: str) -> GpuReading:
        handle = self._handles[uuid]
        try:
            if handle is None:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
            return GpuReading(
                memory_used=_memory(handle)[1],
                processes=_processes(handle),
                encoder_utilisation=_first(pynvml.nvmlDeviceGetEncoderUtilization, handle),
                decoder_utilisation=_first(pynvml.nvmlDeviceGetDecoderUtilization, handle),
                encoder_sessions=_first(pynvml.nvmlDeviceGetEncoderStats, handle),
            )
        except pynvml.NVMLError as error:
            self._handles[uuid] = None
            return GpuReading(healthy=False, error=str(error))


def _describe(handle: Any) -> Gpu:
    encodes = _try(pynvml.nvmlDeviceGetEncoderCapacity, handle, pynvml.NVML_ENCODER_QUERY_H264)
    decodes = _try(pynvml.nvmlDeviceGetDecoderUtilization, handle) is not None
    return Gpu(
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        memory=_memory(handle)[0],
        nvenc=ENCODER_SESSIONS if encodes else 0,
        nvdec=DECODER_SESSIONS if decodes else 0,
    )


def _memory(handle: Any) -> tuple[int, int]:
    """Total and used bytes; what the driver keeps for itself counts as neither where it is told apart."""
    info = _try(pynvml.nvmlDeviceGetMemoryInfo, handle, pynvml.nvmlMemory_v2)
    if info is not None:
        return int(info.total) - int(info.reserved), int(info.used)
    info = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return int(info.total), int(info.used)


def _processes(handle: Any) -> tuple[GpuProcess, ...]:
    found: dict[int, GpuProcess] = {}
    for listing in (
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses,
    ):
        for item in _try(listing, handle) or ():
            memory = None if item.usedGpuMemory is None else int(item.usedGpuMemory)
            found[int(item.pid)] = GpuProcess(int(item.pid), memory, _session(int(item.pid)))
    return tuple(found.values())


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _selected(index: int, uuid: str, visible: str | None) -> bool:
    if visible is None:
        return True
    wanted = [part.strip() for part in visible.split(",") if part.strip()]
    return any(part == str(index) or (part.startswith("GPU-") and uuid.startswith(part)) for part in wanted)


def _first(call: Callable[[Any], Any], handle: Any) -> int:
    """The first of the numbers that the call gives; 0 where it is not offered."""
    return int((_try(call, handle) or (0,))[0])


def _try(call: Callable[..., T], *args: Any) -> T | None:
    """``None`` where the GPU or its driver does not offer this; a lost GPU is still an error."""
    try:
        return call(*args)
    except pynvml.NVMLError as error:
        if error.value in _LOST:
            raise
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


_LOST = {
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_UNKNOWN,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_UNINITIALIZED,
}
