"""What every reference store must do."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from device.adapters.references_sqlite import SqliteReferenceStore
from device.ports import ReferenceStore
from device.simulated.clock import SteppedClock
from device.simulated.stores import MemoryReferences
from protocol.documents import DocumentKind
from protocol.entitlements import CountedAct, Entitlement
from protocol.keys import PrivateKey
from protocol.reference_card import CardKey, CardKeys
from protocol.references import CaptureKind, LegalBasis, Reference
from protocol.roster import RosterEntry, RosterPage, SubjectLabel
from protocol.rules.acts import Act, ActKind, Channel

T0 = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
CLAIM_KEY = b"c" * 32
FEATURE_KEY = b"f" * 32


def secret(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def token(number: int) -> str:
    return f"{number:043d}"


def entry(
    version: int, subject: int | None = None, *, claim: int | None = None, removed: bool = False, references: int = 1
) -> RosterEntry:
    number = version if subject is None else subject
    made = Reference(
        reference_id=secrets.token_hex(16),
        features="AAAA",
        model_sha256="a" * 64,
        runtime="r 1",
        key_domain="d1",
        quality=80,
        capture=CaptureKind.LIVE,
        legal_basis=LegalBasis.CONSENT,
        captured_at=T0,
        valid_until=date(2030, 1, 1),
    )
    return RosterEntry(
        roster_version=version,
        subject_id=f"{number:032x}",
        claim_token=token(number if claim is None else claim),
        removed=removed,
        references=() if removed else (made,) * references,
    )


def page(
    after: int,
    upto: int,
    *entries: RosterEntry,
    expires_at: datetime = T0 + timedelta(days=30),
    issued_at: datetime = T0,
    complete: bool = True,
    domains: tuple[str, ...] = ("d1",),
) -> RosterPage:
    return RosterPage(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=issued_at,
        expires_at=expires_at,
        after=after,
        upto=upto,
        complete=complete,
        claim_key=secret(CLAIM_KEY),
        feature_keys={domain: secret(FEATURE_KEY) for domain in domains},
        entries=entries,
    )


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(T0)


@pytest.fixture
def store(tmp_path: Path, clock: SteppedClock) -> Iterator[ReferenceStore]:
    made = SqliteReferenceStore(tmp_path / "references.sqlite", tmp_path / "storage.key", clock)
    yield made
    made.close()


def advance(clock: SteppedClock, span: timedelta) -> None:
    clock.advance(int(span.total_seconds() * 1e9))


def test_an_empty_store_knows_nothing(store: ReferenceStore, clock: SteppedClock) -> None:
    assert store.version() == store.received() == 0
    assert store.claim_key() is None
    assert store.feature_key("d1") is None
    assert store.find(token(1)) is None
    store.expire(clock.now())


def test_a_page_gives_subjects_and_keys(store: ReferenceStore) -> None:
    first = entry(1, references=2)
    assert store.apply(page(0, 2, first, entry(2)))
    assert store.version() == 2
    assert store.claim_key() == CLAIM_KEY
    assert store.feature_key("d1") == FEATURE_KEY
    assert store.feature_key("d2") is None
    assert store.find(token(1)) == first
    assert store.find(token(3)) is None


def test_others_are_everybody_else_the_same_ones_each_time_and_no_more_than_asked_for(store: ReferenceStore) -> None:
    assert list(store.others(token(1), 10)) == []
    entries = [entry(number) for number in range(1, 8)]
    assert store.apply(page(0, 9, *entries, entry(8), entry(9, 8, removed=True)))
    found = store.others(token(3), 10)
    assert sorted(other.subject_id for other in found) == [e.subject_id for e in entries if e.claim_token != token(3)]
    assert list(store.others(token(3), 4)) == list(found[:4])
    assert list(store.others(token(3), 4)) == list(store.others(token(3), 4))
    assert len(store.others(token(99), 10)) == 7


def test_a_page_that_builds_upon_another_version_changes_nothing(store: ReferenceStore) -> None:
    assert store.apply(page(0, 1, entry(1)))
    assert not store.apply(page(3, 4, entry(4)))
    assert not store.apply(page(0, 1, entry(1)))
    assert store.version() == 1
    assert store.find(token(4)) is None


def test_pages_follow_one_another_and_an_empty_one_prolongs_the_roster(
    store: ReferenceStore, clock: SteppedClock
) -> None:
    assert store.apply(page(0, 1, entry(1)))
    assert store.apply(page(1, 2, entry(2), domains=("d2",)))
    assert store.feature_key("d1") == FEATURE_KEY, "the key of earlier pages is still needed"
    assert store.apply(page(2, 2, expires_at=T0 + timedelta(days=90)))
    advance(clock, timedelta(days=60))
    assert store.version() == 2
    assert store.find(token(1)) is not None


def test_a_later_entry_replaces_the_subject_even_under_another_document(store: ReferenceStore) -> None:
    assert store.apply(page(0, 1, entry(1, 7)))
    renewed = entry(2, 7, claim=70, references=3)
    assert store.apply(page(1, 2, renewed))
    assert store.find(token(7)) is None
    assert store.find(token(70)) == renewed


def test_a_tombstone_removes_the_subject_and_unknown_ones_do_no_harm(store: ReferenceStore) -> None:
    assert store.apply(page(0, 2, entry(1), entry(2)))
    assert store.apply(page(2, 4, entry(3, 1, removed=True), entry(4, 99, removed=True)))
    assert store.find(token(1)) is None
    assert store.find(token(2)) is not None


def test_an_expired_roster_gives_nothing_even_before_it_is_deleted(store: ReferenceStore, clock: SteppedClock) -> None:
    assert store.apply(page(0, 1, entry(1)))
    advance(clock, timedelta(days=30))
    assert store.version() == 0
    assert store.claim_key() is None
    assert store.feature_key("d1") is None
    assert store.find(token(1)) is None


def test_a_terminal_that_wakes_in_the_past_is_told_by_the_fleets_last_word(
    store: ReferenceStore, clock: SteppedClock
) -> None:
    assert store.apply(page(0, 1, entry(1)))
    clock.note_fleet_time(T0 + timedelta(days=31))
    assert store.find(token(1)) is None


def test_expire_deletes_and_the_whole_roster_can_come_again(store: ReferenceStore, clock: SteppedClock) -> None:
    assert store.apply(page(0, 5, entry(5)))
    advance(clock, timedelta(days=29))
    store.expire(clock.now())
    assert store.version() == 5
    advance(clock, timedelta(days=2))
    store.expire(clock.now())
    assert store.apply(page(0, 1, entry(1), expires_at=T0 + timedelta(days=60)))
    assert store.find(token(5)) is None
    assert store.find(token(1)) is not None


def test_a_page_that_has_expired_is_not_applied(store: ReferenceStore) -> None:
    assert not store.apply(page(0, 1, entry(1), expires_at=T0))
    assert store.version() == 0


def test_a_first_roster_is_in_force_when_its_last_page_has_come(store: ReferenceStore) -> None:
    assert store.apply(page(0, 1, entry(1), complete=False))
    assert store.apply(page(1, 2, entry(2), complete=False, domains=("d2",)))
    assert (store.version(), store.received()) == (0, 2)
    assert store.claim_key() is None
    assert store.feature_key("d1") is None
    assert store.find(token(1)) is None, "somebody on a later page would be told that there is no reference"
    assert store.apply(page(2, 3, entry(3)))
    assert (store.version(), store.received()) == (3, 3)
    assert store.claim_key() == CLAIM_KEY
    assert store.feature_key("d1") == store.feature_key("d2") == FEATURE_KEY
    assert all(store.find(token(number)) is not None for number in (1, 2, 3))


def test_a_roster_begun_anew_takes_the_place_of_the_one_in_force_when_it_is_complete(store: ReferenceStore) -> None:
    later = T0 + timedelta(days=1)
    assert store.apply(page(0, 5, entry(4), entry(5)))
    assert store.apply(page(0, 1, entry(1), complete=False, issued_at=later))
    assert (store.version(), store.received()) == (5, 1)
    assert store.find(token(4)) is not None
    assert store.find(token(1)) is None
    assert store.apply(page(1, 3, entry(3, 4, claim=44), issued_at=later))
    assert (store.version(), store.received()) == (3, 3)
    assert [number for number in (1, 4, 5, 44) if store.find(token(number)) is not None] == [1, 44]


def test_a_change_to_the_roster_in_force_ends_the_gathering_of_another(store: ReferenceStore) -> None:
    assert store.apply(page(0, 5, entry(5)))
    assert store.apply(page(0, 1, entry(1), complete=False, issued_at=T0 + timedelta(days=1)))
    assert store.apply(page(5, 6, entry(6), issued_at=T0 + timedelta(days=2)))
    assert (store.version(), store.received()) == (6, 6)
    assert store.find(token(5)) is not None


def test_a_gathering_begins_again_with_a_newer_first_page_only(store: ReferenceStore) -> None:
    assert store.apply(page(0, 1, entry(1), complete=False, issued_at=T0 + timedelta(days=1)))
    assert not store.apply(page(0, 1, entry(1), complete=False, issued_at=T0 + timedelta(days=1)))
    assert not store.apply(page(0, 1, entry(1)))
    assert store.apply(page(0, 2, entry(2), issued_at=T0 + timedelta(days=2)))
    assert store.version() == 2
    assert store.find(token(1)) is None


def test_a_date_that_nothing_vouches_for_hides_the_roster_and_does_not_delete_it(
    store: ReferenceStore, clock: SteppedClock
) -> None:
    assert store.apply(page(0, 1, entry(1)))
    wrong = SteppedClock(T0 + timedelta(days=3650))
    wrong.lose_time()
    store.expire(wrong.now())
    assert store.find(token(1)) is not None
    advance(clock, timedelta(days=3650))
    assert store.find(token(1)) is None


@pytest.mark.parametrize(("uncertainty_s", "is_gone"), [(3600.0, True), (90_000.0, False)])
def test_a_bounded_clock_deletes_when_even_its_early_end_is_past(
    store: ReferenceStore, uncertainty_s: float, *, is_gone: bool
) -> None:
    assert store.apply(page(0, 1, entry(1)))
    store.expire(SteppedClock(T0 + timedelta(days=31), uncertainty_s=uncertainty_s).now())
    assert (store.version() == 0) is is_gone


def test_the_fleets_signed_time_deletes_on_a_terminal_without_a_clock(store: ReferenceStore) -> None:
    assert store.apply(page(0, 1, entry(1)))
    lost = SteppedClock(T0)
    lost.lose_time()
    lost.note_fleet_time(T0 + timedelta(days=31))
    store.expire(lost.now())
    assert store.version() == 0


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_that_a_page_was_refused_is_remembered(store: ReferenceStore, kind: str) -> None:
    kept = store if kind == "sqlite" else MemoryReferences(claim_key=None)
    assert not kept.was_refused()
    kept.note_refused()
    assert kept.was_refused()


def test_a_refused_page_is_remembered_until_one_is_applied(store: ReferenceStore) -> None:
    assert not store.was_refused()
    store.note_refused()
    store.note_refused()
    assert store.was_refused()
    assert not store.apply(page(3, 4, entry(4)))
    assert store.was_refused(), "one that does not fit is none that was applied"
    assert store.apply(page(0, 1, entry(1)))
    assert not store.was_refused()


def labelled(version: int, name: str | None, *, born: int | None = None, removed: bool = False) -> RosterEntry:
    label = None if name is None else SubjectLabel(name=name, born=born)
    return RosterEntry(
        roster_version=version,
        subject_id=f"{version:032x}",
        claim_token=token(version),
        removed=removed,
        label=label,
    )


PEOPLE = (
    labelled(1, "王小明", born=1950),
    labelled(2, "王小明", born=1940),
    labelled(3, "小王"),
    labelled(4, "李 Anna", born=1945),
    labelled(5, None),
    labelled(6, "Ａnna Li"),
)


@pytest.fixture(params=["sqlite", "memory"])
def names(request: pytest.FixtureRequest, store: ReferenceStore) -> ReferenceStore:
    if request.param == "memory":
        return MemoryReferences(PEOPLE, claim_key=CLAIM_KEY)
    assert store.apply(page(0, 6, *PEOPLE))
    return store


def found(names: ReferenceStore, part: str, *, offset: int = 0, limit: int = 9) -> list[str]:
    return [one.token for one in names.people(part, offset=offset, limit=limit)]


def test_people_are_found_by_a_part_of_the_name_first_those_whose_name_begins_with_it(names: ReferenceStore) -> None:
    assert found(names, "王") == [token(2), token(1), token(3)], "of one name by year of birth"
    assert found(names, "小明") == [token(2), token(1)]
    assert found(names, "ANNA") == [token(6), token(4)], "however it is written"
    assert found(names, "nobody") == []
    (anna,) = names.people("李", offset=0, limit=9)
    assert (anna.document, anna.token, anna.label.born) == (DocumentKind.RESIDENT_ID, token(4), 1945)
    assert "Anna" not in repr(anna)


def test_an_empty_part_gives_everybody_with_a_name_in_pages(names: ReferenceStore) -> None:
    whole = found(names, "")
    assert sorted(whole) == [token(number) for number in (1, 2, 3, 4, 6)]
    assert found(names, "", limit=2) + found(names, "", offset=2, limit=2) + found(names, "", offset=4) == whole
    assert found(names, "", offset=5) == found(names, "", limit=0) == []


def test_initials_are_those_of_all_names_the_most_frequent_first(names: ReferenceStore) -> None:
    assert list(names.initials()) == ["王", "A", "小", "李"]


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_without_names_nobody_is_found(store: ReferenceStore, kind: str) -> None:
    empty = store if kind == "sqlite" else MemoryReferences(claim_key=None)
    assert list(empty.people("", offset=0, limit=9)) == list(empty.initials()) == []


def test_who_has_left_the_roster_is_no_longer_in_the_list(store: ReferenceStore, clock: SteppedClock) -> None:
    assert store.apply(page(0, 6, *PEOPLE))
    assert store.apply(page(6, 8, labelled(7, None), entry(8, 3, removed=True)))
    assert found(store, "王") == [token(2), token(1)]
    advance(clock, timedelta(days=30))
    assert found(store, "") == list(store.initials()) == [], "nor anybody once the roster has expired"


SIGNING = PrivateKey.generate().public()


def card_keys(issued_at: datetime = T0, days: int = 180, revoked: tuple[str, ...] = ()) -> CardKeys:
    return CardKeys(
        fleet_id="north",
        terminal_id="t-1",
        issued_at=issued_at,
        expires_at=issued_at + timedelta(days=days),
        signing_keys=(SIGNING,),
        keys=(CardKey(key_id="00000001", secret=secret(b"k" * 32)),),
        revoked=revoked,
    )


def test_card_keys_outlive_the_roster_and_go_when_their_own_time_is_over(
    store: ReferenceStore, clock: SteppedClock
) -> None:
    assert store.card_keys() is None
    assert store.apply(page(0, 1, entry(1)))
    assert store.apply_card_keys(card_keys())
    advance(clock, timedelta(days=60))
    store.expire(clock.now())
    assert store.find(token(1)) is None
    assert store.card_keys() == card_keys()
    advance(clock, timedelta(days=120))
    assert store.card_keys() is None
    store.expire(clock.now())
    assert store.card_keys() is None


def test_only_newer_card_keys_replace_those_before(store: ReferenceStore) -> None:
    later = card_keys(T0 + timedelta(days=1), revoked=("7" * 32,))
    assert store.apply_card_keys(later)
    assert not store.apply_card_keys(later)
    assert not store.apply_card_keys(card_keys())
    assert not store.apply_card_keys(card_keys(T0 + timedelta(days=2), days=-3))
    assert store.card_keys() == later


def test_a_roster_that_expired_is_remembered_until_another_is_in_force(
    store: ReferenceStore, clock: SteppedClock
) -> None:
    assert not store.has_expired()
    assert store.apply(page(0, 1, entry(1)))
    assert not store.has_expired()
    advance(clock, timedelta(days=31))
    assert store.has_expired()
    store.expire(clock.now())
    assert store.has_expired(), "also when it was deleted"
    new = T0 + timedelta(days=31)
    assert store.apply(page(0, 1, entry(1), issued_at=new, expires_at=new + timedelta(days=30), complete=False))
    assert store.has_expired(), "another is gathered, none is in force"
    assert store.apply(page(1, 2, entry(2), issued_at=new, expires_at=new + timedelta(days=30)))
    assert not store.has_expired()


def act(day: date, number: int = 1) -> Act:
    return Act(f"{number:032x}", day, ActKind.LIVE, Channel.TERMINAL)


def told_of(version: int, subject: int, last: date | None) -> RosterEntry:
    counted = None if last is None else CountedAct(day=last, kind=ActKind.LIVE)
    told = Entitlement(pack_id="LZ-2019", pack_version=1, started=date(2012, 3, 1), last=counted)
    return entry(version, subject).model_copy(update={"entitlements": (told,)})


def test_what_the_roster_says_of_the_rules_is_kept(store: ReferenceStore) -> None:
    said = told_of(1, 1, date(2026, 2, 3))
    store.apply(page(0, 1, said))
    assert store.find(token(1)) == said
    assert store.issued_at() == T0


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_an_act_made_here_is_remembered_for_the_same_claim_alone(store: ReferenceStore, kind: str) -> None:
    kept = store if kind == "sqlite" else MemoryReferences(claim_key=None)
    assert list(kept.acts(token(1))) == []
    kept.note_act(token(1), act(T0.date()))
    assert list(kept.acts(token(1))) == [act(T0.date())]
    assert list(kept.acts(token(2))) == []


def test_an_act_made_here_is_forgotten_when_the_roster_tells_of_it_or_a_later_one(store: ReferenceStore) -> None:
    store.apply(page(0, 2, told_of(1, 1, None), told_of(2, 2, None)))
    for number in (1, 2):
        store.note_act(token(number), act(T0.date(), number))
    store.apply(page(2, 3, told_of(3, 1, T0.date() - timedelta(days=1))))
    assert list(store.acts(token(1))) == [act(T0.date(), 1)]
    store.apply(page(3, 4, told_of(4, 1, T0.date())))
    assert list(store.acts(token(1))) == []
    assert list(store.acts(token(2))) == [act(T0.date(), 2)]


def test_an_act_made_here_is_forgotten_after_a_month_and_with_the_roster(
    store: ReferenceStore, clock: SteppedClock
) -> None:
    store.apply(page(0, 1, told_of(1, 1, None), expires_at=T0 + timedelta(days=90)))
    store.note_act(token(1), act(T0.date()))
    advance(clock, timedelta(days=30))
    store.note_act(token(1), act(T0.date(), 2))
    advance(clock, timedelta(days=1))
    assert list(store.acts(token(1))) == [act(T0.date(), 2)]
    advance(clock, timedelta(days=60))
    store.expire(clock.now())
    assert store.issued_at() is None
    assert list(store.acts(token(1))) == []
