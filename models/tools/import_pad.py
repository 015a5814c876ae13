"""`lifecert-models import-pad`: an operator's own MiniFASNet weights become a texture network of the terminal.

The weights stay the operator's: nothing is fetched or shipped, and the files are written where the operator says.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from device.adapters.inference_tflite import open_network
from device.vision.detection import FaceDetector
from device.vision.texture import texture_region
from models.errors import ModelsError
from models.tools.build import CLIPS_FOLDER, REQUIREMENTS, Layout, prepare_environment, run
from models.tools.golden import vector
from models.tools.golden import write as write_golden
from models.tools.manifests import read_tensors, to_toml
from models.tools.minifasnet import FLOAT_TAIL, SIZE, emit, read_network
from models.tools.mobilefacenet import fold_slopes
from models.tools.pictures import apply, draw_change, read_clip
from models.tools.torch_weights import read_state_dict
from protocol.manifest import Calibration, ModelManifest, Preprocessing, Provenance

NAME = "texture_operator"
"""Of the files that are written, with `.tflite`, `.toml` and `.npz`."""
LARGEST_MEAN_DIFFERENCE = 0.05
"""Of int8 and float scores over the pictures that calibration did not see; above it the float network is kept.

Source: of the publisher's two networks .030 (2.7_80x80_MiniFASNetV2) and .002 (4_0_0_80x80_MiniFASNetV1SE) were found, at which AUC on both
real sources stayed within .01 of float; a converter's mistake costs more than a little above that.
"""
_CALIBRATION_PICTURES = 32
_COMPARISON_PICTURES = 16
_SEED = 20190517
# Not every change leaves a face that is found.
_MOST_ROUNDS = 4


class NotImported(ModelsError):
    """The import cannot be done as asked; nothing was written."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import wrote."""

    network: Path
    manifest: Path
    is_int8: bool
    differences: tuple[float, float] | None
    """Mean and largest of int8 and float scores, 0..1; None where int8 was not asked for."""


def _pattern() -> NDArray[np.uint8]:
    """Return the picture of the golden vector, uint8 (80, 80, 3): waves of all sizes, the same in every import."""
    y, x, channel = np.mgrid[0:SIZE, 0:SIZE, 0:3].astype(np.float64)
    waves = np.sin(x * x * (channel + 1) / 400) + np.cos(y * y / 300 + channel)
    return np.asarray(np.rint(127.5 + 63 * waves), np.uint8)


def box_scale_of(weights: Path) -> float | None:
    """Return the box scale that the publisher's file names begin with (`2.7_80x80_...`, `4_0_0_80x80_...`), or None."""
    match = re.match(r"(\d(?:\.\d{1,2})?)_", weights.name)
    return float(match[1]) if match and 0.5 <= float(match[1]) <= 8 else None


def import_pad(weights: Path, out: Path, layout: Layout, *, box_scale: float, keep_float: bool = False) -> Imported:
    """Convert a weight file and write network and manifest.

    Args:
        weights: PyTorch state dict of a MiniFASNet for 80 x 80 pictures.
        out: folder that gets `texture_operator.tflite`, `.toml` and `.npz`; made where it is not there.
        layout: of the source tree; its work folder holds the quantiser's environment.
        box_scale: how many times the face box the network saw in training.
        keep_float: do not quantise; needs no environment of the quantiser.

    Raises:
        WeightsInvalid: if the file is none of those.
        NotImported: if the folder is the one that ships, or cannot be written.
        BuildFailed: if quantisation ends with an error.
    """
    if out.resolve() == layout.destination.resolve():
        raise NotImported(f"{out}: what lies in this folder is shipped; an operator's network belongs elsewhere")
    network = read_network(read_state_dict(weights))
    float_file = emit(replace(network, layers=fold_slopes(network.layers)))
    int8_file, differences = (None, None) if keep_float else _int8_and_loss(float_file, weights, layout, box_scale)
    is_int8 = int8_file is not None and differences is not None and differences[0] <= LARGEST_MEAN_DIFFERENCE
    data = int8_file if int8_file is not None and is_int8 else float_file
    manifest = _manifest(data, weights, box_scale, is_int8=is_int8)
    paths = out / manifest.file, out / f"{NAME}.toml"
    try:
        out.mkdir(parents=True, exist_ok=True)
        paths[0].write_bytes(data)
        paths[1].write_text(to_toml(manifest), encoding="utf-8")
        write_golden({NAME: vector(_pattern(), open_network(paths[1]))}, out)
    except OSError as error:
        raise NotImported(f"{out}: cannot be written: {error.strerror}") from error
    return Imported(*paths, is_int8, differences)


