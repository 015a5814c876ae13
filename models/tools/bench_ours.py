"""Our chains for the bench, in a process of their own."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from device.adapters.inference_tflite import open_networks
from device.vision.comparison import compare
from device.vision.detection import FaceDetector
from device.vision.features import FeatureVector
from device.vision.following import FaceFollower
from device.vision.frame import Frame
from device.vision.inference import Networks
from device.vision.landmarks import LandmarkDetector
from device.vision.pipeline import VisionPipeline
from device.vision.texture import TextureScorer
from models.tools.bench_worker import Chain, Picture, serve
from protocol.references import protect


def follow(networks: Networks, rate: float) -> Chain:
    """From frame to boxes and landmarks in a running camera: the detector where the track needs it, the landmarks on every frame."""
    followers: list[FaceFollower] = []

    def chain(picture: Picture, place: int) -> bool:
        if place == 0 or not followers:
            followers[:] = [FaceFollower(networks.detection, networks.landmarks)]
        return followers[0].see(Frame(picture, place, round(place * 1e9 / rate))).landmarks is not None

    return chain


def still(networks: Networks) -> Chain:
    """Boxes and landmarks of a single picture: detector and landmarks each time."""
    detector, landmarks = FaceDetector(networks.detection), LandmarkDetector(networks.landmarks)

    def chain(picture: Picture, _: int) -> bool:
        faces = detector.detect(picture)
        for face in faces:
            landmarks.find(picture, face)
        return bool(faces)

    return chain


def decide(networks: Networks) -> Chain:
    """A single picture against a protected reference: everything a frame at rest goes through, comparison included."""
    pipeline = VisionPipeline(networks)
    texture = TextureScorer(networks.texture) if networks.texture is not None else None
    key = bytes(32)
    references: list[FeatureVector] = []

    def chain(picture: Picture, place: int) -> bool:
        pipeline.forget_subject()
        subject = pipeline.process(Frame(picture, place, place), want_features=True).subject
        if subject is None or subject.features is None:
            return False
        if texture is not None:
            texture.score(picture, subject.box)
        probe = FeatureVector(
            protect(np.asarray(subject.features.values, np.float32), key), pipeline.model_digest, "bench"
        )
        references[:] = references or [probe]
        compare(probe, references[0])
        return True

    return chain


def main() -> None:
    """Serve the bench; arguments are the folder of networks, the feature network and the frame rate."""
    models, features, rate = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    networks = open_networks(models, features=features)
    serve(
        {"follow": lambda: follow(networks, rate), "still": lambda: still(networks), "decide": lambda: decide(networks)}
    )


if __name__ == "__main__":
    main()
