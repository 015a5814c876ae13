"""Reports that wait on the disk until the fleet's receipt names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from device.adapters.reports_files import FileReportStore
from device.errors import ReportsUnavailable
from protocol.envelope import sha256_of
from protocol.receipts import ReceiptItem, Verdict

pytestmark = pytest.mark.provisioning


def item(digest: str, verdict: Verdict = Verdict.STORED) -> ReceiptItem:
    return ReceiptItem(sha256=digest, verdict=verdict)


def test_a_report_waits_until_a_receipt_names_it(tmp_path: Path) -> None:
    store = FileReportStore(tmp_path / "reports")
    assert store.unsettled() == ()
    store.settle([item("0" * 64)])
    first, second = store.put(b"one"), store.put(b"two")
    assert first == sha256_of(b"one")
    assert {found.sha256: found.envelope for found in store.unsettled()} == {first: b"one", second: b"two"}
    store.settle([item(first), item("f" * 64)])
    assert [found.sha256 for found in FileReportStore(tmp_path / "reports").unsettled()] == [second]
    store.settle([item(second, Verdict.REFUSED)])
    assert store.unsettled() == ()


def test_a_file_that_is_not_what_its_name_says_is_not_sent(tmp_path: Path) -> None:
    store = FileReportStore(tmp_path)
    digest = store.put(b"whole")
    (tmp_path / f"{digest}.jws").write_bytes(b"wh")
    assert store.unsettled() == ()


def test_only_the_newest_that_were_sent_stay(tmp_path: Path) -> None:
    store = FileReportStore(tmp_path)
    for number in range(14):
        store.settle([item(store.put(bytes([number])))])
    assert len(list(tmp_path.iterdir())) == 10


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    with pytest.raises(ReportsUnavailable, match="reports"):
        FileReportStore(tmp_path / "reports").put(b"one")
