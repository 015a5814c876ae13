"""Position receivers: the simulated one, and the real adapter on a pseudo-terminal that speaks NMEA 0183."""

from __future__ import annotations

import functools
import operator
import os
import pty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.adapters.positioner_nmea import NmeaPositioner, read_fix
from device.simulated.positioner import SimulatedPositioner


def sentence(body: str) -> bytes:
    checksum = functools.reduce(operator.xor, body.encode(), 0)
    return f"${body}*{checksum:02X}\r\n".encode()


def gga(latitude: float, longitude: float, *, quality: int = 1, dilution: float = 1.0) -> bytes:
    def degrees(value: float, width: int) -> str:
        whole = int(abs(value))
        return f"{whole:0{width}d}{(abs(value) - whole) * 60:07.4f}"

    north = "N" if latitude >= 0 else "S"
    east = "E" if longitude >= 0 else "W"
    return sentence(
        f"GNGGA,040000.00,{degrees(latitude, 2)},{north},{degrees(longitude, 3)},{east},{quality},08,{dilution},1500.0,M,0.0,M,,"
    )


class Nmea:
    """The adapter on a pseudo-terminal, with the simulated one's verbs."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._write, self._read = pty.openpty()
        path = Path(os.ttyname(self._read))
        self.positioner = NmeaPositioner(path, baud=9600, monotonic_ns=lambda: self.now_ns)
        self.start, self.place = self.positioner.start, self.positioner.place

    def carry_to(self, latitude: float, longitude: float) -> None:
        os.write(self._write, b"noise\xff\r\n" + sentence("GNRMC,040000.00,V,,,,,,,,,,N") + gga(latitude, longitude))

    def take_inside(self) -> None:
        os.write(self._write, gga(0, 0, quality=0))
        self.now_ns += 61_000_000_000

    def stop(self) -> None:
        os.close(self._write)
        self.positioner.stop()
        self.positioner.stop()
        os.close(self._read)


@pytest.fixture(params=[SimulatedPositioner, Nmea])
def receiver(request: pytest.FixtureRequest) -> Iterator[SimulatedPositioner | Nmea]:
    made = request.param()
    yield made
    made.stop()


def test_a_receiver_knows_where_it_is_and_says_nothing_inside(
    receiver: SimulatedPositioner | Nmea, eventually: Callable[..., None]
) -> None:
    receiver.start()
    assert receiver.place() is None
    receiver.carry_to(36.0611, 103.8343)
    eventually(lambda: receiver.place() is not None, "a fix")
    found = receiver.place()
    assert found is not None
    assert (found.latitude_deg, found.longitude_deg) == pytest.approx((36.0611, 103.8343), abs=1e-4)
    assert (found.accuracy_m, found.source, found.code) == (5.0, "receiver", None)
    receiver.take_inside()
    eventually(lambda: receiver.place() is None, "no fix")


def test_a_receiver_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    positioner = NmeaPositioner(tmp_path / "ttyACM0", baud=9600, monotonic_ns=lambda: 0)
    positioner.start()
    assert positioner.place() is None
    positioner.stop()


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"$",
        b"$GNGGA*00",
        sentence("GNGGA,,,,,,1,,,,,,,,"),
        gga(36.0, 103.0)[:-6] + b"00\r\n",
        gga(36, 103, quality=0),
    ],
)
def test_what_is_no_fix_is_none(line: bytes) -> None:
    assert read_fix(line) is None


@given(st.binary(max_size=120) | st.text(max_size=80).map(lambda text: sentence(f"GPGGA,{text}")))
def test_no_noise_on_the_line_breaks_it(line: bytes) -> None:
    read_fix(line)


def test_south_and_west_are_negative_and_poor_dilution_is_poor_accuracy() -> None:
    found = read_fix(gga(-33.5, -70.25, dilution=4.2))
    assert found is not None
    assert (found.latitude_deg, found.longitude_deg, found.accuracy_m) == (-33.5, -70.25, 21.0)
