"""Stands in for `lifecert-terminal check-photos - --json` where a page is tried: pictures that are none, told by words in them.

`crash` ends it, `blue` has another ground, `slow` waits until the file named by the first argument is there.
"""

from __future__ import annotations

import base64
import hashlib
import sys
import time
from pathlib import Path

import numpy as np

from protocol.capture import FeatureReport
from protocol.photo_files import PhotoFileCheck, PhotoReport, read_framed
from protocol.policy import default_policy


def main(gate: Path) -> None:
    while (picture := read_framed(sys.stdin.buffer)) is not None:
        digest = hashlib.sha256(picture).hexdigest()
        if b"crash" in picture:
            sys.exit(1)
        while b"slow" in picture and not gate.exists():
            time.sleep(0.02)
        vector = np.random.default_rng(int(digest[:8], 16)).normal(size=128)
        vector = (vector / np.linalg.norm(vector)).astype("<f4")
        features = FeatureReport(
            features=base64.b64encode(vector.tobytes()).decode(),
            model_name="features",
            model_sha256="d" * 64,
            runtime="test",
            quality=dict.fromkeys(default_policy().quality.minimum, 100.0),
            overall_quality=80.0,
        )
        check = PhotoFileCheck(name="white_ground", passed=b"blue" not in picture, found=0.4, asked=0.8)
        report = PhotoReport(sha256=digest, width_px=480, height_px=672, checks=(check,), features=features)
        sys.stdout.write(report.to_bytes().decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
