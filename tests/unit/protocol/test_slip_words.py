from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from protocol.attestation import KeyStatement
from protocol.documents import DocumentKind, MaskedDocument
from protocol.keys import PrivateKey
from protocol.outcomes import Outcome
from protocol.slip import NextStep, Slip, SlipCheck, SlipVerdict, slip_outcome
from protocol.slip_words import LANGUAGES, check_line, how_to_check, slip_lines, slip_texts

SLIP = Slip(
    fleet_id="demo",
    terminal_id="hall-1",
    statement=KeyStatement("demo", "hall-1", PrivateKey.generate().public(), date(2026, 11, 1), date(2028, 10, 31)),
    record_digest="ab" * 16,
    outcome=Outcome.CERTIFIED,
    certified_until=date(2027, 11, 2),
    decided_on=date(2026, 11, 2),
    clock_certain=True,
    simulated=False,
    document=MaskedDocument(DocumentKind.RESIDENT_ID, "002X"),
    next_step=NextStep.NOTHING,
)


def test_a_slip_is_said_in_chinese_and_english() -> None:
    assert slip_lines(SLIP, "zh") == (
        "养老金领取资格认证结果单",
        "结果：认证成功",
        "有效期至：2027-11-02（含当日）",
        "下一步：无需办理，请在有效期前再来认证",
        "证件：居民身份证，尾号 002X",
        "认证日期：2026-11-02",
        "终端：demo / hall-1",
        f"记录号：{'ab' * 16}",
    )
    assert "Certified until: 2027-11-02 (that day included)" in slip_lines(SLIP, "en")


def test_an_uncertain_day_and_a_demonstration_are_said() -> None:
    said = slip_lines(replace(SLIP, clock_certain=False, simulated=True), "en")
    assert said[1] == "DEMONSTRATION, PROVES NOTHING"
    assert "Date: 2026-11-02 (the terminal was not certain of the date)" in said


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_a_slip_can_say_has_words(language: str) -> None:
    assert how_to_check(language)
    for verdict in SlipVerdict:
        assert check_line(SlipCheck(verdict, None), language)
    for outcome in Outcome:
        for step in NextStep:
            for kind in DocumentKind:
                said = replace(SLIP, outcome=slip_outcome(outcome), next_step=step, document=MaskedDocument(kind, "12"))
                assert all(slip_lines(said, language))


def test_every_text_exists_in_both_languages_and_a_printer_for_the_chinese_market_has_its_characters() -> None:
    for group in slip_texts().values():
        for texts in group.values():
            assert set(texts) == set(LANGUAGES)
            texts["en"].encode("gb2312") if texts["en"] != "中文" else None
            texts["zh"].encode("gb2312")


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of"):
        slip_lines(SLIP, "fr")


def test_only_a_certification_is_called_valid() -> None:
    assert check_line(SlipCheck(SlipVerdict.VALID, SLIP), "en").startswith("Valid")
    for other in (replace(SLIP, outcome=Outcome.REVIEW, certified_until=None), replace(SLIP, simulated=True)):
        check = SlipCheck(SlipVerdict.VALID, other)
        assert check.is_valid
        assert not check.is_certified
        assert check_line(check, "en").startswith("The slip is genuine")
