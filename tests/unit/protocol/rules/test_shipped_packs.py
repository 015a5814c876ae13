"""The shipped packs, by dated examples: what each asks of people who came then and there. One table for each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from protocol.errors import Malformed
from protocol.rules.acts import Act, ActKind, Channel
from protocol.rules.obligations import CertificationState, Entitled, obligation, state_on, strictest
from protocol.rules.pack import AnnualWindow, HalfYears, Rolling, RulePack, parse_pack
from protocol.shipped_packs import DEFAULT, SHIPPED, shipped_pack, shipped_text

MakeAct = Callable[..., Act]
OLD = Entitled(date(2015, 3, 1), date(1940, 2, 29))
NEVER = CertificationState.NEVER_CERTIFIED
CERTIFIED = CertificationState.CERTIFIED
DUE = CertificationState.DUE
EXPIRING = CertificationState.EXPIRING
OVERDUE = CertificationState.OVERDUE


def asked(pack_id: str, entitled: Entitled, days: list[str], act: MakeAct) -> tuple[str, str, str]:
    found = obligation(shipped_pack(pack_id), entitled, [act(day) for day in days])
    return str(found.opens), str(found.due), str(found.stop_from)


def state(pack_id: str, days: list[str], today: str, act: MakeAct, entitled: Entitled = OLD) -> CertificationState:
    found = obligation(shipped_pack(pack_id), entitled, [act(day) for day in days])
    return state_on(found, date.fromisoformat(today))


@pytest.mark.parametrize("pack_id", SHIPPED)
def test_every_shipped_pack_is_whole_and_names_its_sources(pack_id: str) -> None:
    pack = shipped_pack(pack_id)
    assert pack.pack_id == pack_id
    assert pack.title.zh
    assert pack.title.en
    assert pack.help_line
    assert parse_pack(shipped_text(pack_id)) == pack


def test_an_unknown_pack_is_not_shipped() -> None:
    with pytest.raises(KeyError):
        shipped_text("XX-2000")


@pytest.mark.parametrize(
    ("days", "opens", "due", "stop"),
    [
        ([], "2019-01-01", "2019-06-30", "2019-12-21"),
        # R2-2: once in each half of the year.
        (["2019-02-10"], "2019-07-01", "2019-12-31", "2020-12-21"),
        (["2019-02-10", "2019-08-01"], "2020-01-01", "2020-06-30", "2020-12-21"),
        # R2-4: who came in June comes again after September.
        (["2019-06-15"], "2019-09-15", "2019-12-31", "2020-12-21"),
        (["2019-06-30"], "2019-09-30", "2019-12-31", "2020-12-21"),
        # R2-3: too early in the second half counts for nothing, and the first one stays.
        (["2019-06-15", "2019-07-01"], "2019-09-15", "2019-12-31", "2020-12-21"),
        (["2019-06-15", "2019-09-14"], "2019-09-15", "2019-12-31", "2020-12-21"),
        (["2019-06-15", "2019-09-15"], "2020-01-01", "2020-06-30", "2020-12-21"),
        # A second visit in the same half changes nothing.
        (["2019-01-02", "2019-06-30"], "2019-07-01", "2019-12-31", "2020-12-21"),
        # The gap reaches over New Year, too.
        (["2019-12-20"], "2020-03-20", "2020-06-30", "2020-12-21"),
        # Who came in neither half of 2019 and in the first of 2020 is stopped in neither year's December from then on.
        (["2020-03-01"], "2020-07-01", "2020-12-31", "2021-12-21"),
    ],
)
def test_r2_1_r2_2_r2_3_r2_4_lanzhou_asks_twice_a_year_three_months_apart(
    days: list[str], opens: str, due: str, stop: str, act: MakeAct
) -> None:
    assert asked("LZ-2019", OLD, days, act) == (opens, due, stop)


def test_r2_4_the_other_reading_waits_for_the_month_after(act: MakeAct, varied: Callable[..., RulePack]) -> None:
    pack = varied("LZ-2019", cycle={"kind": "half_years", "gap_months": 3, "gap_reading": "month"})
    for day in ("2019-06-01", "2019-06-15", "2019-06-30"):
        assert obligation(pack, OLD, [act(day)]).opens == date(2019, 10, 1)
    assert obligation(pack, OLD, [act("2019-06-15"), act("2019-09-30")]).due == date(2019, 12, 31)
    assert obligation(pack, OLD, [act("2019-06-15"), act("2019-10-01")]).due == date(2020, 6, 30)


@pytest.mark.parametrize(
    ("days", "today", "expected"),
    [
        ([], "2019-03-01", NEVER),
        (["2019-02-10"], "2019-06-30", CERTIFIED),
        (["2019-02-10"], "2019-07-01", DUE),
        (["2019-02-10"], "2019-12-02", EXPIRING),
        (["2019-02-10"], "2019-12-31", EXPIRING),
        (["2019-02-10"], "2020-01-01", OVERDUE),
        (["2019-06-15"], "2019-09-14", CERTIFIED),
        (["2019-06-15"], "2019-09-15", DUE),
    ],
)
def test_lanzhou_states(days: list[str], today: str, expected: CertificationState, act: MakeAct) -> None:
    assert state("LZ-2019", days, today, act) is expected


def test_r7_1_lanzhou_stops_after_20_december_only_who_did_not_come_all_year(act: MakeAct) -> None:
    pack = shipped_pack("LZ-2019")
    assert obligation(pack, OLD, []).stop_from == date(2019, 12, 21)
    assert obligation(pack, OLD, [act("2019-01-01")]).stop_from == date(2020, 12, 21)
    assert obligation(pack, OLD, [act("2019-12-20")]).stop_from == date(2020, 12, 21)
    assert obligation(pack, OLD, [act("2018-12-31")]).stop_from == date(2019, 12, 21)


@pytest.mark.parametrize(
    ("started", "days", "opens", "due", "stop"),
    [
        ("2015-03-01", [], "2017-08-15", "2017-10-31", "2017-12-01"),
        ("2017-06-30", [], "2017-08-15", "2017-10-31", "2017-12-01"),
        # R2-9: not on the list of the end of June, so not asked this year.
        ("2017-07-01", [], "2018-08-15", "2018-10-31", "2018-12-01"),
        ("2015-03-01", ["2017-08-15"], "2018-08-15", "2018-10-31", "2018-12-01"),
        # Late, and yet for this year: restored (R7-6).
        ("2015-03-01", ["2018-02-01"], "2018-08-15", "2018-10-31", "2018-12-01"),
    ],
)
def test_r2_6_r2_9_r7_3_shijiazhuang_has_a_window_a_key_date_and_stops_on_1_december(
    started: str, days: list[str], opens: str, due: str, stop: str, act: MakeAct
) -> None:
    assert asked("SJZ-2017", Entitled(date.fromisoformat(started)), days, act) == (opens, due, stop)


def test_r2_14_who_was_not_passed_is_collected_again_by_the_unit_until_the_end_of_october(act: MakeAct) -> None:
    pack = shipped_pack("SJZ-2017")
    for day, due in (("2017-10-31", date(2018, 10, 31)), ("2017-08-14", date(2017, 10, 31))):
        assert obligation(pack, OLD, [act(day, ActKind.SPECIAL, Channel.UNIT)]).due == due
    assert state_on(obligation(pack, OLD, []), date(2017, 10, 31)) is NEVER
    collected = obligation(pack, OLD, [act("2017-10-31", ActKind.SPECIAL, Channel.UNIT)])
    assert state_on(collected, date(2017, 12, 1)) is CERTIFIED


@pytest.mark.parametrize(
    ("started", "days", "opens", "due", "stop"),
    [
        ("2020-06-30", [], "2020-11-01", "2020-12-20", "2021-01-01"),
        # R2-10: began after 30 June 2020.
        ("2020-07-01", [], "2021-11-01", "2021-12-20", "2022-01-01"),
        ("2015-01-01", ["2020-11-01"], "2021-11-01", "2021-12-20", "2022-01-01"),
        ("2015-01-01", ["2020-12-20"], "2021-11-01", "2021-12-20", "2022-01-01"),
        # Before the window: for the year before, which asked for nothing.
        ("2015-01-01", ["2020-10-31"], "2020-11-01", "2020-12-20", "2021-01-01"),
    ],
)
def test_r2_7_r2_10_r7_11_huzhou_has_a_window_and_compares_data_before_anything_stops(
    started: str, days: list[str], opens: str, due: str, stop: str, act: MakeAct
) -> None:
    assert asked("HZ-2020", Entitled(date.fromisoformat(started)), days, act) == (opens, due, stop)
    assert shipped_pack("HZ-2020").stop.after == "data_comparison"


@pytest.mark.parametrize(
    ("days", "opens", "due", "stop"),
    [
        ([], "2018-01-01", "2018-06-20", "2018-07-01"),
        (["2018-06-20"], "2019-01-01", "2019-06-20", "2019-07-01"),
        # R7-5: verified again after the stop, restored, and asked again next year.
        (["2018-09-03"], "2019-01-01", "2019-06-20", "2019-07-01"),
    ],
)
def test_r2_8_r7_4_guangzhou_asks_until_20_june_and_stops_in_july(
    days: list[str], opens: str, due: str, stop: str, act: MakeAct
) -> None:
    assert asked("GZ-2018", OLD, days, act) == (opens, due, stop)


@pytest.mark.parametrize(
    ("days", "due", "stop"),
    [
        ([], "2019-07-14", "2019-08-01"),
        (["2018-08-01"], "2019-08-01", "2019-09-01"),
        (["2024-02-29"], "2025-02-28", "2025-03-01"),
        (["2023-02-28"], "2024-02-28", "2024-03-01"),
        (["2018-08-01", "2018-12-31"], "2019-12-31", "2020-01-01"),
    ],
)
def test_r2_5_shanxi_asks_again_within_twelve_months_of_the_last_pass(
    days: list[str], due: str, stop: str, act: MakeAct
) -> None:
    assert asked(DEFAULT, OLD, days, act)[1:] == (due, stop)


def test_r2_11_shanxi_forbids_windows_and_places_and_has_none() -> None:
    pack = shipped_pack("SX-2018")
    assert set(pack.forbids) == {"fixed_window", "central_place"}
    assert isinstance(pack.cycle, Rolling)
    assert not pack.channels


def test_r2_12_lanzhou_takes_the_network_and_binds_nobody_to_a_counter() -> None:
    assert {Channel.TERMINAL, Channel.APP, Channel.PC, Channel.HOME_VISIT} <= set(shipped_pack("LZ-2019").channels)


@pytest.mark.parametrize(
    "channel", [Channel.PC, Channel.COUNTER, Channel.UNIT, Channel.HOME_VISIT, Channel.REMOTE_FORM]
)
def test_r4_5_shijiazhuang_takes_online_on_site_at_home_and_from_afar_together(channel: Channel, act: MakeAct) -> None:
    pack = shipped_pack("SJZ-2017")
    assert obligation(pack, OLD, [act("2017-09-01", ActKind.SPECIAL, channel)]).due == date(2018, 10, 31)
    assert obligation(pack, OLD, [act("2017-09-01", ActKind.SPECIAL, Channel.PARTNER)]).due == date(2017, 10, 31)


@pytest.mark.parametrize("pack_id", ["SX-2018", "HZ-2020", "GZ-2018"])
def test_r4_12_r4_17_r4_25_a_session_at_a_bank_counts(pack_id: str, act: MakeAct) -> None:
    assert obligation(shipped_pack(pack_id), OLD, [act("2020-11-15", ActKind.LIVE, Channel.BANK)]).last is not None


@pytest.mark.parametrize(
    ("pack_id", "kind", "counts"),
    [
        ("LZ-2019", ActKind.ENROLMENT, True),  # R1-1
        ("LZ-2019", ActKind.SPECIAL, True),  # R6-5
        ("LZ-2019", ActKind.SILENT, False),
        ("SX-2018", ActKind.SILENT, True),  # R4-27
        ("SX-2018", ActKind.ACCEPTED, True),  # R8-13
        ("GZ-2018", ActKind.ACCEPTED, True),  # R4-23
        ("GZ-2018", ActKind.SILENT, False),
        ("HZ-2020", ActKind.SILENT, True),  # R4-28
        ("SJZ-2017", ActKind.ACCEPTED, True),  # R4-5
        ("SJZ-2017", ActKind.SILENT, False),
    ],
)
def test_what_counts_as_certification_is_the_packs_word(
    pack_id: str, kind: ActKind, counts: bool, act: MakeAct
) -> None:
    pack = shipped_pack(pack_id)
    channel = Channel.TERMINAL if kind is ActKind.ENROLMENT else Channel.PHOTOGRAPHS
    found = obligation(pack, OLD, [act("2021-05-05", kind, channel if pack.channels else Channel.DATA)])
    assert (found.last is not None) is counts


def test_r1_1_the_first_enrolment_is_a_certification_everywhere() -> None:
    assert all(ActKind.ENROLMENT in shipped_pack(pack_id).counts for pack_id in SHIPPED)


def test_r1_3_r1_6_where_the_first_reference_is_made_differs_by_region() -> None:
    assert Channel.PC in shipped_pack("LZ-2019").enrolment.first_at
    assert Channel.PC not in shipped_pack("GZ-2018").enrolment.first_at


def test_r1_14_r1_17_r1_18_photo_rules_are_data() -> None:
    assert (shipped_pack("SJZ-2017").photos.min_width_px, shipped_pack("SJZ-2017").photos.min_height_px) == (640, 480)
    assert shipped_pack("SJZ-2017").photos.size_inches == 2
    assert shipped_pack("SJZ-2017").photos.ground == "white"
    assert shipped_pack("LZ-2019").photos.max_bytes == 2 * 1024 * 1024
    assert shipped_pack("LZ-2019").photos.special_photographs == 2


def test_r1_19_r1_20_no_pack_lets_a_photograph_certify() -> None:
    assert not any(shipped_pack(pack_id).enrolment.photo_may_certify for pack_id in SHIPPED)
    with pytest.raises(Malformed, match="photo_may_certify"):
        parse_pack(shipped_text("GZ-2018") + "photo_may_certify = true\n")


def test_r3_12_huzhou_advises_a_channel_for_each_class() -> None:
    advice = shipped_pack("HZ-2020").advice
    assert {advice[name] for name in ("企业职工基本养老保险", "城乡居民基本养老保险", "工伤保险")} == {"浙里办"}
    assert {advice[name] for name in ("被征地农民基本生活保障", "机关事业养老保险")} == {"湖州市民卡"}


def test_r6_2_r8_1_r8_2_clocks_are_data() -> None:
    assert shipped_pack("LZ-2019").clocks.review_days == 14
    assert shipped_pack("SX-2018").clocks.family_report_days == 7
    assert shipped_pack("SX-2018").clocks.unit_report_days == 3


def test_r7_14_r7_18_recovery_is_data() -> None:
    assert shipped_pack("SJZ-2017").recovery.no_trace_months == 3
    fine = shipped_pack("SX-2018").recovery
    assert (fine.fine_from_times, fine.fine_to_times) == (2, 5)


def test_r9_3_every_pack_names_a_help_line() -> None:
    assert shipped_pack("LZ-2019").help_line == "400-900-4889"
    assert shipped_pack("HZ-2020").help_line == "12333"


def test_two_packs_at_once_the_strictest_decides_and_each_gives_its_reason(act: MakeAct) -> None:
    acts = [act("2019-05-20")]
    half_years = obligation(shipped_pack("LZ-2019"), OLD, acts)
    rolling = obligation(shipped_pack("SX-2018"), OLD, acts)
    assert (half_years.due, rolling.due) == (date(2019, 12, 31), date(2020, 5, 20))
    assert strictest([rolling, half_years]) is half_years
    assert {found.pack_id for found in (half_years, rolling)} == {"LZ-2019", "SX-2018"}


def test_cycles_of_the_five_packs() -> None:
    kinds = {pack_id: type(shipped_pack(pack_id).cycle) for pack_id in SHIPPED}
    assert kinds == {
        "LZ-2019": HalfYears,
        "SJZ-2017": AnnualWindow,
        "HZ-2020": AnnualWindow,
        "GZ-2018": AnnualWindow,
        "SX-2018": Rolling,
    }
