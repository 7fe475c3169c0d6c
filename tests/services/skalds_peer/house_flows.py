"""The workers as task types of this product: the import is changed, the classes are not."""

from __future__ import annotations

from workers import Camera, HouseCamera, Recorder

from skald_bridge.authoring import flow_from_worker

camera = flow_from_worker(Camera)
house_camera = flow_from_worker(HouseCamera)
recorder = flow_from_worker(Recorder, retries=2, retry_delay_seconds=0)
