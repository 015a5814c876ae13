"""Many sessions, on several processes: each opens the networks once."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import cv2
from pydantic import ValidationError

from device.adapters.inference_tflite import Runtime, open_networks
from device.vision.inference import Networks
from protocol.documents import check_digit
from protocol.evidence import EvidenceStatus
from protocol.policy import Policy, default_policy
from protocol.records import CertificationRecord

Task = TypeVar("Task")
Result = TypeVar("Result")

CLAIMED = "99999919400101001" + check_digit("99999919400101001")
"""The identity number claimed in every session played or measured here, of a region that does not exist."""
_LARGEST_PIECE = 8
"""Tasks handed to a process at once: neighbours share decoded clips, and the display should move all the same."""


@dataclass(frozen=True, slots=True)
class Opened:
    """With which networks and policy is played; goes to every process."""

    models: Path
    features: str
    runtime: Runtime
    policy: Path | None = None
    """A policy as TOML; None is the one a new fleet starts with."""


@lru_cache(maxsize=1)
def networks_of(opened: Opened) -> Networks:
    """Return the networks of this process.

    Raises:
        NetworkRefused: if one cannot be used.
    """
    cv2.setNumThreads(1)
    return open_networks(opened.models, features=opened.features, runtime=opened.runtime)


@lru_cache(maxsize=1)
def policy_of(opened: Opened) -> Policy:
    """Return the policy.

    Raises:
        ValueError: if the file is none; the message names the first key.
    """
    if opened.policy is None:
        return default_policy()
    try:
        return Policy.model_validate(tomllib.loads(opened.policy.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"policy {opened.policy.name}: {where}: {first['msg']}") from error
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"policy {opened.policy.name}: cannot be read: {error}") from error


def reasons_of(record: CertificationRecord, status: EvidenceStatus) -> tuple[str, ...]:
    """Return `kind: reason` of each evidence with a status."""
    return tuple(f"{found.kind.value}: {found.reason}" for found in record.evidence if found.status is status)


def spread(
    play: Callable[[Task, Path, Opened], Result], tasks: Sequence[Task], folder: Path, opened: Opened, *, jobs: int
) -> Iterator[Result]:
    """Give the results in the order of the tasks.

    Args:
        play: a function of a module: it goes to the processes by name.
        tasks: what it is called with.
        folder: where clips or pictures lie.
        opened: the networks.
        jobs: processes; 1 is this one.
    """
    if jobs == 1:
        yield from (play(task, folder, opened) for task in tasks)
        return
    size = max(1, min(_LARGEST_PIECE, len(tasks) // (4 * jobs)))
    # Spawned, as the interpreter's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent) as pool:
        yield from pool.map(play, tasks, itertools.repeat(folder), itertools.repeat(opened), chunksize=size)


def _end_with_parent() -> None:
    """Let this process end when the one that hands out the tasks is gone, however it went: nobody would read the results."""
    threading.Thread(target=_wait_for_parent, name="parent", daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
