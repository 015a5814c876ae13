"""What people sign in with, changed by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleet.accounts.factors import Changed, GeneratorOffer, NotChanged, Problem
from fleet.accounts.passwords import PasswordProblem
from fleet.accounts.signing_in import CodeNeeded, Denied, SignedIn, Why

pytestmark = pytest.mark.integration

NEW = "eleven brown otters"


def refused(*problems: object) -> NotChanged:
    return NotChanged(problems)  # type: ignore[arg-type]


def test_setting_up_takes_password_and_generator_and_gives_recovery_codes_once(desk: Any) -> None:
    first = desk.arrive(desk.add("Wang Fang"))
    ways = desk.factors.ways(first, now=desk.now)
    assert (ways.has_password, ways.has_generator, ways.passkeys, ways.is_set_up) == (False, False, (), False)
    changed = desk.factors.set_password(first, NEW, now=desk.now)
    assert changed.session.must_set_up
    assert desk.visitor(first) is None
    second = changed.session.cookie
    offer = desk.factors.offer_generator(second, now=desk.now)
    assert isinstance(offer, GeneratorOffer)
    assert offer.secret in offer.uri
    assert desk.factors.confirm_generator(second, "000000", now=desk.now) == refused(Problem.WRONG_CODE)
    done = desk.factors.confirm_generator(second, desk.code(offer.secret), now=desk.now)
    assert len(done.recovery_codes) == 8
    assert not done.session.must_set_up
    # Rights rose: the value before is worth nothing, and forms that were open go on.
    assert desk.visitor(second) is None
    assert desk.visitor(done.session.cookie).form_token == changed.session.form_token
    assert not desk.visitor(done.session.cookie).must_set_up
    ways = desk.factors.ways(done.session.cookie, now=desk.now)
    assert (ways.has_password, ways.has_generator, ways.recovery_codes_left, ways.is_set_up) == (True, True, 8, True)
    # The code that confirmed the generator is used.
    step = desk.type_password("Wang Fang", NEW)
    assert desk.type_code(step.pending, desk.code(offer.secret)) == Denied(Why.WRONG)
    assert desk.audited() == [
        "account.added",
        "account.link_made",
        "account.signed_in",
        "account.password_changed",
        "account.generator_changed",
    ]


def test_nothing_secret_is_stored_as_it_is_typed(desk: Any, make_key: Callable[..., Any]) -> None:
    cookie, secret, codes = desk.set_up(desk.add("Wang Fang"))
    desk.add_passkey(cookie, make_key())
    stored = "".join(
        str(desk.office.rows(f"SELECT * FROM {table}"))
        for table in ("accounts", "account_passkeys", "account_recovery_codes", "account_sessions", "audit_log")
    )
    for word in ("Wang", "seven grey herons", secret, codes[0], codes[0].replace("-", ""), cookie):
        assert word not in stored


def test_a_new_password_needs_the_old_one_and_ends_all_other_sessions(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    _, secret, _ = desk.set_up(account_id)
    there = desk.type_code(desk.type_password("Wang Fang").pending, desk.code(secret)).session.cookie
    desk.wait(minutes=1)
    step = desk.type_password("Wang Fang")
    here = desk.type_code(step.pending, desk.code(secret)).session.cookie
    waiting = desk.type_password("Wang Fang")
    for current in (None, "", "seven grey geese"):
        found = desk.factors.set_password(here, NEW, current=current, now=desk.now)
        assert found == refused(Problem.WRONG_PASSWORD)
    done = desk.factors.set_password(here, NEW, current="seven grey herons", now=desk.now)
    assert isinstance(done, Changed)
    assert desk.visitor(there) is None
    assert desk.visitor(here) is None
    assert desk.visitor(done.session.cookie)
    desk.wait(minutes=1)
    assert desk.type_code(waiting.pending, desk.code(secret)) == Denied(Why.EXPIRED)
    assert desk.type_password("Wang Fang") == Denied(Why.WRONG)
    assert isinstance(desk.type_password("Wang Fang", NEW), CodeNeeded)


def test_an_open_screen_is_no_place_to_guess_the_password(desk: Any) -> None:
    _, secret, _ = desk.set_up(desk.add("Wang Fang"))
    cookie = desk.type_code(desk.type_password("Wang Fang").pending, desk.code(secret)).session.cookie
    wrong = refused(Problem.WRONG_PASSWORD)
    for _ in range(6):
        assert desk.factors.set_password(cookie, NEW, current="seven grey geese", now=desk.now) == wrong
    assert desk.factors.set_password(cookie, NEW, current="seven grey herons", now=desk.now) == wrong
    desk.wait(seconds=31)
    assert isinstance(desk.factors.set_password(cookie, NEW, current="seven grey herons", now=desk.now), Changed)


def test_who_came_by_a_link_has_forgotten_the_old_one(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    desk.set_up(account_id)
    assert isinstance(desk.factors.set_password(desk.arrive(account_id), NEW, now=desk.now), Changed)


def test_bad_passwords_are_named_and_change_nothing(desk: Any) -> None:
    cookie = desk.arrive(desk.add("Wang Fang"))
    for new, problem in (
        ("short", PasswordProblem.TOO_SHORT),
        ("wang fang 1970", PasswordProblem.OWN_NAME),
        ("password1234", PasswordProblem.COMMON),
        ("Lifecert-north-1", PasswordProblem.COMMON),
    ):
        assert problem in desk.factors.set_password(cookie, new, now=desk.now).problems
    assert desk.visitor(cookie)


def test_what_people_sign_in_with_is_changed_soon_after_signing_in_only(desk: Any) -> None:
    cookie, _, _ = desk.set_up(desk.add("Wang Fang"))
    desk.wait(minutes=15)
    assert desk.visitor(cookie)
    factors, again = desk.factors, refused(Problem.SIGN_IN_AGAIN)
    assert factors.set_password(cookie, NEW, current="seven grey herons", now=desk.now) == again
    assert factors.offer_generator(cookie, now=desk.now) == again
    assert factors.confirm_generator(cookie, "1", now=desk.now) == again
    assert factors.passkey_options(cookie, now=desk.now) == again
    assert factors.add_passkey(cookie, "{}", label="x", now=desk.now) == again
    assert factors.remove_passkey(cookie, "AAAA", now=desk.now) == again
    assert factors.new_recovery_codes(cookie, now=desk.now) == again
    assert factors.new_recovery_codes("nobody", now=desk.now) == refused(Problem.SIGNED_OUT)
    assert factors.ways("nobody", now=desk.now) is None


def test_setting_up_may_take_its_time(desk: Any) -> None:
    cookie = desk.arrive(desk.add("Wang Fang"))
    desk.wait(minutes=20)
    assert isinstance(desk.factors.set_password(cookie, NEW, now=desk.now), Changed)


def test_the_old_generator_stays_until_a_code_of_the_new_one_is_shown(desk: Any) -> None:
    cookie, secret, codes = desk.set_up(desk.add("Wang Fang"))
    assert desk.factors.confirm_generator(cookie, desk.code(secret), now=desk.now) == refused(Problem.NOT_OFFERED)
    offer = desk.factors.offer_generator(cookie, now=desk.now)
    step = desk.type_password("Wang Fang")
    assert isinstance(desk.type_code(step.pending, desk.code(secret)), SignedIn)
    done = desk.factors.confirm_generator(cookie, desk.code(offer.secret), now=desk.now)
    assert done.recovery_codes == ()
    desk.wait(minutes=1)
    step = desk.type_password("Wang Fang")
    assert desk.type_code(step.pending, desk.code(secret)) == Denied(Why.WRONG)
    assert isinstance(desk.type_code(step.pending, desk.code(offer.secret)), SignedIn)
    new = desk.factors.new_recovery_codes(done.session.cookie, now=desk.now)
    assert len(new.recovery_codes) == 8
    step = desk.type_password("Wang Fang")
    assert desk.type_code(step.pending, codes[0]) == Denied(Why.WRONG)
    assert isinstance(desk.type_code(step.pending, new.recovery_codes[0]), SignedIn)


def test_passkeys_are_added_listed_and_removed_but_the_last_way_in_stays(
    desk: Any, make_key: Callable[..., Any]
) -> None:
    one, two = make_key(), make_key()
    cookie = desk.add_passkey(desk.add_passkey(desk.arrive(desk.add("Wang Fang")), one), two)
    ways = desk.factors.ways(cookie, now=desk.now)
    assert {(each.passkey_id, each.label) for each in ways.passkeys} == {
        (one.written_id(), "desk"),
        (two.written_id(), "desk"),
    }
    assert desk.factors.remove_passkey(cookie, "AAAA", now=desk.now) == refused(Problem.NO_SUCH_PASSKEY)
    assert desk.factors.remove_passkey(cookie, "é", now=desk.now) == refused(Problem.NO_SUCH_PASSKEY)
    there = desk.use_passkey(two).session.cookie
    done = desk.factors.remove_passkey(cookie, one.written_id(), now=desk.now)
    assert isinstance(done, Changed)
    assert desk.visitor(there) is None
    assert desk.use_passkey(one) == Denied(Why.WRONG)
    last = desk.factors.remove_passkey(done.session.cookie, two.written_id(), now=desk.now)
    assert last == refused(Problem.LAST_WAY_IN)
    assert isinstance(desk.use_passkey(two), SignedIn)


@pytest.mark.parametrize(
    ("spoilt", "client"),
    [
        ({"origin": "http://evil.example"}, {}),
        ({"is_verified": False}, {}),
        ({}, {"challenge": "A" * 43}),
        ({}, {"type": "webauthn.get"}),
    ],
)
def test_a_new_passkey_that_is_not_for_here_is_wrong(
    desk: Any, make_key: Callable[..., Any], spoilt: dict[str, Any], client: dict[str, str]
) -> None:
    cookie = desk.arrive(desk.add("Wang Fang"))
    options = desk.factors.passkey_options(cookie, now=desk.now)
    answer = make_key(**spoilt).create(options, **client)
    found = desk.factors.add_passkey(cookie, answer, label="desk", now=desk.now)
    assert found == refused(Problem.WRONG_PASSKEY)
    assert desk.visitor(cookie).must_set_up


def test_a_challenge_for_a_new_passkey_is_good_once_for_who_asked_and_not_for_signing_in(
    desk: Any, make_key: Callable[..., Any]
) -> None:
    wrong = refused(Problem.WRONG_PASSKEY)
    cookie, other = desk.arrive(desk.add("Wang Fang")), desk.arrive(desk.add("Li Na"))
    options, key = desk.factors.passkey_options(cookie, now=desk.now), make_key()
    answer = key.create(options)
    assert desk.factors.add_passkey(other, answer, label="desk", now=desk.now) == wrong
    assert desk.factors.add_passkey(cookie, answer, label="desk", now=desk.now) == wrong
    cookie = desk.add_passkey(cookie, key)
    assert desk.factors.add_passkey(cookie, answer, label="desk", now=desk.now) == wrong
    for bad in ("", "{}", "x" * 100_000):
        assert desk.factors.add_passkey(cookie, bad, label="desk", now=desk.now) == wrong
    assert desk.factors.add_passkey(cookie, answer, label="  ", now=desk.now) == refused(Problem.LABEL)
    # Nobody else takes over a passkey by its id.
    options = desk.factors.passkey_options(other, now=desk.now)
    theirs = make_key(credential_id=key.credential_id).create(options)
    assert desk.factors.add_passkey(other, theirs, label="desk", now=desk.now) == wrong
    assert isinstance(desk.use_passkey(key), SignedIn)
