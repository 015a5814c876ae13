from __future__ import annotations

from pathlib import Path

import pytest

from fleet.intake.terminal_list import _COLUMNS as OF_THE_FLEET
from provisioning.cards.listing import ALSO_CALLED, COLUMNS, Listed, read_list
from provisioning.errors import FileUnusable, ListRefused

pytestmark = pytest.mark.provisioning
ROOT = Path(__file__).resolve().parents[4]


def read(folder: Path, text: str, encoding: str = "utf-8") -> list[Listed]:
    (folder / "list.csv").write_bytes(text.encode(encoding))
    found, wrong = read_list(folder / "list.csv", timezone="Asia/Shanghai", wifi_country="CN")
    assert wrong == []
    return found


def problems(folder: Path, text: str) -> list[str]:
    (folder / "list.csv").write_text(text, encoding="utf-8")
    try:
        return read_list(folder / "list.csv", timezone="Asia/Shanghai", wifi_country="CN")[1]
    except ListRefused as error:
        return str(error).splitlines()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_list_is_read_as_spreadsheets_save_it(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "pw").write_text("password\n")
    first, second = read(
        tmp_path,
        "terminal_id,place,area,wifi_ssid,wifi_password_file,address,gateway,dns\r\n"
        'hall-1,"东村, 大厅",620102,Hall,pw,,,\r\n\r\nhall-2,,620102,,,192.0.2.10/24,192.0.2.1,192.0.2.1 192.0.2.2\r\n',
        encoding,
    )
    assert (first.line, first.place, first.host_name, first.timezone) == (2, "东村, 大厅", "hall-1", "Asia/Shanghai")
    assert first.wifi is not None
    assert (first.wifi.country, len(first.wifi.secret)) == ("CN", 64)
    assert second.wired is not None
    assert second.wired.name_servers == ("192.0.2.1", "192.0.2.2")


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "terminal_id,host_name,wifi_ssid,wifi_password_file,wifi_hidden,address\n"
        "hall-1,,,,,\nHall 2,,,,,\nhall-1,other,,,,\nhall-3,hall-1,,,,\nhall-4,,Hall,nowhere,,\nhall-5,,,pw,,\n"
        "hall-6,,Hall,,maybe,\nhall-7,,,,,192.0.2.1\nhall-8\nhall-3,,,,,\n",
    )
    assert [line.split(":")[1].strip() for line in found] == [f"line {n}" for n in (3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 11)]
    for number, told in enumerate(
        [
            "terminal_id: small letters",
            "terminal_id: hall-1 stands in line 2, too",
            "host_name: hall-1 stands in line 2, too",
            "wifi_password_file: nowhere: the password cannot be read",
        ]
    ):
        assert told in found[number]
    assert "6 columns expected" in found[-2]


def test_all_that_is_wrong_with_one_line_is_told_by_column(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("1234567\n")
    headings = ",".join(name for name in COLUMNS if name != "area")
    found = problems(
        tmp_path,
        f"{headings}\nHall 1,{'x' * 121},Hall_1,Asia/Peking,{'村' * 11},short,cn,wpa2,maybe,192.0.2.10,router,dns.example\n"
        "hall-2,,,,Hall,short,CN,wep,,192.0.2.10/24,192.0.3.1,\nhall-3,,,,,short,,open,yes,,192.0.2.1,192.0.2.1\n",
    )
    told = [line.split(": ", 3)[1:] for line in found]
    assert [(line, column) for line, column, _ in told] == [
        *(("line 2", column) for column in ("terminal_id", "place", "host_name", "timezone")),
        *(("line 2", column) for column in ("wifi_ssid", "wifi_country", "wifi_password_file", "wifi_hidden")),
        *(("line 2", column) for column in ("address", "gateway", "dns")),
        *(("line 3", column) for column in ("wifi_security", "gateway")),
        *(("line 4", column) for column in ("wifi_password_file", "wifi_security", "wifi_hidden", "gateway", "dns")),
    ]
    assert {problem for line, _, problem in told if line == "line 4"} == {"without wifi_ssid", "without address"}
    assert "1234567" not in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("terminal_id,plase\nx,y\n", "column 'plase' is not known, did you mean place?"),
        ("terminal_id,terminal_id\nx,y\n", "stands there twice"),
        ("place\nx\n", "no column terminal_id"),
        ("", "no column terminal_id"),
        ("terminal_id\n", "no terminal in it"),
        ('terminal_id\n"x\n', "not CSV"),
    ],
)
def test_what_is_no_list_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in "\n".join(problems(tmp_path, text))


def test_a_workbook_or_another_encoding_is_told(tmp_path: Path) -> None:
    for data in (b"PK\x03\x04", b"terminal_id\n\xff\xff\xff\n"):
        (tmp_path / "list.csv").write_bytes(data)
        with pytest.raises(FileUnusable, match=r"CSV UTF-8|not a CSV file"):
            read_list(tmp_path / "list.csv", timezone="Asia/Shanghai", wifi_country=None)


@pytest.mark.parametrize("page", ["technician.md", "technician.zh.md"])
def test_both_pages_for_technicians_name_every_column(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [name for name in COLUMNS if f"`{name}`" not in text] == []


def test_the_offices_headings_are_taken_as_the_office_writes_them(tmp_path: Path) -> None:
    assert {(other, name) for name, column in OF_THE_FLEET.items() for other in column.headings} == set(
        ALSO_CALLED.items()
    )
    for headings in ("终端编号,区划代码", "终端,地区", "Terminal ID,AREA"):
        (found,) = read(tmp_path, f"{headings}\nhall-1,620102\n")
        assert found.terminal_id == "hall-1"
    assert problems(tmp_path, "终端,terminal_id\nhall-1,hall-1\n") == [
        "list.csv: line 1: column terminal_id stands there twice"
    ]
