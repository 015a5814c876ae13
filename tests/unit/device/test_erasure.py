"""Whether a trace of what was erased would be found, and is not when there is none."""

from __future__ import annotations

import os
from pathlib import Path

from device.erasure import erase_proof, files_of, overwrite

CONTENT = [os.urandom(200), os.urandom(33)]


def test_a_trace_is_found_in_any_of_the_files_at_any_place_and_even_in_part(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    for side in ("", "-wal", "-shm", "-journal"):
        for offset in range(9):
            path.write_bytes(bytes(100))
            trace = path.with_name(path.name + side)
            trace.write_bytes(bytes(offset) + CONTENT[0][50:65] + bytes(11))
            proof = erase_proof(path, CONTENT)
            assert (proof.is_clean, proof.found) == (False, 1), (side, offset)
        if side:
            path.with_name(path.name + side).unlink()


def test_files_without_a_trace_are_clean_and_the_proof_says_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(os.urandom(5000))
    (tmp_path / "x.sqlite-wal").write_bytes(b"")
    proof = erase_proof(path, CONTENT)
    assert proof.is_clean
    assert (proof.looked_for, proof.looked_for_bytes, proof.searched_bytes) == (2, 233, 5000)
    assert proof.files == ("x.sqlite", "x.sqlite-wal")
    assert proof.digest == erase_proof(path, CONTENT[::-1]).digest != erase_proof(path, CONTENT[:1]).digest


def test_padding_is_no_trace_and_nothing_to_look_for_is_found_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(bytes(64) + b"\x01" * 64)
    assert erase_proof(path, [bytes(64), b"\x01" * 64, b"short"]).is_clean
    assert erase_proof(path, []).is_clean


def test_overwriting_leaves_zeros_of_the_same_length(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(os.urandom(3 * 1024 * 1024 + 7))
    overwrite(path)
    assert path.read_bytes() == bytes(3 * 1024 * 1024 + 7)
    assert files_of(path) == (path,)
