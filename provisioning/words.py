"""What a new terminal says to whoever takes its card out, in Chinese and English: the words of `first_boot/words.txt`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

NAME = "words.txt"
FINGERPRINT = "fingerprint"
"""What is said of a terminal's key, once it has joined."""


class Words(NamedTuple):
    """One thing that can be said."""

    zh: str
    en: str

    @property
    def advice(self) -> str:
        """What to do, without what is wrong."""
        return self.en.rpartition("; ")[2]


@cache
def words() -> Mapping[str, Words]:
    """Return all of them by their keys."""
    text = (files("provisioning") / "first_boot" / NAME).read_text(encoding="utf-8")
    lines = (line.split("|") for line in text.splitlines() if not line.startswith("#"))
    return {key: Words(zh, en) for key, zh, en in lines}


def line_of(key: str, detail: str) -> str:
    """Return a line for `status.txt`; the detail, in English, is for the office."""
    found = words()[key]
    more = " ".join(detail.split()).removesuffix(f"; {found.advice}")
    return f"{found.zh} / {found.en} ({more})"
