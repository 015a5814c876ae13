from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Malformed
from protocol.mrz import parse_zone, zone_check_digit

# Specimens of ICAO Doc 9303, parts 4, 5 and 6; the state of Utopia does not exist.
TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<L898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<7408122F1204159UTO<<<<<<<<<<<6ERIKSSON<<ANNA<MARIA<<<<<<<<<<"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<D231458907UTO7408122F1204159<<<<<<<6"


@pytest.mark.parametrize(
    ("zone", "code", "number"), [(TD3, "P", "L898902C3"), (TD1, "I", "D23145890"), (TD2, "I", "D23145890")]
)
def test_specimens_of_all_three_sizes_are_read(zone: str, code: str, number: str) -> None:
    found = parse_zone(zone)
    assert (found.code, found.issuer, found.number) == (code, "UTO", number)


def test_line_breaks_and_blanks_between_the_lines_are_skipped() -> None:
    assert parse_zone(f"{TD3[:44]}\r\n{TD3[44:]}\n") == parse_zone(TD3)


def test_number_longer_than_its_field_goes_on_in_the_optional_data() -> None:
    first = "IDUTO123456789<07<<<<<<<<<<<<<"
    second = "8601012M3001019UTO<<<<<<<<<<<"
    zone = (
        first + second + zone_check_digit(first[5:] + second[:7] + second[8:15] + second[18:]) + "A<<B".ljust(30, "<")
    )
    assert parse_zone(zone).number == "1234567890"


def test_empty_personal_number_may_have_a_filler_as_its_check_digit() -> None:
    line = "L898902C36UTO7408122F1204159" + "<" * 15
    zone = TD3[:44] + line + zone_check_digit(line[0:10] + line[13:20] + line[21:43])
    assert parse_zone(zone).number == "L898902C3"


@pytest.mark.parametrize("zone", [TD3, TD1])
@pytest.mark.parametrize("shift", [1, 9])
def test_any_misread_digit_of_the_data_line_is_noticed(zone: str, shift: int) -> None:
    start = 44 if len(zone) == 88 else 5
    for at in (i for i in range(start, start + 20) if zone[i].isdigit()):
        wrong = zone[:at] + str((int(zone[at]) + shift) % 10) + zone[at + 1 :]
        with pytest.raises(Malformed, match="check digit"):
            parse_zone(wrong)


@given(st.text(alphabet="ABCX0189<", min_size=72, max_size=90))
def test_any_text_gives_a_zone_or_one_message(text: str) -> None:
    try:
        found = parse_zone(text)
    except Malformed:
        return
    assert found.number not in repr(found)


@pytest.mark.parametrize("text", ["", "P<UTO", TD3 + "<", TD3.replace("ANNA", "ANN\u00c4")])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="machine-readable zone"):
        parse_zone(text)
