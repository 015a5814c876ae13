from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioning.errors import FileUnusable, FleetUnavailable, JoinRefused, NotTrusted, ProvisioningError
from provisioning.words import FINGERPRINT, line_of, words

pytestmark = pytest.mark.provisioning
ROOT = Path(__file__).resolve().parents[3]
SCRIPT = (ROOT / "provisioning/first_boot/first-boot").read_text(encoding="utf-8")
ON_THE_WAY = {"packages", "programs", "installed", FINGERPRINT, "joined"}
"""What is said where nothing is wrong."""


def all_errors(base: type[ProvisioningError] = ProvisioningError) -> set[type[ProvisioningError]]:
    return {base}.union(*map(all_errors, base.__subclasses__()))


def test_everything_that_is_said_has_words_in_both_languages_and_nothing_else_has() -> None:
    by_script = set(re.findall(r"(?:say|fail) ([a-z_]+)$", SCRIPT, re.MULTILINE))
    by_errors = {error.said for error in all_errors() if error is not JoinRefused}
    assert by_script > ON_THE_WAY - {FINGERPRINT}
    refusals = set(words()) - by_script - by_errors - {FINGERPRINT}
    # What else is there is a code of the fleet's, by the name that the fleet gives it.
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "fleet").rglob("*.py"))
    assert {code for code in refusals - {"refused"} if f'"{code}"' not in source} == set()
    for each in words().values():
        assert re.search("[一-鿿]", each.zh)
        assert each.en.isascii()
        assert "/" not in each.zh + each.en


def test_what_the_fleet_refused_is_said_by_its_code() -> None:
    known = JoinRefused.of(403, b'{"code": "claim_used", "detail": "claim: was used"}')
    assert line_of(known.said, "x").startswith("凭证已被另一台终端使用：另领凭证 / each claim is for one terminal")
    assert str(known) == "the fleet refused (403): claim: was used; get another claim"
    assert line_of(known.said, str(known)).endswith("; get another claim (the fleet refused (403): claim: was used)")
    assert str(JoinRefused.of(403, b'{"code": "claim_revoked", "detail": ""}')).endswith(words()["claim_revoked"].en)
    for body in (b'{"code": "packages_of_another_kind", "detail": "x"}', b"<html>", b"[]"):
        assert JoinRefused.of(500, body).said == "refused"
    taken = JoinRefused.of(403, b'{"code": "has_successor", "detail": "terminal t-1: t-2 has its place already"}')
    assert line_of(taken.said, "x").startswith("这个位置已由另一台终端接替")
    waits = FleetUnavailable.of(429, b'{"code": "too_many_failures", "detail": "too many wrong codes"}')
    assert str(waits) == "the fleet can do nothing just now (429): too many wrong codes; try again in a minute"
    assert line_of(waits.said, "x").startswith("错误太多：稍等一分钟")
    away = FleetUnavailable.of(502, b"<html>")
    assert away.said == "unavailable"
    assert str(away) == "the fleet can do nothing just now (502); try again in a minute"
    assert (NotTrusted("x").said, FileUnusable("x").said) == ("not_trusted", "failed")
    assert line_of("failed", "two\nlines") == "出错，会再试 / it failed, and is tried again (two lines)"


@pytest.mark.parametrize(
    ("page", "language", "heading"),
    [("technician.md", "en", "## When something is wrong"), ("technician.zh.md", "zh", "## 出现问题时")],
)
def test_the_technicians_table_has_every_mistake_as_it_is_written(page: str, language: str, heading: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition(heading)[2].partition("\n| `card`")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    said = {found for row in rows for found in re.findall(r"`([^`]+)`", row)}
    missing = {
        key
        for key, each in words().items()
        if key not in ON_THE_WAY and not any(w in getattr(each, language) for w in said)
    }
    assert missing == set()
