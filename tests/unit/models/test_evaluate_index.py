from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.tools.evaluate_clips import read_events
from models.tools.evaluate_detection import match, read_boxes
from models.tools.evaluate_index import IndexInvalid, read_picture
from models.tools.evaluate_pad import read_presentations
from models.tools.evaluate_verification import read_pairs


@pytest.fixture
def write_index(tmp_path: Path) -> Callable[[str], Path]:
    """Write an index beside two picture files and return its path."""
    folder = tmp_path / "part"
    folder.mkdir()
    for name in ("one.png", "two.png"):
        cv2.imwrite(str(folder / name), np.zeros((4, 4, 3), np.uint8))

    def write(text: str) -> Path:
        path = folder / "index.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_paths_are_relative_to_the_folder_above(write_index: Callable[[str], Path]) -> None:
    (pair,) = read_pairs(write_index("a,b,same,set,fold\npart/one.png,part/two.png,1,lfw,3\n"))
    assert (pair.a.name, pair.b.name, pair.is_same, pair.fold) == ("one.png", "two.png", True, 3)


def test_every_bad_row_is_reported_with_its_line(write_index: Callable[[str], Path]) -> None:
    index = write_index(
        "a,b,same,set,fold\n"
        "part/one.png,part/two.png,1,lfw,1\n"
        "part/none.png,part/two.png,1,lfw,1\n"
        "part/one.png,part/two.png,yes,lfw,1\n"
        "part/one.png,part/two.png,1,lfw,x\n"
        "part/one.png,part/two.png\n"
        "../outside.png,part/two.png,1,lfw,1\n"
    )
    with pytest.raises(IndexInvalid) as caught:
        read_pairs(index)
    lines = caught.value.errors
    assert [line.split(": ")[1] for line in lines] == [f"line {n}" for n in (3, 4, 5, 6, 7)]
    assert "does not exist" in lines[0]
    assert "'yes'" in lines[1]
    assert "'x'" in lines[2]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "a,b,same,set,fold\n"], ids=["empty", "columns", "no rows"])
def test_index_without_data_is_refused(write_index: Callable[[str], Path], text: str) -> None:
    with pytest.raises(IndexInvalid):
        read_pairs(write_index(text))


def test_index_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexInvalid, match="cannot be read"):
        read_pairs(tmp_path / "none.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(IndexInvalid, match="cannot be read"):
        read_pairs(tmp_path / "bytes.csv")


def test_empty_box_is_refused(write_index: Callable[[str], Path]) -> None:
    with pytest.raises(IndexInvalid, match="line 2: box"):
        read_boxes(write_index("file,xmin,ymin,xmax,ymax,name\npart/one.png,5,5,5,9,face\n"))


def test_unknown_event_and_reversed_frames_are_refused(write_index: Callable[[str], Path]) -> None:
    text = "file,event,start_frame,end_frame,source\npart/one.png,yawn,1,2,x\npart/one.png,mouth_open,9,2,x\n"
    with pytest.raises(IndexInvalid) as caught:
        read_events(write_index(text))
    assert len(caught.value.errors) == 2


def test_unknown_presentation_label_is_refused(write_index: Callable[[str], Path]) -> None:
    header = "file,label,kind,subject,clip,source,view,haar_face\n"
    with pytest.raises(IndexInvalid, match="bonafide or attack"):
        read_presentations(write_index(f"{header}part/one.png,real,live,s,,x,crop,1\n"))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n", b"not a picture"])
def test_broken_picture_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    assert read_picture(tmp_path / "broken.png") is None


def test_picture_is_read_as_rgb(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "red.png"), np.full((2, 2, 3), (0, 0, 255), np.uint8))
    picture = read_picture(tmp_path / "red.png")
    assert picture is not None
    assert picture[0, 0].tolist() == [255, 0, 0]


def test_each_label_and_each_detection_is_matched_once() -> None:
    label, near, nearer = (0, 0, 10, 10), (1, 0, 11, 10), (0, 0, 10, 9)
    assert [(i, j) for i, j, _ in match([label], [near, nearer])] == [(0, 1)]
    assert match([label], [(8, 8, 20, 20)]) == []


def test_a_picture_in_two_rows_is_refused(write_index: Callable[[str], Path]) -> None:
    """Its label would be that of whichever row came last."""
    header = "file,label,kind,subject,clip,source,view,haar_face\n"
    index = write_index(f"{header}part/one.png,attack,print,s,,some,,\npart/one.png,bonafide,live,s,,some,,\n")
    with pytest.raises(IndexInvalid, match=r"one\.png is in 2 rows"):
        read_presentations(index)
