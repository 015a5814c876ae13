"""`lifecert-models import-pad` on weight files of the real kind, where they are at hand, and on bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from device.adapters.inference_tflite import open_network, open_networks
from device.vision.texture import TextureScorer
from models.cli import app
from models.tools.evaluate_index import read_picture
from models.tools.import_pad import box_scale_of

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
WEIGHTS = SHARED / "weights" / "minifasnet"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the private weight files are not here")


def run(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["import-pad", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.fixture(scope="module", params=["float", "int8"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "int8" and not list((ROOT / ".build").glob("venv-*/finished")):
        pytest.skip("the quantiser's environment is not here; lifecert-models build makes it")
    out = tmp_path_factory.mktemp(request.param)
    asked = ["--float"] if request.param == "float" else ["--workdir", ROOT / ".build"]
    code, said = run(WEIGHTS / "2.7_80x80_MiniFASNetV2.pth", out, *asked)
    assert code == 0, said
    assert f"{'float32' if request.param == 'float' else 'int8'}, region 2.7 face boxes" in said
    return out / "texture_operator.toml"


@needs_weights
def test_imported_network_fills_the_terminals_slot_on_both_runtimes(imported: Path, runtime: str) -> None:
    network = open_network(imported, runtime=runtime)  # type: ignore[arg-type]  # one of the two literals
    steps = network.manifest.preprocessing
    assert (steps.colour_order, steps.box_scale) == ("BGR", 2.7)
    picture = np.random.Generator(np.random.PCG64(5)).integers(0, 256, (200, 200, 3), np.uint8)
    dark = TextureScorer(network).score(picture >> np.uint8(2), (60, 60, 140, 140))
    assert dark != TextureScorer(network).score(picture, (60, 60, 140, 140))
    chosen = open_networks(ROOT / "models", texture=imported)
    assert chosen.texture is not None
    assert chosen.texture.manifest.provenance.registry == "operator"


@needs_weights
def test_imported_network_tells_the_publishers_three_samples_apart(imported: Path) -> None:
    folder = SHARED / "eval" / "pad"
    if not folder.is_dir():
        pytest.skip("the private evaluation data is not here")
    networks = open_networks(ROOT / "models", texture=imported)
    assert networks.texture is not None
    from device.vision.detection import FaceDetector  # only where data is at hand
    from models.tools.evaluate_pad import read_presentations  # likewise

    scorer, detector = TextureScorer(networks.texture), FaceDetector(networks.detection)
    scores: dict[str, list[float]] = {"bonafide": [], "attack": []}
    for item in read_presentations(folder / "index.csv"):
        if item.source.startswith("silent-face"):
            picture = read_picture(item.path)
            assert picture is not None
            scores[item.label].append(scorer.score(picture, detector.detect(picture)[0].box))
    assert [len(found) for found in scores.values()] == [1, 2]
    assert min(scores["bonafide"]) > 0.9 > 0.1 > max(scores["attack"])


def test_shipped_folder_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / "2.7_net.pth"
    weights.write_bytes(b"")
    code, said = run(weights, ROOT / "models")
    assert code == 1
    assert "is shipped" in said
    assert not (ROOT / "models" / "texture_operator.tflite").exists()


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04" + bytes(40)])
def test_other_file_ends_with_one_line_and_nothing_written(tmp_path: Path, content: bytes) -> None:
    weights = tmp_path / "2.7_net.pth"
    weights.write_bytes(content)
    code, said = run(weights, tmp_path / "out")
    assert code == 1
    assert said.strip().startswith("2.7_net.pth: is no whole PyTorch state dict")
    assert "\n" not in said.strip()
    assert not (tmp_path / "out").exists()


def test_missing_box_scale_is_a_usage_error(tmp_path: Path) -> None:
    code, said = run(tmp_path / "net.pth", tmp_path / "out")
    assert code == 2
    assert "--box-scale" in said


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("2.7_80x80_MiniFASNetV2.pth", 2.7),
        ("4_0_0_80x80_MiniFASNetV1SE.pth", 4.0),
        ("net.pth", None),
        ("0_a.pth", None),
    ],
)
def test_box_scale_is_the_number_the_name_begins_with(name: str, scale: float | None) -> None:
    assert box_scale_of(Path(name)) == scale
