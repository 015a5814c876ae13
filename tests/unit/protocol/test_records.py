"""A certification record: what may not stand in one together."""

from __future__ import annotations

import pytest

from protocol.errors import ProtocolError
from protocol.examples import examples
from protocol.records import CertificationRecord
from protocol.visits import Visit, VisitReason


@pytest.mark.parametrize(("operator", "is_taken"), [("w-204", True), ("w-205", False), (None, False)])
def test_who_came_for_a_visit_is_who_was_signed_in(operator: str | None, is_taken: bool) -> None:
    record = next(one for one in examples().values() if type(one) is CertificationRecord)
    visit = Visit(worker="w-204", reason=next(iter(VisitReason)))
    sent = record.model_copy(update={"visit": visit, "operator": operator}).to_bytes()
    if is_taken:
        assert CertificationRecord.parse(sent).visit == visit
    else:
        with pytest.raises(ProtocolError):
            CertificationRecord.parse(sent)
