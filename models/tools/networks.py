"""The networks of the product: what a manifest says about each that cannot be read from its file."""

from __future__ import annotations

from dataclasses import dataclass

from models.tools import sources
from models.tools.sources import SourceFile
from protocol.manifest import Task

_PICTURES = (
    "frames of the synthetic clips in demo/people and the public-domain NASA portrait `astronaut` of scikit-image, "
    "with changes of light, colour, noise, size and tilt drawn from a fixed seed; no evaluation data"
)
_MEDIAPIPE = "Made by Google for MediaPipe. The package does not say what it was trained on."
_RANGES = "ai-edge-quantizer 0.10.0, min-max ranges widened to 1/32 octave, weights per channel"


@dataclass(frozen=True, slots=True)
class Description:
    """What stands in a manifest beside the tensors."""

    name: str
    task: Task
    text: str
    source: SourceFile
    licence: str
    notes: str
    roles: tuple[str, ...]
    """Of the outputs, in the file's order."""
    multiply: float
    add: float
    region: str
    recipe: str
    calibration: str
    count: int


NETWORKS: dict[str, Description] = {
    item.name: item
    for item in (
        Description(
            name="face_detection",
            task="face_detection",
            text=(
                "BlazeFace full range. For each of 48 x 48 anchors, row by row: box centre and size, then six points "
                "(right eye, left eye, "
                "nose tip, mouth, right and left ear of the subject) as x, y, all in input pixels from the anchor's "
                "centre; and one logit."
            ),
            source=sources.DETECTION,
            licence="Apache-2.0 (weights, Google); MIT (package)",
            notes=_MEDIAPIPE,
            roles=("boxes", "scores"),
            multiply=1 / 127.5,
            add=-128 / 127.5,
            region="the whole frame, scaled to fit and centred, the rest black",
            recipe=f"{_RANGES}; the decoder and both heads (the last 32 operators) stay float32",
            calibration=f"whole pictures and close-ups: {_PICTURES}",
            count=190,
        ),
        Description(
            name="face_landmarks",
            task="face_landmarks",
            text=(
                "MediaPipe face mesh: 468 points as x, y, z in input pixels (z: smaller is nearer, same scale as x), "
                "and the logit that "
                "the crop shows a face."
            ),
            source=sources.LANDMARKS,
            licence="Apache-2.0",
            notes=_MEDIAPIPE,
            roles=("points", "presence"),
            multiply=1 / 255,
            add=0.0,
            region="a square 1.5 times the longer side of the face box about its centre, turned until the eyes are level",
            recipe=f"{_RANGES}; activations of PRELU in float32; the presence logit has the fixed range -16 to 16",
            calibration=f"face crops: {_PICTURES}",
            count=96,
        ),
        Description(
            name="eyelids",
            task="eyelids",
            text=(
                "MediaPipe iris network: 71 points of eyelid contour and brow, the first 16 the contour, and 5 "
                "points of the iris "
                "(centre first), each x, y, z in input pixels."
            ),
            source=sources.EYELIDS,
            licence="Apache-2.0 (weights, Google; the same file as in mediapipe 0.10.14); MIT (package)",
            notes=_MEDIAPIPE,
            roles=("contour", "iris"),
            multiply=1 / 255,
            add=0.0,
            region=(
                "a square 2.3 times the distance of the eye's corners (landmarks 33 and 133; 362 and 263) about "
                "their middle, turned until "
                "they are level; the eye on the right side of the picture is mirrored, and its points with it"
            ),
            recipe=f"{_RANGES}; activations of PRELU in float32",
            calibration=f"eye crops: {_PICTURES}",
            count=96,
        ),
        Description(
            name="features_mobilefacenet",
            task="features",
            text="MobileFaceNet: 192 features, not of unit length; compared by cosine, larger is more alike.",
            source=sources.MOBILEFACENET,
            licence="MIT (package, stated in its package.json; it holds no licence file)",
            notes=(
                "Looks like the network of sirius-ai/MobileFaceNet_TF (Apache-2.0) by its shape and names. The "
                "package says neither who trained "
                "it nor on what; probably MS-Celeb-1M, whose own terms were research only. Where that is not "
                "acceptable, use features_dlib."
            ),
            roles=("features",),
            multiply=1 / 127.5,
            add=-128 / 127.5,
            region=(
                "the 112 x 112 chip in which eye centres, nose tip and mouth corners lie nearest to the five ArcFace "
                "points, by rotation, scale "
                "and shift"
            ),
            recipe=(
                f"{_RANGES}; steep PReLU slopes folded into the next layer and channel ranges equalised before (both "
                "exact), batch 1, PReLU "
                "as max(x, slope * x)"
            ),
            calibration=f"aligned faces: {_PICTURES}",
            count=64,
        ),
        Description(
            name="features_dlib",
            task="features",
            text="Face network of dlib (ResNet, 29 convolutions): 128 features; compared by cosine, larger is more alike.",
            source=sources.DLIB_WEIGHTS,
            licence="CC0-1.0 (weights, Davis King); MIT (port)",
            notes=(
                "The port stores the weights of dlib_face_recognition_resnet_model_v1 as bytes with a scale and an "
                "offset for each array. By "
                "its author's description trained on about 3 million faces of FaceScrub, VGG and pictures from the "
                "web. About five times the "
                "FNMR of features_mobilefacenet at FMR 1e-4 on LFW; here for its licence."
            ),
            roles=("features",),
            multiply=1 / 256,
            add=0.0,
            region=(
                "the 150 x 150 face chip of dlib with padding 0.25, from the outer and inner corners of both eyes "
                "and the base of the nose"
            ),
            recipe=f"{_RANGES}; affine layers folded into the convolutions, mean colour into the first",
            calibration=f"aligned faces: {_PICTURES}",
            count=64,
        ),
    )
}