def face_crops(layout: Layout, box_scale: float, count: int) -> NDArray[np.uint8]:
    """Return what the network would see of rendered people and attacks, uint8 (count, 80, 80, 3) BGR.

    Raises:
        NotImported: if the source tree has no clips with faces.
    """
    detector = FaceDetector(open_network(layout.destination / "face_detection.toml"))
    clips = sorted((layout.root / CLIPS_FOLDER).glob("*.mp4"))
    frames = [frame for clip in clips for frame in read_clip(clip)]
    generator = np.random.Generator(np.random.PCG64(_SEED))
    crops = []
    for index in np.concatenate([generator.permutation(len(frames)) for _ in range(_MOST_ROUNDS)]):
        picture = apply(frames[index], draw_change(generator), generator)
        faces = detector.detect(picture)
        if faces:
            left, top, right, bottom = texture_region(picture.shape, faces[0].box, box_scale)
            crop = cv2.resize(picture[top:bottom, left:right], (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            crops.append(crop[..., ::-1])
        if len(crops) == count:
            return np.asarray(np.stack(crops), np.uint8)
    raise NotImported(f"found {len(crops)} faces in {CLIPS_FOLDER}, calibration needs {count}")


def _int8_and_loss(
    float_file: bytes, weights: Path, layout: Layout, box_scale: float
) -> tuple[bytes, tuple[float, float]]:
    """Return the int8 file, and mean and largest difference of its scores from float on pictures it was not calibrated on."""
    crops = face_crops(layout, box_scale, _CALIBRATION_PICTURES + _COMPARISON_PICTURES)
    shown, unseen = crops[:_CALIBRATION_PICTURES], crops[_CALIBRATION_PICTURES:]
    with tempfile.TemporaryDirectory(prefix="import-pad-") as temporary:
        folder = Path(temporary)
        int8_file = _quantized(float_file, shown, layout, folder)
        scores = [
            _scores(data, _manifest(data, weights, box_scale, is_int8=False), unseen, folder)
            for data in (float_file, int8_file)
        ]
    differences = np.abs(scores[0] - scores[1])
    return int8_file, (float(differences.mean()), float(differences.max()))


def _quantized(data: bytes, crops: NDArray[np.uint8], layout: Layout, folder: Path) -> bytes:
    layout.workdir.mkdir(parents=True, exist_ok=True)
    python = prepare_environment(layout.root / REQUIREMENTS, layout.workdir)
    network, pictures, result = folder / "float.tflite", folder / "crops.npy", folder / "int8.tflite"
    network.write_bytes(data)
    np.save(pictures, crops)
    command = [str(python), "-m", "models.tools.pad_quantize", "--network", str(network), "--crops", str(pictures)]
    run([*command, "--float-tail", str(FLOAT_TAIL), "--out", str(result)], layout.root)
    return result.read_bytes()


def _scores(data: bytes, manifest: ModelManifest, crops: NDArray[np.uint8], folder: Path) -> NDArray[np.float64]:
    (folder / manifest.file).write_bytes(data)
    path = folder / f"{NAME}.toml"
    path.write_text(to_toml(manifest), encoding="utf-8")
    network = open_network(path)
    return np.array([float(network.infer(crop[..., ::-1])["bona_fide"].reshape(-1)[0]) for crop in crops])


def _manifest(data: bytes, weights: Path, box_scale: float, *, is_int8: bool) -> ModelManifest:
    inputs, outputs = read_tensors(data, ("bona_fide",))
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return ModelManifest(
        name=NAME,
        task="texture",
        file=f"{NAME}.tflite",
        sha256=hashlib.sha256(data).hexdigest(),
        description="MiniFASNet: the probability of a bona fide presentation, softmax over three classes of which it is the second.",
        inputs=inputs,
        outputs=outputs,
        preprocessing=Preprocessing(
            width=SIZE,
            height=SIZE,
            colour_order="BGR",
            multiply=1.0,
            add=0.0,
            box_scale=box_scale,
            region="the face box enlarged about its centre, moved and reduced to lie in the frame",
        ),
        provenance=Provenance(
            registry="operator",
            package=weights.name,
            version="",
            package_sha256=digest,
            path=weights.name,
            file_sha256=digest,
            licence="the operator's own matter",
            notes="Brought by the operator of this terminal and converted here; what it was trained on is not known to this file.",
        ),
        calibration=Calibration(
            recipe="int8 by ai-edge-quantizer, weights per channel; the last convolution and softmax stay float32"
            if is_int8
            else "none, float32",
            faces="faces of the rendered people and attacks in demo/people, changed in light, colour, noise, size and tilt",
            count=_CALIBRATION_PICTURES if is_int8 else 0,
        ),
    )
