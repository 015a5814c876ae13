"""Signing in, on a real database, with real hashes, codes and signatures."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, text

from fleet.accounts import registry
from fleet.accounts.failures import MOST_ADDRESSES, note_failures
from fleet.accounts.passwords import Passwords
from fleet.accounts.roles import Grant, Role
from fleet.accounts.sessions import How, account_of_form, end_own, own_sessions, sign_out
from fleet.accounts.signing_in import CodeNeeded, Denied, SignedIn, Why
from fleet.app import retention_rules
from fleet.audit.log import entries, verify
from fleet.privacy.retention import clean
from fleet.store.sessions import resume_session

pytestmark = pytest.mark.integration

WRONG, EXPIRED = Denied(Why.WRONG), Denied(Why.EXPIRED)


def pending(desk: Any, name: str = "Wang Fang") -> str:
    found = desk.type_password(name)
    assert isinstance(found, CodeNeeded)
    return found.pending


def guess(desk: Any, name: str = "Wang Fang", *, times: int = 1, address: str = "198.51.100.1") -> None:
    for _ in range(times):
        assert desk.type_password(name, "seven grey geese", address=address) == WRONG


# Password and code


def test_password_and_code_sign_in_and_the_name_may_be_written_in_any_way(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    _, secret, _ = desk.set_up(account_id)
    step = desk.type_password(" wang　FANG ")
    assert isinstance(step, CodeNeeded)
    assert (step.has_generator, step.has_passkeys) == (True, False)
    done = desk.type_code(step.pending, desk.code(secret))
    assert isinstance(done, SignedIn)
    assert (done.how, done.recovery_codes_left, done.session.must_set_up) == (How.CODE, 8, False)
    visitor = desk.visitor(done.session.cookie)
    assert (visitor.account_id, visitor.name, visitor.grants) == (
        account_id,
        "Wang Fang",
        (Grant(Role.FLEET_ADMINISTRATOR, None),),
    )
    assert visitor.form_token == done.session.form_token
    assert desk.audited()[-1] == "account.signed_in"


def test_unknown_names_wrong_passwords_and_accounts_out_of_service_look_the_same(desk: Any) -> None:
    desk.add("Li Na")
    account_id = desk.add("Wang Fang")
    desk.set_up(account_id)
    registry.disable(desk.office.database, desk.office.keys.cipher, desk.keyboard(), account_id, now=desk.now)
    for name, password in (("Wang Fang", None), ("Nobody", None), ("Li Na", None), ("", "x"), ("x" * 9999, "\ud800")):
        assert desk.type_password(name, *([] if password is None else [password])) == WRONG


def test_whoever_is_asked_for_one_hash_is_worked_out(desk: Any) -> None:
    class Counting(Passwords):
        asked = 0

        def verify(self, stored: str | None, given: str) -> bool:
            Counting.asked += 1
            return super().verify(stored, given)

    desk.add("Li Na")
    account_id = desk.add("Wang Fang")
    desk.set_up(account_id)
    desk.passwords = Counting(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    # Wrong and locked, without a password, nobody's, and out of service.
    guess(desk, times=8)
    guess(desk, "Li Na")
    guess(desk, "Nobody", times=8)
    registry.disable(desk.office.database, desk.office.keys.cipher, desk.keyboard(), account_id, now=desk.now)
    guess(desk, address="203.0.113.5")
    assert Counting.asked == 18


def test_a_password_alone_is_no_sign_in(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    changed = desk.factors.set_password(desk.arrive(account_id), "seven grey herons", now=desk.now)
    assert changed.session.must_set_up
    assert desk.type_password("Wang Fang") == Denied(Why.NOT_SET_UP)


def test_a_code_is_good_once_and_so_is_the_step_before_it(desk: Any) -> None:
    _, secret, _ = desk.set_up(desk.add("Wang Fang"))
    code, first = desk.code(secret), pending(desk)
    assert isinstance(desk.type_code(first, code), SignedIn)
    assert desk.type_code(first, code) == EXPIRED
    assert desk.type_code(pending(desk), code) == WRONG
    desk.wait(seconds=-30)
    assert desk.type_code(pending(desk), code) == WRONG
    desk.wait(seconds=60)
    assert isinstance(desk.type_code(pending(desk), desk.code(secret)), SignedIn)


def test_a_recovery_code_is_good_once(desk: Any) -> None:
    _, _, codes = desk.set_up(desk.add("Wang Fang"))
    done = desk.type_code(pending(desk), codes[3].upper())
    assert (done.how, done.recovery_codes_left) == (How.RECOVERY_CODE, 7)
    assert desk.type_code(pending(desk), codes[3]) == WRONG


def test_the_second_step_has_ten_minutes_and_five_tries(desk: Any) -> None:
    _, secret, _ = desk.set_up(desk.add("Wang Fang"))
    late = pending(desk)
    desk.wait(minutes=10)
    assert desk.type_code(late, desk.code(secret)) == EXPIRED
    step = pending(desk)
    assert [desk.type_code(step, "000000x") for _ in range(5)] == [WRONG] * 5
    assert desk.type_code(step, desk.code(secret)) == EXPIRED
    assert desk.type_code("made up", desk.code(secret)) == EXPIRED


def test_guessing_codes_with_the_right_password_is_slowed_down_as_well(desk: Any) -> None:
    _, secret, _ = desk.set_up(desk.add("Wang Fang"))
    for _ in range(6):
        assert desk.type_code(pending(desk), "0") == WRONG
    assert desk.type_code(pending(desk), desk.code(secret)) == WRONG
    assert "account.locked" in desk.audited()
    desk.wait(seconds=31)
    assert isinstance(desk.type_code(pending(desk), desk.code(secret)), SignedIn)


def test_an_old_hash_is_made_anew_at_the_next_sign_in(desk: Any) -> None:
    desk.set_up(desk.add("Wang Fang"))
    desk.passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    pending(desk)
    assert "$m=16,t=2,p=1$" in desk.office.rows("SELECT password_hash FROM accounts")[0][0]
    pending(desk)


# Locks


def test_guessing_is_slowed_down_and_what_is_right_is_not_looked_at_meanwhile(desk: Any) -> None:
    desk.set_up(desk.add("Wang Fang"))
    desk.address = "203.0.113.5"
    guess(desk, times=6, address=desk.address)
    assert desk.type_password("Wang Fang") == WRONG
    desk.wait(seconds=29)
    assert desk.type_password("Wang Fang") == WRONG
    desk.wait(seconds=2)
    assert isinstance(desk.type_password("Wang Fang"), CodeNeeded)
    # Who was right begins with none.
    guess(desk, times=5, address=desk.address)
    assert isinstance(desk.type_password("Wang Fang"), CodeNeeded)


def test_names_that_nobody_has_are_slowed_down_just_the_same(desk: Any) -> None:
    guess(desk, "Nobody", times=8)
    assert [row.failures for row in desk.office.rows("SELECT failures FROM account_attempts ORDER BY 1")] == [6, 6]


def test_who_guesses_elsewhere_locks_nobody_out_of_their_own_desk(desk: Any) -> None:
    _, secret, _ = desk.set_up(desk.add("Wang Fang"))
    for _ in range(10):
        guess(desk, times=8)
        desk.wait(minutes=20)
    assert desk.type_password("Wang Fang", address="203.0.113.5") == WRONG
    assert isinstance(desk.type_code(pending(desk), desk.code(secret)), SignedIn)


def test_a_passkey_works_while_passwords_wait(desk: Any, make_key: Callable[..., Any]) -> None:
    account_id, key = desk.add("Wang Fang"), make_key()
    desk.add_passkey(desk.arrive(account_id), key)
    desk.address = "203.0.113.5"
    guess(desk, times=30, address=desk.address)
    assert isinstance(desk.use_passkey(key), SignedIn)


def test_one_address_that_guesses_at_many_names_waits_too(desk: Any) -> None:
    desk.set_up(desk.add("Wang Fang"))
    for number in range(21):
        guess(desk, f"Nobody {number}")
    assert desk.type_password("Wang Fang", address="198.51.100.1") == WRONG
    assert isinstance(desk.type_password("Wang Fang", address="198.51.100.2"), CodeNeeded)


def test_many_guesses_at_once_are_counted_one_after_another(desk: Any) -> None:
    desk.set_up(desk.add("Wang Fang"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: guess(desk), range(24)))
    assert {row.failures for row in desk.office.rows("SELECT failures FROM account_attempts")} == {6}


# Passkeys


def test_a_passkey_is_a_whole_sign_in(desk: Any, make_key: Callable[..., Any]) -> None:
    account_id, key = desk.add("Wang Fang"), make_key()
    cookie = desk.add_passkey(desk.arrive(account_id), key)
    assert not desk.visitor(cookie).must_set_up
    done = desk.use_passkey(key)
    assert (done.how, desk.visitor(done.session.cookie).account_id) == (How.PASSKEY, account_id)
    assert desk.office.rows("SELECT sign_count, last_used_at FROM account_passkeys") == [(1, desk.now)]


def test_several_passkeys_of_one_account_all_sign_in(desk: Any, make_key: Callable[..., Any]) -> None:
    account_id, keys = desk.add("Wang Fang"), [make_key(), make_key(keeps_counter=False)]
    cookie = desk.arrive(account_id)
    for key in keys:
        cookie = desk.add_passkey(cookie, key)
    for key in [*keys, *keys]:
        assert isinstance(desk.use_passkey(key), SignedIn)


def test_after_a_password_only_the_passkeys_of_that_account_are_asked_for(
    desk: Any, make_key: Callable[..., Any]
) -> None:
    mine, other = make_key(), make_key()
    desk.add_passkey(desk.arrive(desk.add("Li Na")), other)
    cookie, _, _ = desk.set_up(desk.add("Wang Fang"))
    desk.add_passkey(cookie, mine)
    step = desk.type_password("Wang Fang")
    assert step.has_passkeys
    options = desk.sign_in.passkey_options(now=desk.now, pending=step.pending)
    assert mine.written_id() in options
    assert other.written_id() not in options
    assert desk.sign_in.passkey(other.get(options), address=desk.address, now=desk.now) == WRONG
    options = desk.sign_in.passkey_options(now=desk.now, pending=step.pending)
    assert isinstance(desk.sign_in.passkey(mine.get(options), address=desk.address, now=desk.now), SignedIn)


@pytest.mark.parametrize(
    ("spoilt", "client"),
    [
        ({"origin": "http://evil.example"}, {}),
        ({"origin": "http://localhost:8081"}, {}),
        ({"is_verified": False}, {}),
        ({"user_handle": b"a-somebody"}, {}),
        ({}, {"type": "webauthn.create"}),
    ],
)
def test_a_passkey_answer_that_is_not_for_here_is_wrong(
    desk: Any, make_key: Callable[..., Any], spoilt: dict[str, Any], client: dict[str, str]
) -> None:
    key = make_key()
    desk.add_passkey(desk.arrive(desk.add("Wang Fang")), key)
    for name, value in spoilt.items():
        setattr(key, name, value)
    assert desk.use_passkey(key, **client) == WRONG
    assert desk.audited()[-1] == "account.passkey_added"


def test_a_challenge_is_good_once_for_five_minutes_and_made_here(desk: Any, make_key: Callable[..., Any]) -> None:
    key = make_key()
    desk.add_passkey(desk.arrive(desk.add("Wang Fang")), key)
    answer = key.get(desk.sign_in.passkey_options(now=desk.now))
    assert isinstance(desk.sign_in.passkey(answer, address=desk.address, now=desk.now), SignedIn)
    assert desk.sign_in.passkey(answer, address=desk.address, now=desk.now) == EXPIRED
    late = key.get(desk.sign_in.passkey_options(now=desk.now))
    desk.wait(minutes=5)
    assert desk.sign_in.passkey(late, address=desk.address, now=desk.now) == EXPIRED
    desk.wait(hours=-1)
    assert desk.sign_in.passkey(late, address=desk.address, now=desk.now) == EXPIRED
    assert desk.use_passkey(key, challenge="A" * 43) == EXPIRED


def test_a_wrong_answer_uses_the_challenge_up(desk: Any, make_key: Callable[..., Any]) -> None:
    key = make_key()
    desk.add_passkey(desk.arrive(desk.add("Wang Fang")), key)
    options = desk.sign_in.passkey_options(now=desk.now)
    forged = make_key(credential_id=key.credential_id, user_handle=key.user_handle, counter=5)
    assert desk.sign_in.passkey(forged.get(options), address=desk.address, now=desk.now) == WRONG
    assert desk.sign_in.passkey(key.get(options), address=desk.address, now=desk.now) == EXPIRED


def test_a_copied_passkey_is_found_by_its_counter_and_audited(desk: Any, make_key: Callable[..., Any]) -> None:
    key = make_key()
    desk.add_passkey(desk.arrive(desk.add("Wang Fang")), key)
    for _ in range(3):
        assert isinstance(desk.use_passkey(key), SignedIn)
    key.counter = 1
    assert desk.use_passkey(key) == WRONG
    assert desk.audited()[-1] == "account.passkey_copied"
    key.counter = 3
    assert isinstance(desk.use_passkey(key), SignedIn)


def test_a_passkey_of_an_account_out_of_service_is_wrong(desk: Any, make_key: Callable[..., Any]) -> None:
    desk.add("Li Na")
    account_id, key = desk.add("Wang Fang"), make_key()
    desk.add_passkey(desk.arrive(account_id), key)
    registry.disable(desk.office.database, desk.office.keys.cipher, desk.keyboard(), account_id, now=desk.now)
    assert desk.use_passkey(key) == WRONG
    assert desk.use_passkey(make_key()) == WRONG


@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", '{"id": 1}', "x" * 100_000, '{"id":"\ud800"}'])
def test_what_is_no_answer_is_wrong(desk: Any, answer: str) -> None:
    assert desk.sign_in.passkey(answer, address=desk.address, now=desk.now) == WRONG


# Links


def test_a_link_signs_in_once_within_ten_minutes_and_the_newest_only(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    first, link = desk.link(account_id), desk.link(account_id)
    assert desk.sign_in.link(first, address=desk.address, now=desk.now) == EXPIRED
    done = desk.sign_in.link(link, address=desk.address, now=desk.now)
    assert (done.how, done.session.must_set_up) == (How.LINK, True)
    assert desk.visitor(done.session.cookie).must_set_up
    assert desk.sign_in.link(link, address=desk.address, now=desk.now) == EXPIRED
    late = desk.link(account_id)
    desk.wait(minutes=10)
    assert desk.sign_in.link(late, address=desk.address, now=desk.now) == EXPIRED
    assert desk.sign_in.link("made up", address=desk.address, now=desk.now) == EXPIRED
    assert not desk.office.rows("SELECT 1 FROM account_tokens WHERE position(:link in token_hash::text) > 0", link=link)


def test_a_link_signs_in_fully_where_factors_are(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    desk.set_up(account_id)
    assert not desk.visitor(desk.arrive(account_id)).must_set_up


def test_one_link_code_or_challenge_used_at_once_by_many_signs_in_once(desk: Any, make_key: Callable[..., Any]) -> None:
    account_id, key = desk.add("Wang Fang"), make_key()
    cookie, secret, _ = desk.set_up(account_id)
    desk.add_passkey(cookie, key)
    step, code = pending(desk), desk.code(secret)
    answer = key.get(desk.sign_in.passkey_options(now=desk.now))
    sign_in, at = desk.sign_in, {"address": desk.address, "now": desk.now}
    for use in (
        lambda _: sign_in.code(step, code, **at),
        lambda _: sign_in.passkey(answer, **at),
    ):
        with ThreadPoolExecutor(6) as pool:
            assert sum(isinstance(done, SignedIn) for done in pool.map(use, range(6))) == 1
    link = desk.link(account_id)
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda _: sign_in.link(link, **at), range(6)))
    assert sum(isinstance(each, SignedIn) for each in done) == 1


# Sessions


def signed_in(desk: Any) -> str:
    cookie, _, _ = desk.set_up(desk.add("Wang Fang"))
    return str(cookie)


def test_a_session_ends_when_unused_and_when_old(desk: Any) -> None:
    cookie = signed_in(desk)
    for _ in range(15):
        desk.wait(minutes=28)
        assert desk.visitor(cookie)
    desk.wait(minutes=30)
    assert desk.visitor(cookie) is None
    again = desk.arrive(desk.office.rows("SELECT account_id FROM accounts")[0][0])
    for _ in range(24):
        desk.wait(minutes=20)
        found = desk.visitor(again)
    assert found is None


def test_what_a_page_asks_by_itself_keeps_no_session_alive(desk: Any) -> None:
    cookie = signed_in(desk)
    for _ in range(4):
        desk.wait(minutes=8)
        found = desk.visitor(cookie, is_by_person=False)
    assert found is None


def test_a_clock_that_is_put_back_ends_sessions_of_whom_nobody_knows_the_age(desk: Any) -> None:
    cookie = signed_in(desk)
    desk.wait(minutes=-5)
    assert desk.visitor(cookie)
    desk.wait(days=-1)
    assert desk.visitor(cookie) is None


def test_a_request_costs_one_query_and_once_a_minute_two(desk: Any) -> None:
    cookie = signed_in(desk)
    seen: list[str] = []

    def note_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement.split()[0])

    engine = desk.office.database._engine
    event.listen(engine, "before_cursor_execute", note_statement)
    desk.visitor(cookie)
    desk.wait(seconds=59)
    desk.visitor(cookie)
    event.remove(engine, "before_cursor_execute", note_statement)
    assert seen == ["SELECT", "UPDATE", "SELECT"]


def test_the_query_of_every_request_goes_by_indexes(desk: Any) -> None:
    cookie = signed_in(desk)
    with desk.office.database.begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        seen: list[str] = []
        engine = desk.office.database._engine

        def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            with cursor.connection.cursor() as other:
                other.execute(f"EXPLAIN {statement}", parameters)
                seen.extend(row[0] for row in other.fetchall())

        event.listen(engine, "before_cursor_execute", explain)
        assert resume_session(connection, b"x" * 32) is None
        event.remove(engine, "before_cursor_execute", explain)
    assert desk.visitor(cookie)
    plan = "\n".join(seen)
    assert "account_sessions_pkey" in plan
    assert "accounts_pkey" in plan
    assert "account_grants_once" in plan
    assert "Seq Scan" not in plan


def test_only_digests_of_cookies_are_stored_and_whatever_is_sent_is_looked_up(desk: Any) -> None:
    cookie = signed_in(desk)
    stored = str(desk.office.rows("SELECT * FROM account_sessions"))
    assert cookie not in stored
    for sent in ("", "x", cookie[:-1], cookie + "x", "\ud800", "x" * 100_000):
        assert desk.visitor(sent) is None


def test_roles_are_those_of_now(desk: Any) -> None:
    desk.add("Li Na")
    account_id = desk.add("Wang Fang", Role.OPERATOR, "east")
    cookie = desk.arrive(account_id)
    actor, cipher = desk.keyboard("Zhao"), desk.office.keys.cipher
    registry.give(desk.office.database, cipher, actor, account_id, Grant(Role.VIEWER, None), now=desk.now)
    assert desk.visitor(cookie).grants == (Grant(Role.OPERATOR, "east"), Grant(Role.VIEWER, None))
    registry.take(desk.office.database, cipher, actor, account_id, Grant(Role.OPERATOR, "east"), now=desk.now)
    assert desk.visitor(cookie).roles == {Role.VIEWER}
    registry.disable(desk.office.database, cipher, actor, account_id, now=desk.now)
    assert desk.visitor(cookie) is None
    registry.enable(desk.office.database, cipher, actor, account_id, now=desk.now)
    assert desk.visitor(cookie) is None


def test_people_see_and_end_their_own_sessions_and_nobody_elses(desk: Any) -> None:
    here, account_id = signed_in(desk), desk.office.rows("SELECT account_id FROM accounts")[0][0]
    there, other = desk.arrive(account_id), desk.arrive(desk.add("Li Na"))
    with desk.office.database.begin() as connection:
        found = own_sessions(connection, here, now=desk.now, rules=desk.rules)
        assert [(each.how, each.is_this) for each in found] == [("link", False), ("link", True)]
        theirs = own_sessions(connection, other, now=desk.now, rules=desk.rules)[0].session_id
        assert end_own(connection, here, now=desk.now, rules=desk.rules, session_id=theirs) == 0
        assert end_own(connection, here, now=desk.now, rules=desk.rules) == 1
        assert end_own(connection, "nobody", now=desk.now, rules=desk.rules) == 0
    assert desk.visitor(there) is None
    assert desk.visitor(here)
    assert desk.visitor(other)


def test_signing_out_ends_the_session_and_whose_it_was_is_still_known(desk: Any) -> None:
    cookie = signed_in(desk)
    form_token = desk.visitor(cookie).form_token
    with desk.office.database.begin() as connection:
        assert sign_out(connection, cookie, now=desk.now, rules=desk.rules)
        assert not sign_out(connection, cookie, now=desk.now, rules=desk.rules)
        assert account_of_form(connection, form_token) == desk.office.rows("SELECT account_id FROM accounts")[0][0]
        assert account_of_form(connection, "nobody") is None
    assert desk.visitor(cookie) is None


def test_what_is_over_is_deleted_by_the_daily_job(desk: Any) -> None:
    form_token = desk.visitor(signed_in(desk)).form_token
    guess(desk, "Nobody")
    desk.link(desk.add("Li Na"))
    kept = retention_rules(desk.office.settings)
    zone = desk.office.settings.zone()
    assert not {"account_sessions", "account_tokens", "account_attempts"} & set(
        clean(desk.office.database, kept, zone=zone, now=desk.now)
    )
    desk.wait(days=31)
    done = clean(desk.office.database, kept, zone=zone, now=desk.now + timedelta(minutes=1))
    assert done["account_tokens"] == 1
    assert done["account_attempts"] == 2
    assert done["account_sessions"] >= 1
    with desk.office.database.begin() as connection:
        assert account_of_form(connection, form_token) is None


# What stands in the audit log


def noted(desk: Any) -> list[Any]:
    """Return the entries about failures once the quarter of an hour is over."""
    note_failures(desk.office.database, desk.office.keys.cipher, now=desk.now)
    with desk.office.database.begin() as connection:
        return [each for each in entries(connection) if each.action == "account.sign_in_failed"]


def test_failures_stand_in_the_log_once_for_each_account_and_quarter_of_an_hour(desk: Any) -> None:
    account_id = desk.add("Wang Fang")
    _, secret, _ = desk.set_up(account_id)
    guess(desk, times=9)
    assert desk.type_code(pending(desk), "0") == WRONG
    assert noted(desk) == [], "the quarter is not over"
    desk.wait(minutes=15)
    (entry,) = noted(desk)
    assert (entry.object_kind, entry.object_id) == ("account", account_id)
    assert (entry.detail["password"], entry.detail["code"], entry.detail["unheard"]) == (9, 1, 3)
    assert noted(desk) == [entry], "each quarter stands there once"
    desk.wait(minutes=60)
    assert isinstance(desk.type_code(pending(desk), desk.code(secret)), SignedIn)
    assert noted(desk) == [entry], "what was right is no failure"
    with desk.office.database.begin() as connection:
        verify(connection)


def test_names_that_nobody_has_are_told_by_address_and_no_name_stands_anywhere(desk: Any) -> None:
    for number in range(3):
        guess(desk, f"Nobody {number}", times=2)
    desk.wait(minutes=15)
    (entry,) = noted(desk)
    assert entry.object_kind == "address"
    assert entry.detail["password"] == 6
    assert "Nobody" not in str(entry)
    assert "198.51.100" not in str(entry)


def test_whoever_has_many_addresses_fills_no_log(desk: Any) -> None:
    for number in range(MOST_ADDRESSES + 5):
        guess(desk, f"Nobody {number}", times=1, address=f"198.51.100.{number}")
    desk.wait(minutes=15)
    found = noted(desk)
    assert len(found) == MOST_ADDRESSES + 1
    assert (found[-1].object_id, found[-1].detail["addresses"], found[-1].detail["password"]) == ("others", 5, 5)
