"""The page and the schema of rule packs are those of the code."""

from __future__ import annotations

import json
import runpy
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from protocol.shipped_packs import SHIPPED, shipped_text

DOCS = Path(__file__).parents[4] / "docs"


def test_page_and_schema_are_current() -> None:
    made = runpy.run_path(str(DOCS / "build_rules.py"))
    assert (DOCS / "rules.md").read_text(encoding="utf-8") == made["page"](), "run docs/build_rules.py"
    assert (DOCS / "rule-pack.schema.json").read_text(encoding="utf-8") == made["schema"](), "run docs/build_rules.py"


@pytest.mark.parametrize("pack_id", SHIPPED)
def test_shipped_packs_are_valid_by_the_published_schema(pack_id: str) -> None:
    validator = Draft202012Validator(json.loads((DOCS / "rule-pack.schema.json").read_text(encoding="utf-8")))
    pack = json.loads(json.dumps(tomllib.loads(shipped_text(pack_id)), default=str))
    validator.validate(pack)
    for key, wrong in (("version", 0), ("cycle", {"kind": "weekly"}), ("counts", ["photo"]), ("pack_id", "lz")):
        with pytest.raises(ValidationError):
            validator.validate({**pack, key: wrong})
