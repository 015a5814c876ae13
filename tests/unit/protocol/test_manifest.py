"""Manifests of network files."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from protocol.manifest import ModelManifest


def manifest(**changes: Any) -> dict[str, Any]:
    digest = "0" * 64
    tensor = {"name": "in", "role": "image", "shape": (1, 8, 8, 3), "dtype": "int8", "scale": 1.0, "zero_point": -128}
    return {
        "name": "passive",
        "task": "texture",
        "file": "passive.tflite",
        "sha256": digest,
        "description": "",
        "inputs": (tensor,),
        "outputs": (tensor | {"name": "out", "role": "bona_fide", "shape": (1, 1)},),
        "preprocessing": {
            "width": 8, "height": 8, "colour_order": "BGR", "multiply": 1.0, "add": 0.0, "box_scale": 2.7, "region": "",
        },
        "provenance": {
            "registry": "operator", "package": "", "version": "", "package_sha256": digest, "path": "",
            "file_sha256": digest, "licence": "", "notes": "",
        },
        "calibration": {"recipe": "", "faces": "", "count": 1},
    } | changes  # fmt: skip


def test_texture_network_names_its_region_and_its_score() -> None:
    assert ModelManifest.model_validate(manifest()).preprocessing.box_scale == 2.7


@pytest.mark.parametrize("missing", ["box_scale", "bona_fide"])
def test_texture_network_without_region_or_score_is_refused(missing: str) -> None:
    parts = manifest()
    if missing == "box_scale":
        del parts["preprocessing"]["box_scale"]
    else:
        parts["outputs"][0]["role"] = "features"
    with pytest.raises(ValidationError, match="box_scale and an output with role bona_fide"):
        ModelManifest.model_validate(parts)


def test_other_networks_need_no_region() -> None:
    parts = manifest(task="features")
    del parts["preprocessing"]["box_scale"]
    assert ModelManifest.model_validate(parts).preprocessing.box_scale is None
