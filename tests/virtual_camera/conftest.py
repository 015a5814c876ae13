"""libcamera's virtual pipeline under the real picamera2: what stands between them where there is no camera, no DRM and no DMA.

`make test-picamera2` runs this in a folder of its own. Real: all of picamera2, libcamera with its Python binding, requests, buffers, the
scaling of both streams. Ours: the memory of the buffers, the pace of the sensor (the pipeline gives a thousand frames a second), and what
a sensor's driver would add, exposure and gain, in controls and metadata.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "demo" / "people" / "live_om.mp4"
SIZES = ((640, 480), (1640, 1232))
FRAME_S = 1 / 30
EXPOSED = {"ExposureTime": 20_000, "AnalogueGain": 2.0, "ColourGains": (1.5, 1.75)}


@dataclass
class Sensor:
    """The pace of the virtual sensor, and what it was told."""

    is_blocked: bool = False
    controls: list[tuple[str, Any]] = field(default_factory=list)
    """Name and value of those that requests were queued with, in order."""
    waiting: deque[tuple[Any, Any]] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pace(self, queue_request: Callable[[Any, Any], Any], ending: threading.Event) -> None:
        """Hand one request to the pipeline, which completes it at once, for each frame's time."""
        while not ending.wait(FRAME_S):
            with self.lock:
                if self.waiting and not self.is_blocked:
                    queue_request(*self.waiting.popleft())


@pytest.fixture(scope="session")
def _pipeline(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tell libcamera, before it looks, of one camera that plays a rendered person."""
    where = os.environ.get("VIRTUAL_CAMERA")
    assert where, "run this by `make test-picamera2`: it writes to libcamera's folder"
    pictures = tmp_path_factory.mktemp("pictures")
    clip = cv2.VideoCapture(str(CLIP))
    for number in range(30):
        is_read, picture = clip.read()
        assert is_read
        cv2.imwrite(str(pictures / f"{number}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    clip.release()
    formats = "".join(
        f"  - width: {width}\n    height: {height}\n    frame_rates:\n    - 30\n    - 30\n" for width, height in SIZES
    )
    config = Path(where)
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f'"Virtual0":\n  supported_formats:\n{formats}  frames:\n    path: "{pictures}/"\n  model: "virtual"\n'
    )


@pytest.fixture(scope="session")
def library(_pipeline: None) -> Iterator[Sensor]:
    """The real library with its glue; gives the virtual sensor."""
    _stub_kms()
    import libcamera
    from picamera2 import picamera2 as real
    from picamera2.request import CompletedRequest

    sensor, ending = Sensor(), threading.Event()
    real.DmaAllocator = _allocator_class()
    real.Picamera2._get_raw_modes = lambda _: [{"format": "NV12", "size": SIZES[-1]}]
    # The pipeline of 0.4 leaves the status of its frames unset, so that what lay in memory says whether they are good or cancelled.
    libcamera.Request.status = property(lambda _: libcamera.Request.Status.Complete)
    libcamera.FrameMetadata.status = property(lambda _: libcamera.FrameMetadata.Status.Success)
    _pace(libcamera.Camera, sensor)
    _add_exposure(real.Picamera2, CompletedRequest, libcamera, sensor)
    thread = threading.Thread(target=sensor.pace, args=(_REAL["queue_request"], ending))
    thread.start()
    yield sensor
    ending.set()
    thread.join()


_REAL: dict[str, Any] = {}


def _stub_kms() -> None:
    """The preview on a screen, which picamera2 imports and nobody uses, needs DRM."""

    class Anything(type):
        def __getattr__(cls, name: str) -> str:
            return name

    for name in ("pykms", "kms"):
        module = ModuleType(name)
        module.PixelFormat = module.PixelFormats = Anything("PixelFormat", (), {})  # type: ignore[attr-defined]
        sys.modules[name] = module


def _allocator_class() -> type:
    """Buffers in ordinary shared memory, NV12 in two planes."""
    import libcamera
    from picamera2.allocators.allocator import Allocator, Sync

    class MemoryAllocator(Allocator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.sync = MemorySync
            self.mapped_buffers: dict[Any, mmap.mmap] = {}
            self._by_stream: dict[Any, list[Any]] = {}
            self._files: list[int] = []

        def allocate(self, libcamera_config: Any, _use_case: object) -> None:
            self.close()
            for stream_config in libcamera_config:
                buffers = [self._buffer(stream_config) for _ in range(stream_config.buffer_count)]
                self._by_stream[stream_config.stream] = buffers

        def _buffer(self, stream_config: Any) -> Any:
            size, luma = stream_config.frame_size, stream_config.stride * stream_config.size.height
            file = os.memfd_create("frame")
            os.ftruncate(file, size)
            self._files.append(file)
            planes = [libcamera.FrameBuffer.Plane(), libcamera.FrameBuffer.Plane()]
            for plane, offset, length in zip(planes, (0, luma), (luma, size - luma), strict=True):
                plane.fd, plane.offset, plane.length = file, offset, length
            buffer = libcamera.FrameBuffer(planes)
            self.mapped_buffers[buffer] = mmap.mmap(file, size)
            return buffer

        def buffers(self, stream: Any) -> list[Any]:
            return self._by_stream[stream]

        def close(self) -> None:
            for file in self._files:
                os.close(file)
            self._files, self._by_stream, self.mapped_buffers = [], {}, {}

        __del__ = close

    class MemorySync(Sync):  # type: ignore[misc]
        def __init__(self, allocator: MemoryAllocator, buffer: Any, _write: bool) -> None:
            self._memory = allocator.mapped_buffers[buffer]

        def __enter__(self) -> mmap.mmap:
            return self._memory

        def __exit__(self, *_: object) -> None:
            """Nothing to synchronise."""

    return MemoryAllocator


def _pace(camera_class: Any, sensor: Sensor) -> None:
    _REAL.update(queue_request=camera_class.queue_request, stop=camera_class.stop)

    def queue_request(camera: Any, request: Any) -> None:
        with sensor.lock:
            sensor.waiting.append((camera, request))

    def stop(camera: Any) -> None:
        with sensor.lock:
            sensor.waiting.clear()
            _REAL["stop"](camera)

    camera_class.queue_request, camera_class.stop = queue_request, stop


def _add_exposure(camera_class: Any, request_class: Any, libcamera: Any, sensor: Sensor) -> None:
    """Let the virtual camera know the controls of a sensor, and say what it exposed with."""
    known = ("AeEnable", "ExposureTime", "AnalogueGain", "AwbEnable", "ColourGains")
    # libcamera 0.5 has these, Debian's 0.4 has not, and this picamera2 sets them with every fixed exposure.
    newer = [SimpleNamespace(name=name) for name in ("ExposureTimeMode", "AnalogueGainMode")]
    for control in newer:
        setattr(libcamera.controls, control.name, control)
    identify, read = camera_class.configure_, request_class.get_metadata

    def configure_(camera: Any, config: Any) -> None:
        identify(camera, config)
        for name in known:
            camera.camera_ctrl_info[name] = (getattr(libcamera.controls, name), None)

    set_control = libcamera.Request.set_control

    def note_control(request: Any, control: Any, value: Any) -> None:
        sensor.controls.append((control.name, value))
        if control not in newer:
            set_control(request, control, value)

    camera_class.configure_ = configure_
    libcamera.Request.set_control = note_control
    request_class.get_metadata = lambda request: {**read(request), **EXPOSED}
