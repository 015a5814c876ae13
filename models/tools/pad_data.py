r"""The data recipe of the texture network: freely licensed photographs and rendered people, and what cameras make of them.

    apt-get download plasma-workspace-wallpapers=4:5.27.5-2 lomiri-wallpapers-16.04=20.04.0-2 \
        lomiri-wallpapers-20.04=20.04.0-2 mate-backgrounds=1.26.0-1
    python -m models.tools.pad_data --packages DIR --portrait astronaut.png --out pad.npz

Photographs give the variety of surfaces and light, rendered people and one portrait in the public domain the faces. Every scene is shown
as a bona fide presentation, as a print and as a screen, each by the same cameras; see `models.tools.pad_recapture`. No picture of
an evaluation set is read. The licences were read in the packages' `copyright` files.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from device.adapters.inference_tflite import open_network
from device.vision.detection import FaceDetector
from models.tools.fetch import check_digest
from models.tools.pad_recapture import (
    SIZE,
    Light,
    Picture,
    Random,
    bona_fide,
    draw_camera,
    print_attack,
    screen_attack,
    to_linear,
)
from models.tools.pictures import read_clip

BONA_FIDE, PRINT, SCREEN = range(3)
"""Labels."""

_ROOT = Path(__file__).resolve().parents[2]
_SCENE_SIDE = 512
_SEED = 20301107
# Every sixth photograph and every scene from it is kept for validation.
_HELD_OUT = 6
_FACE_SHARE = 0.5
_BACKGROUND_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class PhotoPackage:
    """A Debian package with photographs."""

    archive: str
    sha256: str
    licence: str
    folder: str
    files: tuple[str, ...]


PACKAGES = (
    PhotoPackage(
        archive="plasma-workspace-wallpapers_4%3a5.27.5-2_all.deb",
        sha256="32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b",
        licence="GPL-2.0-or-later",
        folder="usr/share/wallpapers",
        files=tuple(
            f"{name}/contents/images/2560x1600.jpg"
            for name in (
                *("BytheWater", "ColdRipple", "ColorfulCups", "DarkestHour", "EveningGlow", "FallenLeaf"),
                *("Grey", "Kite", "OneStandsOut", "Path", "summer_1am"),
            )
        ),
    ),
    PhotoPackage(
        archive="lomiri-wallpapers-16.04_20.04.0-2_all.deb",
        sha256="a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
        licence="CC-BY-4.0, CC-BY-SA-4.0, CC0-1.0, file by file in its copyright file",
        folder="usr/share/backgrounds",
        files=(
            *("Bridge_by_Sander_Klootwijk.jpg", "Dragonfly_by_Bolly.jpg", "Picture_0B_by_freespace.jpg"),
            *("Picture_1A_by_freespace.jpg", "Wine_by_Jakkub_Mede.jpg", "aitzgorri_by_Aitzol_Berasategi.jpg"),
            *("free_by_Peter_Nerlich.jpg", "friends_by_Aitzol_Berasategi.jpg", "greentock_by_Peter_Nerlich.jpg"),
            *("life_by_Aitzol_Berasategi.jpg", "picosdeeuropa_by_Aitzol_Berasategi.jpg"),
            *("seeding_by_Clements_Engelhardt.jpg", "sunset_by_Aitzol_Berasategi.jpg"),
        ),
    ),
    PhotoPackage(
        archive="lomiri-wallpapers-20.04_20.04.0-2_all.deb",
        sha256="d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709",
        licence="CC-BY-SA-3.0",
        folder="usr/share/backgrounds",
        files=("Kleiber_by_Lukas_Baubkus.jpg",),
    ),
    PhotoPackage(
        archive="mate-backgrounds_1.26.0-1_all.deb",
        sha256="7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        licence="GPL-2.0-or-later",
        folder="usr/share/backgrounds/mate/nature",
        files=(
            *("Aqua.jpg", "Blinds.jpg", "Dune.jpg", "FreshFlower.jpg", "Garden.jpg", "GreenMeadow.jpg"),
            *("LadyBird.jpg", "RainDrops.jpg", "Storm.jpg", "TwoWings.jpg", "Wood.jpg", "YellowFlower.jpg"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Presentations:
    """Labelled presentations."""

    pictures: Picture
    """uint8 (N, SIZE, SIZE, 3), RGB."""
    labels: NDArray[np.uint8]
    """uint8 (N,)."""
    scenes: NDArray[np.int32]
    """int32 (N,), the same number for all presentations of one scene."""
    are_held_out: NDArray[np.bool_]
    """bool (N,), whether for validation."""
    are_faces: NDArray[np.bool_]
    """bool (N,)."""


def read_photographs(packages: Path) -> list[Picture]:
    """Return all photographs of the recipe, uint8 (H, W, 3) RGB, in its order.

    Raises:
        SourceRefused: if a package has another SHA-256.
        FileNotFoundError: if a package or a picture in it is missing.
    """
    found: list[Picture] = []
    for package in PACKAGES:
        archive = packages / package.archive
        check_digest(f"package {package.archive}", archive, package.sha256)
        with tempfile.TemporaryDirectory(prefix="photographs-") as folder:
            subprocess.run(["dpkg-deb", "-x", str(archive), folder], check=True, capture_output=True)
            for name in package.files:
                matches = sorted((Path(folder) / package.folder).rglob(Path(name).name))
                chosen = [path for path in matches if path.as_posix().endswith(name)]
                picture = cv2.imread(str(chosen[0])) if chosen else None
                if picture is None:
                    raise FileNotFoundError(f"photograph {name} of {package.archive} cannot be read")
                found.append(np.ascontiguousarray(np.asarray(picture, np.uint8)[..., ::-1]))
    return found


def read_faces(clips: Sequence[Path], portrait: Path, models: Path) -> list[tuple[Picture, tuple[float, ...]]]:
    """Return pictures with one face each, and its box, of live clips of rendered people and of the portrait."""
    detector = FaceDetector(open_network(models / "face_detection.toml"))
    image = cv2.imread(str(portrait))
    if image is None:
        raise FileNotFoundError(f"portrait {portrait.name} cannot be read")
    pictures = [np.ascontiguousarray(np.asarray(image, np.uint8)[..., ::-1])] * 6
    for clip in clips:
        pictures += read_clip(clip)[::3]
    return [(picture, faces[0].box) for picture in pictures if (faces := detector.detect(picture))]


def make_presentations(
    photographs: Sequence[Picture], faces: Sequence[tuple[Picture, tuple[float, ...]]], count: int, seed: int = _SEED
) -> Presentations:
    """Return four presentations of each of `count` scenes: two bona fide by two cameras, a print by one, a screen by the other."""
    random = np.random.Generator(np.random.PCG64(seed))
    pictures = np.empty((4 * count, SIZE, SIZE, 3), np.uint8)
    labels = np.tile(np.array([BONA_FIDE, BONA_FIDE, PRINT, SCREEN], np.uint8), count)
    held_out, are_faces = np.zeros(4 * count, np.bool_), np.zeros(4 * count, np.bool_)
    training = [k for k in range(len(photographs)) if k % _HELD_OUT]
    validation = [k for k in range(len(photographs)) if k % _HELD_OUT == 0]
    for number in range(count):
        is_held_out = number % 10 == 0
        chosen = validation if is_held_out else training
        is_face = random.random() < _FACE_SHARE
        if is_face:
            # Faces are few: validation takes other cameras and other pictures of the same people.
            own = [k for k in range(len(faces)) if (k % 5 == 0) == is_held_out]
            scene = _face_scene(*faces[own[int(random.integers(len(own)))]], random)
        else:
            scene = _photo_scene(photographs[chosen[int(random.integers(len(chosen)))]], random)
        place = slice(4 * number, 4 * number + 4)
        around = _photo_scene(photographs[chosen[int(random.integers(len(chosen)))]], random)
        pictures[place] = np.stack(list(_presented(scene, around, random)))
        held_out[place], are_faces[place] = is_held_out, is_face
    scenes = np.repeat(np.arange(count, dtype=np.int32), 4)
    return Presentations(pictures, labels, scenes, held_out, are_faces)


def _presented(scene: Light, around: Light, random: Random) -> Iterator[Picture]:
    first, second = draw_camera(random), draw_camera(random)
    yield bona_fide(scene, first, random)
    yield bona_fide(scene, second, random)
    yield print_attack(scene, first, random, around if random.random() < _BACKGROUND_SHARE else None)
    yield screen_attack(scene, second, random, around if random.random() < _BACKGROUND_SHARE else None)


def _photo_scene(photograph: Picture, random: Random) -> Light:
    height, width = photograph.shape[:2]
    # At least twice the camera's own pixels, so that the photograph's own noise, sharpening and JPEG do not show.
    side = int(np.exp(random.uniform(np.log(500), np.log(min(height, width)))))
    top, left = int(random.integers(height - side + 1)), int(random.integers(width - side + 1))
    return _turned(photograph[top : top + side, left : left + side], random, quarter_turns=int(random.integers(4)))


def _face_scene(picture: Picture, box: tuple[float, ...], random: Random) -> Light:
    height, width = picture.shape[:2]
    side = min(max(box[2] - box[0], box[3] - box[1]) * random.uniform(0.9, 1.7), height, width)
    x, y = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) + random.uniform(-0.06, 0.06, 2) * side
    left, top = (int(np.clip(c - side / 2, 0, n - side)) for c, n in ((x, width), (y, height)))
    return _turned(picture[top : top + int(side), left : left + int(side)], random, quarter_turns=0)


def _turned(part: Picture, random: Random, *, quarter_turns: int) -> Light:
    part = np.rot90(part, quarter_turns)
    if random.random() < 0.5:
        part = part[:, ::-1]
    method = cv2.INTER_AREA if part.shape[0] > _SCENE_SIDE else cv2.INTER_CUBIC
    sized = cv2.resize(np.ascontiguousarray(part), (_SCENE_SIDE, _SCENE_SIDE), interpolation=method)
    light = to_linear(np.asarray(sized, np.float32) / 255)
    # Other skins and other light: the exponent darkens and the factors tint.
    tint = np.exp(random.normal(0, 0.12, 3)).astype(np.float32)
    return np.asarray(np.clip(light ** np.float32(np.exp(random.normal(0, 0.25))) * tint, 0, 1), np.float32)


def main(arguments: list[str]) -> None:
    """Write the presentations as one file."""
    parser = argparse.ArgumentParser(description="presentations for the texture network")
    parser.add_argument("--packages", type=Path, required=True, help="folder of the Debian packages")
    parser.add_argument("--portrait", type=Path, required=True, help="astronaut.png of scikit-image 0.25.2")
    parser.add_argument("--clips", type=Path, default=_ROOT / "demo" / "people")
    parser.add_argument("--scenes", type=int, default=4500)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    clips = sorted(options.clips.glob("live_*.mp4"))
    faces = read_faces(clips, options.portrait, _ROOT / "models")
    made = make_presentations(read_photographs(options.packages), faces, options.scenes)
    with options.out.open("wb") as out:
        np.savez(
            out,
            pictures=made.pictures,
            labels=made.labels,
            scenes=made.scenes,
            are_held_out=made.are_held_out,
            are_faces=made.are_faces,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
