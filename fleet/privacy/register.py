"""The register of processing as data: what stands in which table and what an erasure does to it, as a page in two languages. Pure."""

from __future__ import annotations

import hashlib
import html
import tomllib
from importlib.resources import files
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Language = Literal["zh", "en"]
Erase = Literal["delete", "pseudonymise", "keep", "none"]
Holds = Literal["subject", "token", "record", "case"]
"""What a column says of a person: their id, their claim token, the id of a record or of a case of theirs."""
_FILE = "register.toml"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Word(_Part):
    """One term in both languages."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)

    def in_(self, language: Language) -> str:
        """Return it in a language."""
        return self.zh if language == "zh" else self.en


class Columns(_Part):
    """Headings in both languages."""

    zh: tuple[str, ...]
    en: tuple[str, ...]


class Words(_Part):
    """What the codes of the entries mean."""

    title: Word
    columns: Columns
    note: Word
    basis: dict[str, Word]
    categories: dict[str, Word]
    recipients: dict[str, Word]
    retention: dict[str, Word]
    protection: dict[str, Word]
    erase: dict[Erase, Word]
    keeps: dict[str, Word]


class Entry(_Part):
    """What is to be known of one table."""

    name: str
    purpose: Word
    basis: str
    categories: tuple[str, ...]
    """Empty where nothing in it is personal."""
    recipients: tuple[str, ...]
    retention: str
    protection: tuple[str, ...]
    erase: Erase
    by: dict[str, Holds] = Field(default_factory=dict)
    """By which columns a person's rows are found."""
    keeps: str | None = None
    """Why rows stay; with `pseudonymise` and `keep`, and only there."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.keeps is not None) != (self.erase in ("pseudonymise", "keep")):
            raise ValueError(f"{self.name}: {self.erase} and a reason to keep do not fit")
        return self


class Register(_Part):
    """All of it."""

    words: Words
    table: tuple[Entry, ...]

    @model_validator(mode="after")
    def _known_words(self) -> Self:
        for entry in self.table:
            used = (
                (self.words.basis, (entry.basis,)),
                (self.words.categories, entry.categories),
                (self.words.recipients, entry.recipients),
                (self.words.retention, (entry.retention,)),
                (self.words.protection, entry.protection),
                (self.words.keeps, () if entry.keeps is None else (entry.keeps,)),
            )
            if unknown := [code for known, codes in used for code in codes if code not in known]:
                raise ValueError(f"{entry.name}: no words for {', '.join(unknown)}")
        return self

    def entry(self, table: str) -> Entry:
        """Return what is known of a table."""
        return next(entry for entry in self.table if entry.name == table)


def load_register() -> Register:
    """Return the register of this version."""
    return Register.model_validate(tomllib.loads(_text()))


def register_sha256() -> str:
    """Return the digest of the register, by which a proof says what plan an erasure followed."""
    return hashlib.sha256(_text().encode()).hexdigest()


def as_table(register: Register, language: Language) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the rows of the register."""
    return _columns(register, language), _rows(register, language)


def as_markdown(register: Register, language: Language) -> str:
    """Return the register as a page of Markdown."""
    heads, rows = _columns(register, language), _rows(register, language)
    lines = [f"# {register.words.title.in_(language)}", "", register.words.note.in_(language), ""]
    lines += [_line(heads), _line(["---"] * len(heads)), *(_line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def as_html(register: Register, language: Language) -> str:
    """Return the register as one HTML page that needs nothing else."""
    title = html.escape(register.words.title.in_(language))
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in _columns(register, language))
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in _rows(register, language)
    )
    return (
        f'<!doctype html>\n<html lang="{language}"><meta charset="utf-8"><title>{title}</title>\n'
        "<style>body{font-family:sans-serif}td,th{border:1px solid #888;padding:.3em;text-align:left;vertical-align:top}"
        "table{border-collapse:collapse}</style>\n"
        f"<h1>{title}</h1>\n<p>{html.escape(register.words.note.in_(language))}</p>\n"
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></html>\n"
    )


def _columns(register: Register, language: Language) -> list[str]:
    return list(register.words.columns.zh if language == "zh" else register.words.columns.en)


def _rows(register: Register, language: Language) -> list[list[str]]:
    words = register.words
    joined = "、" if language == "zh" else ", "
    return [
        [
            entry.name,
            entry.purpose.in_(language),
            words.basis[entry.basis].in_(language),
            joined.join(words.categories[code].in_(language) for code in entry.categories),
            joined.join(words.recipients[code].in_(language) for code in entry.recipients),
            words.retention[entry.retention].in_(language),
            joined.join(words.protection[code].in_(language) for code in entry.protection),
            words.erase[entry.erase].in_(language),
            "" if entry.keeps is None else words.keeps[entry.keeps].in_(language),
        ]
        for entry in register.table
    ]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text() -> str:
    return files("fleet.privacy").joinpath(_FILE).read_text(encoding="utf-8")
