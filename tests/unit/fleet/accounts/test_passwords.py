from __future__ import annotations

import threading

import pytest
from argon2 import PasswordHasher, Type
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from fleet.accounts.passwords import AT_ONCE, LONGEST, WAITING, PasswordProblem, Passwords, prepared, problems_of

CHEAP = PasswordHasher.from_parameters(CHEAPEST)


def problems(password: str, name: str = "Wang Fang") -> list[PasswordProblem]:
    return problems_of(password, name=name, least=12, service="Lifecert north")


@pytest.mark.parametrize(
    "password",
    [
        "seven grey herons",
        "浙江的雨下了整整三天又三夜",
        "tulpe-kamin-zwölf",
        "zq 4v kk8 tt1 x",
        "#%&!*+;:<>=/?",
        "Wang Fang likes gardening",
    ],
)
def test_whatever_is_long_and_not_common_is_taken_without_rules_about_its_characters(password: str) -> None:
    assert problems(password) == []


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "P@ssw0rd2026!",
        "Passwort-Passwort",
        "qwertyuiop12",
        "1qaz2wsx3edc",
        "123456789012",
        "aaaaaaaaaaaa",
        "ababababababab",
        "woaini1314520",
        "Lifecert-north-2026",
        "iloveyou iloveyou",
        "ｐａｓｓｗｏｒｄ１２３４",
        "admin admin 2026",
    ],
)
def test_common_ones_are_refused_however_they_are_dressed_up(password: str) -> None:
    assert problems(password) == [PasswordProblem.COMMON]


@pytest.mark.parametrize("password", ["wang fang 1970", "WANGFANG2026", "FangWang-1234", "Wang.Fang.Wang"])
def test_the_own_name_is_no_password(password: str) -> None:
    assert problems(password) == [PasswordProblem.OWN_NAME]
    assert problems("王芳王芳王芳12345678", name="王芳") == [PasswordProblem.OWN_NAME]


def test_length_counts_code_points_and_has_an_upper_end() -> None:
    assert problems("grey herons!") == []
    assert problems("grey herons") == [PasswordProblem.TOO_SHORT]
    assert problems("七只灰鹭站在河边") == [PasswordProblem.TOO_SHORT]
    assert problems("grey herons " * 21) == []
    assert problems("x" * (LONGEST + 1)) == [PasswordProblem.TOO_LONG]
    assert problems("seven grey\0herons") == [PasswordProblem.UNUSABLE]


def test_a_password_is_the_same_in_every_form_that_keyboards_send() -> None:
    passwords = Passwords(CHEAP)
    stored = passwords.hash("caf\u00e9 am\u3000Markt")
    assert passwords.verify(stored, "cafe\u0301 am Markt")
    assert not passwords.verify(stored, "cafe am Markt")
    assert not passwords.verify(stored, "Caf\u00e9 am Markt")
    assert prepared("\ud800") == "?"
    assert not passwords.verify(stored, "\ud800" * 9)


def test_hashes_are_argon2id_as_rfc_9106_recommends_where_memory_is_scarce() -> None:
    stored = Passwords().hash("seven grey herons")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert RFC_9106_LOW_MEMORY.type is Type.ID
    assert Passwords().verify(stored, "seven grey herons")


def test_a_hash_of_other_parameters_is_still_right_and_to_be_made_anew() -> None:
    old, new = Passwords(CHEAP), Passwords()
    stored = old.hash("seven grey herons")
    assert new.verify(stored, "seven grey herons")
    assert new.needs_rehash(stored)
    assert not new.needs_rehash(new.hash("seven grey herons"))


def test_nobody_has_any_password_and_a_broken_hash_none() -> None:
    passwords = Passwords(CHEAP)
    assert not passwords.verify(None, "seven grey herons")
    assert not passwords.verify("$argon2id$broken", "seven grey herons")


def test_nobodys_password_takes_the_same_work_as_anybodys() -> None:
    class Counting(PasswordHasher):
        verified = 0

        def verify(self, *arguments: str | bytes) -> bool:
            Counting.verified += 1
            return super().verify(*arguments)

    passwords = Passwords(Counting(time_cost=1, memory_cost=8, parallelism=1))
    stored = passwords.hash("seven grey herons")
    passwords.verify(None, "x")
    passwords.verify(stored, "x")
    assert Counting.verified == 2


def test_a_flood_works_out_two_hashes_at_once() -> None:
    class Watching(PasswordHasher):
        present = most = 0
        lock = threading.Lock()

        def verify(self, *arguments: str | bytes) -> bool:
            with Watching.lock:
                Watching.present += 1
                Watching.most = max(Watching.most, Watching.present)
            try:
                return super().verify(*arguments)
            finally:
                with Watching.lock:
                    Watching.present -= 1

    passwords = Passwords(Watching(time_cost=4, memory_cost=4096, parallelism=1))
    threads = [threading.Thread(target=passwords.verify, args=(None, "x")) for _ in range(AT_ONCE + WAITING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Watching.most == AT_ONCE == 2
