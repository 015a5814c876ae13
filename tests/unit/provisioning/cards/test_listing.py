from __future__ import annotations

from pathlib import Path

import pytest

from provisioning.cards.listing import COLUMNS, Listed, read_list
from provisioning.errors import FileUnusable, ListRefused

pytestmark = pytest.mark.provisioning
ROOT = Path(__file__).resolve().parents[4]


def read(folder: Path, text: str, encoding: str = "utf-8") -> list[Listed]:
    (folder / "list.csv").write_bytes(text.encode(encoding))
    return read_list(folder / "list.csv", timezone="Asia/Shanghai", wifi_country="CN")


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ListRefused) as error:
        read(folder, text)
    return str(error.value).splitlines()


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
        "hall-6,,Hall,,maybe,\nhall-7,,,,,192.0.2.1\nhall-8\n",
    )
    assert [line.split(":")[1].strip() for line in found] == ["line 10", *(f"line {n}" for n in range(3, 10))]
    for number, told in enumerate(
        [
            "6 columns expected",
            "small letters",
            "terminal hall-1 stands in line 2, too",
            "host name hall-1 stands in line 2, too",
            "the password cannot be read",
            "without wifi_ssid",
            "yes or no",
            "fixed address",
        ]
    ):
        assert told in found[number]


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
