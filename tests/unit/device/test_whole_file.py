"""A file replaced whole by many writers: none fails, none is torn, none leaves anything."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from device.storage import replace_file
from device.whole_file import write_whole


def test_threads_of_one_process_do_not_disturb_one_another(tmp_path: Path) -> None:
    path, failed, torn = tmp_path / "kept.json", list[OSError](), list[int]()
    contents = [letter * 5000 for letter in (b"a", b"b")]
    both = threading.Barrier(2)

    def write(data: bytes) -> None:
        both.wait()
        for _ in range(100):
            try:
                replace_file(path, data)
            except OSError as error:
                failed.append(error)
                continue
            if (found := path.read_bytes()) not in contents:
                torn.append(len(found))

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failed, torn) == ([], [])
    assert [left.name for left in tmp_path.iterdir()] == ["kept.json"]


def test_what_a_killed_writer_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    path = tmp_path / "kept.json"
    left = [f"kept.json.{ended.pid}{rest}" for rest in ("", ".new", ".17.new")]
    stays = [f"kept.json.{os.getpid()}.1.new", f"other.json.{ended.pid}.new", "kept.json.old"]
    for name in left + stays:
        (tmp_path / name).write_bytes(b"half")

    write_whole(path, b"whole")

    assert sorted(left.name for left in tmp_path.iterdir()) == sorted(["kept.json", *stays])
    assert path.read_bytes() == b"whole"


def test_what_somebody_put_where_a_writer_begins_is_never_followed(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "of somebody else", tmp_path / "kept.json"
    elsewhere.write_bytes(b"kept")
    (tmp_path / f"kept.json.{os.getpid()}.{threading.get_native_id()}.new").symlink_to(elsewhere)
    path.symlink_to(elsewhere)

    write_whole(path, b"whole")

    assert elsewhere.read_bytes() == b"kept"
    assert (path.is_symlink(), path.read_bytes()) == (False, b"whole")
