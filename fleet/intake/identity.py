"""Identity documents and names as lists write them: every kind of document (R4-16), in columns that all lists share."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.tables.places import at_line, in_column
from fleet.tables.reading import Column, Shape
from protocol.documents import DocumentKind, IdentityDocument, parse_document
from protocol.errors import Problem, ProtocolError
from protocol.names import normal_name

IDENTITY_COLUMNS = {
    "document_number": Column(("document number", "证件号码", "身份证号", "身份证号码", "公民身份号码"), Shape.NUMBER),
    "name": Column(("姓名",)),
    "document_kind": Column(("document kind", "证件类型", "证件种类"), is_required=False),
    "document_issuer": Column(("document issuer", "签发国", "签发国家"), is_required=False),
}
"""Kind and issuer may be missing: without a kind a number must tell it, and only a passport has an issuer."""
KINDS = {
    DocumentKind.RESIDENT_ID: ("居民身份证", "身份证", "社会保障卡", "社保卡", "市民卡"),
    DocumentKind.HK_MACAO_PERMIT: ("港澳居民来往内地通行证", "港澳通行证", "回乡证"),
    DocumentKind.TAIWAN_PERMIT: ("台湾居民来往大陆通行证", "台胞证"),
    DocumentKind.RESIDENCE_PERMIT: ("港澳台居民居住证", "港澳居民居住证", "台湾居民居住证"),
    DocumentKind.PASSPORT: ("护照",),
    DocumentKind.FOREIGN_PERMANENT_RESIDENCE: ("外国人永久居留身份证", "外国人永久居留证"),
}
"""How agencies write the kinds, beside our own names of them. A social-security card has its holder's identity number."""
_RESIDENT_LENGTH = 18
_CUT_END = "000"


def document_in(line: int, cells: Mapping[str, str], wrong: list[Problem]) -> IdentityDocument | None:
    """Return the document of a row; what is wrong with it is added to `wrong`, never with the number."""
    written = cells.get("document_kind", "")
    kind = next((kind for kind, names in KINDS.items() if written in {kind.value, *names}), None)
    if written and kind is None:
        kinds = Problem(f"one of {', '.join(DocumentKind)} expected", "one_expected", expected=list(DocumentKind))
        wrong.append(kinds.within(at_line(line), in_column("document_kind")))
        return None
    number = cells["document_number"]
    if not number:
        # What made a cell unusable was told when the table was read.
        if not any(problem.startswith(f"line {line}: document_number") for problem in wrong):
            wrong.append(Problem("empty", "cell_empty").within(at_line(line), in_column("document_number")))
        return None
    try:
        return parse_document(number, kind, issuer=cells.get("document_issuer", ""))
    except ProtocolError as error:
        cut = len(number) == _RESIDENT_LENGTH and number.endswith(_CUT_END)
        problem = error.problem
        if cut:
            sentence = f"{problem} Its last digits are zeros: a spreadsheet may have cut it."
            problem = Problem(sentence, "zeros", what=problem)
        wrong.append(problem.within(at_line(line), in_column("document_number")))
        return None


def name_in(line: int, cells: Mapping[str, str], wrong: list[Problem]) -> str:
    """Return the name of a row in normal form; what is wrong with it is added to `wrong`, never with the name."""
    try:
        return normal_name(cells["name"])
    except ProtocolError as error:
        wrong.append(error.problem.within(at_line(line)))
        return ""
