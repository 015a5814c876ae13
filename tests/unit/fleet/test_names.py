from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import Refused
from fleet.keys import FieldCipher
from fleet.store.names import cleaned, seal_approver

CIPHER = FieldCipher(bytes(32))


def digest(name: str) -> bytes:
    return seal_approver(CIPHER, name, of="1").digest


@pytest.mark.parametrize(
    ("name", "other"),
    [("Qian", " qIAN  "), ("Qian", "Ｑｉａｎ"), ("Sun Li", "sun \t LI"), ("Strauß", "STRAUSS"), ("é", "e\u0301")],
)
def test_one_name_written_in_several_ways_is_one_person(name: str, other: str) -> None:
    assert digest(name) == digest(other)
    assert digest(name) != digest(f"{name} jr")


def test_the_name_is_kept_as_given_and_sealed() -> None:
    sealed = seal_approver(CIPHER, " Sun  Li ", of="1").sealed
    assert CIPHER.decrypt(sealed, subject_id="1", field_name="approver") == "Sun Li"
    assert b"Sun" not in sealed


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_no_name_and_endless_ones_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="name"):
        cleaned(name)


@given(st.text("ABCabcÄßſΣςσİıЖжﬁ张三ｱ\u0301 　", min_size=1, max_size=20).filter(str.strip))
def test_cleaning_and_folding_again_changes_nobody(name: str) -> None:
    assert digest(cleaned(name)) == digest(name)
    assert digest(name.casefold()) == digest(name)
