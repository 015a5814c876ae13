"""The synthetic people of the demo, with numbers of a region that does not exist."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from device.simulated.actor import portrait
from device.simulated.clips import encode_png
from protocol.documents import check_digit

FOLDER = Path(__file__).parent / "people"
"""Clips and clip descriptions."""


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic beneficiary."""

    name: str
    first_17: str
    clip: str
    """Name of the rendered person."""

    @property
    def number(self) -> str:
        """Identity number with its check digit."""
        return self.first_17 + check_digit(self.first_17)

    def portrait(self) -> bytes:
        """Return a picture of the person as PNG, as an enrolment desk would have taken it."""
        return encode_png(portrait(FOLDER / f"{self.clip}.toml"))


LIANG = Person("梁守田", "99999919410305001", "cedar")
FANG = Person("方桂兰", "99999919440917002", "peony")
NOBODY = Person("未登记", "99999919500101009", "cedar")
"""Has a valid number that no benefit list knows."""


def write_list(path: Path) -> None:
    """Write the benefit list of the two people, as an agency's system would export it."""
    heading = "document_number,name,area,scheme,category,benefit_start"
    rows = [
        f"{LIANG.number},{LIANG.name},east-village,resident-pension,retired,2001-04-01",
        f"{FANG.number},{FANG.name},east-village,work-injury,dependant,2012-10-01",
    ]
    path.write_text("\n".join([heading, *rows]) + "\n", encoding="utf-8")
