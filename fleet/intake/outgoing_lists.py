"""Lists for units and villages of who is to be certified (R4-20, R6-10): tables that come back through our imports, and a page to print.

A table has whole numbers, because whoever fills it in hands it in again; paper shows of each number what a slip does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from enum import StrEnum
from importlib.resources import files

from jinja2 import Environment
from sqlalchemy import Connection

from fleet.audit.log import mark_of, note
from fleet.clock import day_of
from fleet.errors import NotFound
from fleet.intake.area_tree import SEPARATOR, AreaTree
from fleet.intake.held_packs import advised, held_packs
from fleet.intake.list_results import list_texts
from fleet.keys import FieldCipher, FleetKeys
from fleet.store import unit_lists
from fleet.store.areas import areas_of, codes_below
from fleet.store.database import Database
from fleet.store.unit_lists import ToCertify
from fleet.tables.writing import to_csv, to_xlsx
from protocol.documents import mask, parse_document
from protocol.rules.obligations import state_of
from protocol.rules.pack import RulePack

_COLUMNS = (
    "name",
    "document_kind",
    "document_number",
    "document_issuer",
    "area",
    "scheme",
    "category",
    "state",
    "due",
    "advice",
    "verified",
)
_ON_PAPER = tuple(column for column in _COLUMNS if column not in {"document_issuer", "scheme"})


class Format(StrEnum):
    """What a list is written as."""

    CSV = "csv"
    XLSX = "xlsx"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose list it is: a unit's, or an area's with all below it."""

    kind: str
    """`unit` or `area`."""
    name: str
    """As it stands on the list."""
    code: str = ""
    """Of an area of the tree. What else somebody typed may name a person, and stands in no log."""


@dataclass(frozen=True, slots=True)
class OutgoingList:
    """A list that is ready to be written."""

    content: bytes
    persons: int


def make_list(
    database: Database,
    keys: FleetKeys,
    *,
    unit: str | None = None,
    area: str | None = None,
    kind: Format,
    language: str,
    by: str,
    now: datetime,
    zone: tzinfo,
    within: Sequence[str] | None = None,
) -> OutgoingList:
    """Make the list of a unit or an area; who made it is written down, because it shows who people are.

    Args:
        database: where people are known.
        keys: the fleet's.
        unit: the unit, exactly as benefits name it; or
        area: code or path of names; the list has everybody there and below.
        kind: what it is written as.
        language: `zh` or `en`.
        by: who makes it.
        now: the time.
        zone: where a day ends.
        within: only people of these areas; None for everybody.

    Raises:
        NotFound: if the tree of areas has no such area.
    """
    today = day_of(now, zone)
    with database.begin() as connection:
        tree = AreaTree(areas_of(connection))
        scope, codes = _scope(connection, tree, unit, area)
        found = unit_lists.to_certify(connection, unit=unit, areas=codes, today=today, within=within)
        packs = held_packs(connection, [row.subject_id for row in found], today=today)
        content = _Writer(language, tree, keys.cipher, packs, today).write(found, kind, scope)
        note(
            connection,
            keys.cipher,
            actor=by,
            action="list.made",
            object_kind=f"{scope.kind}_list_out",
            object_id=scope.code or mark_of(keys.cipher, scope.name),
            detail={"persons": len(found), "format": kind.value},
            about={row.subject_id for row in found},
            now=now,
        )
    return OutgoingList(content, len(found))


def _scope(connection: Connection, tree: AreaTree, unit: str | None, area: str | None) -> tuple[Scope, list[str]]:
    if unit is not None:
        return Scope("unit", unit), []
    wanted = area or ""
    if not tree:
        return Scope("area", wanted), [wanted]
    code, fault = tree.code_of(wanted)
    if fault is not None:
        raise NotFound(f"--area: {fault}", code="of_area", what=fault)
    found = code or wanted
    return Scope("area", SEPARATOR.join(tree.names_down_to(found)), found), codes_below(connection, found)


@dataclass(frozen=True, slots=True)
class _Writer:
    """Puts people into the words of one language."""

    language: str
    tree: AreaTree
    cipher: FieldCipher
    packs: Mapping[str, Sequence[RulePack]]
    """That hold for each subject."""
    today: date

    def write(self, found: Sequence[ToCertify], kind: Format, scope: Scope) -> bytes:
        columns = _ON_PAPER if kind is Format.HTML else _COLUMNS
        headings = [list_texts()["column"][column][self.language] for column in columns]
        cells = [self._cells(row, is_paper=kind is Format.HTML) for row in found]
        rows = [[each[column] for column in columns] for each in cells]
        if kind is Format.CSV:
            return to_csv((headings, rows))
        return to_xlsx([(None, headings, rows)]) if kind is Format.XLSX else self._page(headings, rows, scope)

    def _page(self, headings: Sequence[str], rows: Sequence[Sequence[str]], scope: Scope) -> bytes:
        source = files("fleet.intake").joinpath("outgoing_list.html").read_text(encoding="utf-8")
        page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
        return page.render(
            language=self.language,
            label={name: text[self.language] for name, text in list_texts()["label"].items()},
            scope=scope.kind,
            named=scope.name,
            made_on=self.today,
            headings=headings,
            rows=rows,
        ).encode()

    def _cells(self, row: ToCertify, *, is_paper: bool) -> dict[str, str]:
        texts = list_texts()
        sealed = self.cipher.decrypt(row.document_sealed, subject_id=row.subject_id, field_name="document")
        document = parse_document(sealed)
        state = state_of(row.has_act, row.asked, row.expiring, row.overdue, self.today)
        return {
            "name": self.cipher.decrypt(row.name_sealed, subject_id=row.subject_id, field_name="name"),
            "document_kind": texts["document"][document.kind][self.language],
            "document_number": f"…{mask(document).tail}" if is_paper else document.number,
            "document_issuer": document.issuer,
            "area": SEPARATOR.join(self.tree.names_down_to(row.area)) or row.area,
            "scheme": "、".join(row.schemes),
            "category": "、".join(row.categories),
            "state": texts["state"][state][self.language],
            "due": row.due.isoformat(),
            "advice": advised(self.packs[row.subject_id], row.schemes, row.categories),
            "verified": "",
        }
