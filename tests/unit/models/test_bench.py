"""What the bench makes of what it is told; how fast anything is, no test asks."""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path

import pytest

from models.errors import BenchFailed
from models.tools.bench import CONTESTS, Child, Row, contest_rows, session_rows, start_rows, to_json
from models.tools.bench_command import page

# A side that has two clips of 8 and 30 pictures, takes as many milliseconds as its argument says, and finds every other face.
SIDE = """
import json, sys
json.loads(sys.stdin.readline())
print(json.dumps([8, 30]), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"ms": float(sys.argv[1]), "found": request["picture"] % 2 == 0}), flush=True)
"""


def side(tmp_path: Path, script: str, ms: float = 1.0) -> Child:
    path = tmp_path / f"side{ms}.py"
    path.write_text(script, encoding="utf-8")
    return Child([sys.executable, str(path), str(ms)], tmp_path, [], 100)


def session(around: float, invoke: float, *, outcome: str = "certified", network: str = "texture") -> dict:
    return {
        "outcome": outcome,
        "frames": 100,
        "processor_s": 1.2,
        "invoke_s": 1.0,
        "networks": [{"name": network, "runs": 100, "around_ms": around, "invoke_ms": invoke}],
    }


def test_every_contest_gives_a_row_with_the_ratio_of_the_two_sides(tmp_path: Path) -> None:
    with side(tmp_path, SIDE, 2.0) as ours, side(tmp_path, SIDE, 8.0) as peers:
        rows = contest_rows(ours, peers, repeats=1, report=lambda _: None)
    assert [(row.what, row.peer) for row in rows] == [(contest.what, contest.peer_name) for contest in CONTESTS]
    for row, contest in zip(rows, CONTESTS, strict=True):
        assert (row.ours_ms, row.peer_ms, row.ratio) == (2.0, 8.0, 0.25)
        assert row.holds == (None if contest.bar is None else contest.bar >= 0.25)
        assert row.pictures == len(range(0, 8, contest.step)) + len(range(0, 30, contest.step))
        assert row.ours_found == row.peer_found


def test_side_that_stops_is_an_error(tmp_path: Path) -> None:
    script = SIDE.replace("for line in sys.stdin:", "for line in ():")
    with side(tmp_path, SIDE, 1.0) as ours, side(tmp_path, script, 2.0) as peers, pytest.raises(BenchFailed):
        contest_rows(ours, peers, repeats=1, report=lambda _: None)


def test_sides_that_read_other_pictures_are_not_compared(tmp_path: Path) -> None:
    other = SIDE.replace("[8, 30]", "[8, 29]")
    with (
        side(tmp_path, SIDE, 1.0) as ours,
        side(tmp_path, other, 2.0) as peers,
        pytest.raises(BenchFailed, match=r"\[8, 30\] and \[8, 29\]"),
    ):
        contest_rows(ours, peers, repeats=1, report=lambda _: None)


def test_code_around_networks_and_sessions_is_relative_to_the_interpreter() -> None:
    network, whole, total = session_rows([session(0.02, 1.0), session(0.04, 1.0), session(0.03, 1.0)])
    assert (network.ratio, network.bar, network.holds) == (0.03, 0.03, True)
    assert whole.ratio == pytest.approx(0.2)
    assert whole.ours_ms == pytest.approx(2.0)
    assert whole.peer_ms == pytest.approx(10.0)
    assert whole.holds is False
    assert (total.ours_ms, total.bar, total.holds) == (pytest.approx(12.0), None, None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"outcome": "review"}, "ended with review, expected certified"),
        ({"network": "landmarks"}, "no texture network"),
    ],
)
def test_session_that_did_not_do_everything_is_an_error(changes: dict[str, str], why: str) -> None:
    with pytest.raises(BenchFailed, match=why):
        session_rows([session(0.02, 1.0), session(0.02, 1.0, **changes)])


def test_start_and_memory_are_medians_of_their_runs() -> None:
    runs = [
        {"processor_s": seconds, "wall_s": 2.5, "resident_mb": held}
        for seconds, held in ((0.8, 100), (2.0, 119), (0.9, 130))
    ]
    start, memory = start_rows(runs)
    assert (start.ours_ms, start.bar, start.holds) == (900.0, 1000.0, True)
    assert (memory.ours_mb, memory.bar, memory.holds) == (119.0, 120.0, True)


def test_json_names_what_ours_peer_ratio_bar_and_holds() -> None:
    rows = json.loads(to_json([Row("a", 1.0, "b", 2.0, 0.5, 0.8, holds=True)]))["rows"]
    assert {"what", "ours_ms", "peer", "peer_ms", "ratio", "bar", "holds"} <= set(rows[0])


def test_page_shows_every_row_and_what_does_not_hold() -> None:
    rows = [
        Row("chain", 1.0, "other", 4.0, 0.25, 0.2, holds=False, ours_found=3, peer_found=4, pictures=5),
        *start_rows([{"processor_s": 0.5, "wall_s": 0.75, "resident_mb": 99.0}]),
    ]
    text = page(rows, rate=30, measured_on=date(2026, 1, 2))
    assert "| chain | 1 ms | other | 4 ms | 0.250 | 0.2 | **no** | 3 / 4 / 5 |" in text
    assert "| 99 MB |" in text
    assert "measured on 2026-01-02 with\nversion" in text
    assert "| 500 ms (750 ms by the clock) |" in text
