"""The self test: tries every part a session needs, changes nothing, and reports for `lifecert-provision`."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from device.adapters.clock_system import SystemClock
from device.adapters.inference_tflite import open_networks
from device.adapters.outbox_sqlite import SqliteOutbox
from device.adapters.references_sqlite import SqliteReferenceStore
from device.adapters.signer_keyfile import KeyfileSigner, load_fleet_identity
from device.adapters.voice_alsa.pack import Speed, VoicePack, shipped_folders
from device.adapters.voice_alsa.player import AplayLoudspeaker
from device.adapters.voice_alsa.sound import RATE_HZ, as_pcm
from device.app.board import make_board
from device.app.golden import check_golden
from device.app.pictures import opened_pictures, told
from device.app.policy import policy_in_force
from device.app.voice_check import check_pack
from device.errors import DeviceError
from device.ports import Camera, PrinterCondition
from device.session.commands import Line
from device.settings import Settings
from protocol.errors import ProtocolError
from protocol.records import RECORD_TYP
from protocol.selftest import Check, SelftestReport
from protocol.times import ClockSource

_FRAMES = 5
_CAPTURE_TIMEOUT_S = 3.0
_LEAST_FREE_BYTES = 256 * 1024 * 1024
"""Some 40,000 records of 6 kB: months of a busy terminal without a network."""


_NOTHING: Mapping[str, str] = MappingProxyType({})


class _Skipped(Exception):
    """A check that has nothing to try."""


def selftest(settings: Settings, *, in_use: Mapping[str, str] = _NOTHING) -> SelftestReport:
    """Try everything and report; a part that fails does not keep the others from being tried.

    Args:
        settings: of the terminal.
        in_use: checks of parts that somebody else has open now, and what to say of each instead.
    """
    attempts = [
        ("networks", lambda: _networks(settings)),
        ("camera", lambda: _camera(settings)),
        ("ring-light", lambda: _ring_light(settings)),
        ("printer", lambda: _printer(settings)),
        ("voice", lambda: _voice(settings)),
        ("outbox", lambda: _outbox(settings)),
        ("pictures", lambda: _pictures(settings)),
        ("signing-key", lambda: _signing_key(settings)),
        ("policy", lambda: _policy(settings)),
        ("roster", lambda: _roster(settings)),
        ("clock", lambda: _clock(settings)),
        ("disk", lambda: _disk(settings)),
    ]
    checks = [_skipped(name, in_use[name]) if name in in_use else _check(name, attempt) for name, attempt in attempts]
    return SelftestReport(
        software=version("lifecert"),
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        checks=tuple(checks),
    )


def _skipped(name: str, why: str) -> Check:
    return Check(name=name, status="skipped", detail=why, seconds=0.0)


def _check(name: str, attempt: Callable[[], str]) -> Check:
    begin = time.perf_counter()
    try:
        status, detail = "passed", attempt()
    except _Skipped as reason:
        status, detail = "skipped", str(reason)
    except (DeviceError, ProtocolError, OSError) as error:
        status, detail = "failed", str(error)
    return Check.model_validate(
        {"name": name, "status": status, "detail": detail, "seconds": round(time.perf_counter() - begin, 3)}
    )


def _networks(settings: Settings) -> str:
    terminal = settings.terminal
    networks = open_networks(
        terminal.models_dir, features=terminal.features, texture=terminal.texture, runtime=terminal.runtime
    )
    found = check_golden(networks)
    slowest = max(found, key=lambda result: result.median_ms)
    return (
        f"{len(found)} networks give what they gave when they were made, on {networks.features.runtime}; features"
        f" {networks.features.manifest.name}; the slowest takes {slowest.median_ms:.0f} ms ({slowest.name})"
    )


def _camera(settings: Settings) -> str:
    camera: Camera = make_board(settings, SystemClock(settings.clock_path)).camera
    camera.start()
    try:
        frames = [camera.capture(_CAPTURE_TIMEOUT_S) for _ in range(_FRAMES)]
    finally:
        camera.stop()
    seen = [frame for frame in frames if frame is not None]
    if len(seen) < _FRAMES:
        raise DeviceError(
            f"camera {settings.camera.kind}: {len(seen)} of {_FRAMES} frames came; check the ribbon cable"
        )
    height, width = seen[0].pixels.shape[:2]
    return f"{settings.camera.kind}: {_FRAMES} frames of {width}x{height}"


def _ring_light(settings: Settings) -> str:
    ring = make_board(settings, SystemClock(settings.clock_path)).ring
    if ring is None:
        raise _Skipped("none: the evidence of illumination does not run")
    ring.start()
    try:
        for left, right in ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0)):
            ring.set(left, right)
    finally:
        ring.stop()
    return f"{settings.ring_light.kind}: both halves were set; whether they shine only a person can see"


def _printer(settings: Settings) -> str:
    if settings.printer.kind == "none":
        raise _Skipped("none: the screen alone shows the code of a slip")
    from device.adapters.printer_escpos import EscposPrinter

    condition = EscposPrinter(settings.printer).probe()
    if condition is PrinterCondition.PAPER_OUT:
        raise DeviceError(f"printer {settings.printer.device.name}: no paper; put in a new roll")
    return f"{settings.printer.device.name}: {condition}; whether it prints Chinese only a person can see"


def _voice(settings: Settings) -> str:
    if settings.voice.kind == "none":
        raise _Skipped("none: only those who can read are told what to do")
    folders = (*settings.terminal.voice_dirs, *shipped_folders())
    for folder in folders:
        if problems := check_pack(folder).problems:
            raise DeviceError(f"voice pack {folder.name}: {problems[0]}; `lifecert-terminal voice check` tells all")
    sample = VoicePack.open(shipped_folders()[0]).sound(Line.ONE_MOMENT, Speed.NORMAL)
    AplayLoudspeaker(settings.voice.device).play(as_pcm(sample, settings.voice.volume), RATE_HZ).wait()
    return f"{len(folders)} packs; played on {settings.voice.device}: whether it is heard only a person can say"


def _outbox(settings: Settings) -> str:
    if not settings.outbox_path.exists():
        return f"none yet; the terminal can make it in {_to_be_made_in(settings.terminal.data_dir)}"
    outbox = SqliteOutbox(settings.outbox_path, max_rows=settings.outbox.max_rows, max_bytes=settings.outbox.max_bytes)
    try:
        outbox.check()
        counts = outbox.counts()
    finally:
        outbox.close()
    return f"can be written; {counts.pending + counts.published} records not confirmed"


def _pictures(settings: Settings) -> str:
    with opened_pictures(settings) as store:
        if store is None:
            raise _Skipped("none yet; the terminal makes their store when it starts")
        # Refused ones stop nothing, so they fail no test: what to do about them is said.
        return told(store.counts())


def _signing_key(settings: Settings) -> str:
    signer = KeyfileSigner(settings.keys.signing.path)
    signer.sign(b"selftest", RECORD_TYP)
    load_fleet_identity(settings.keys.fleet, fleet_id=settings.terminal.fleet_id)
    return f"key {signer.key_id[:8]} signs; the fleet's identity is there"


def _policy(settings: Settings) -> str:
    policy = policy_in_force(settings)
    if policy is None:
        raise DeviceError("policy: none in force; let the uplink connect to the fleet once")
    if settings.terminal.features not in policy.comparison:
        raise DeviceError(
            f"policy {policy.policy_version}: no thresholds for {settings.terminal.features}, "
            f"it has {', '.join(policy.comparison)}"
        )
    return f"version {policy.policy_version}"


def _to_be_made_in(folder: Path) -> Path:
    """Return a folder that need not be there yet.

    Raises:
        DeviceError: if it cannot be made or written.
    """
    there = _nearest(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        raise DeviceError(f"{folder}: cannot be written; is it the data_dir that is meant, and its owner the terminal?")
    return folder


def _nearest(folder: Path) -> Path:
    """Return the folder, or the one above it that is there."""
    return next(found for found in (folder, *folder.absolute().parents) if found.is_dir())


def _roster(settings: Settings) -> str:
    # The store would make a key and a database where there are none, and with a mistaken path in a place that nobody meant.
    key = settings.keys.storage.path
    if not settings.references_path.exists():
        there = "" if key.exists() else f"; no storage key {key} yet, either: made with the roster"
        raise _Skipped(f"none yet; the fleet sends it once the terminal is registered{there}")
    if not key.exists():
        raise DeviceError(
            f"storage key {key}: not there, and without it this roster cannot be opened; look at keys.storage"
        )
    store = SqliteReferenceStore(settings.references_path, settings.keys.storage.path, SystemClock(settings.clock_path))
    try:
        if store.claim_key() is None:
            raise _Skipped("no roster in force yet; the fleet sends it once the terminal is registered")
        return f"version {store.version()}"
    finally:
        store.close()


def _clock(settings: Settings) -> str:
    now = SystemClock(settings.clock_path).peek()
    if now.source is ClockSource.NONE:
        raise DeviceError("clock: nothing vouches for the date; connect to a network or fit a battery for the clock")
    bound = "unbounded" if now.uncertainty_s is None else f"within {now.uncertainty_s:.1f} s"
    return f"set by {now.source}, {bound}"


def _disk(settings: Settings) -> str:
    free = shutil.disk_usage(_nearest(settings.terminal.data_dir)).free
    if free < _LEAST_FREE_BYTES:
        raise DeviceError(f"disk: {free // 2**20} MiB free, {_LEAST_FREE_BYTES // 2**20} MiB needed; delete or grow")
    return f"{free // 2**20} MiB free"
