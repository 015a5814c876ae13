"""What several tests of the terminal need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from device.vision.frame import Pixels
from protocol.courier import Address, CourierBundle, courier_message
from protocol.courier_files import BundleWriter, make_bundle
from protocol.envelope import sign
from protocol.keys import PrivateKey
from protocol.manifest import Calibration, ModelManifest, Preprocessing, Provenance, Tensor
from protocol.stick import open_stick
from protocol.topics import Kind

MADE_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def write_bundle() -> Callable[..., None]:
    """Writes onto a stick what the fleet, or somebody else, has for terminal t-1 of fleet north, a chunk for each message."""

    def write(
        stick: Path,
        *tokens: tuple[Kind, bytes],
        signer: PrivateKey,
        reader: PrivateKey,
        bundle: CourierBundle = CourierBundle.ANSWERS,
        made_at: datetime = MADE_AT,
    ) -> None:
        stick.mkdir(exist_ok=True)
        address = Address("north", "t-1", bundle)
        with open_stick(stick) as root, make_bundle(root, address) as folder:
            writer = BundleWriter(
                folder,
                address,
                sign=lambda payload, typ: sign(payload, key=signer, typ=typ),
                writer_id=signer.key_id,
                reader=reader.public(),
                made_at=made_at,
            )
            for kind, token in tokens:
                writer.put(writer.next_sequence, writer.content([token]), [courier_message(kind, token)])
            writer.finish()

    return write


Answers = Mapping[str, NDArray[np.float32]]


@dataclass
class FakeNetwork:
    manifest: ModelManifest
    answer: Callable[[Pixels], Answers]
    digest: str = "d" * 64
    runtime: str = "fake 1"
    seen: list[Pixels] = field(default_factory=list)

    def infer(self, image: Pixels) -> Answers:
        self.seen.append(image)
        return self.answer(image)


def make_manifest(task: str, size: int, outputs: Mapping[str, tuple[int, ...]]) -> ModelManifest:
    return ModelManifest(
        name=task,
        task=task,
        file="none.tflite",
        sha256="d" * 64,
        description="",
        inputs=(Tensor(name="in", role="image", shape=(1, size, size, 3), dtype="float32"),),
        outputs=tuple(Tensor(name=r, role=r, shape=s, dtype="float32") for r, s in outputs.items()),
        preprocessing=Preprocessing(width=size, height=size, multiply=1.0, add=0.0, region=""),
        provenance=Provenance(
            registry="own training", package="", version="", package_sha256="0" * 64, path="", file_sha256="0" * 64,
            licence="", notes="",
        ),
        calibration=Calibration(recipe="", faces="", count=0),
    )  # fmt: skip


@pytest.fixture
def fake_network() -> Callable[..., FakeNetwork]:
    def make(
        task: str, size: int, outputs: Mapping[str, tuple[int, ...]], answer: Callable[[Pixels], Answers]
    ) -> FakeNetwork:
        return FakeNetwork(make_manifest(task, size, outputs), answer)

    return make
