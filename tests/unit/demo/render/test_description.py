"""The committed descriptions."""

from __future__ import annotations

import pytest

from demo.render.description import read_cast


def test_half_of_the_people_are_held_out() -> None:
    groups = [person.group for person in read_cast().people.values()]
    assert groups.count("development") == groups.count("held_out") >= 5


def test_attacks_name_people_of_their_own_group() -> None:
    cast = read_cast()
    for attack in cast.attacks.values():
        behind = attack.behind or attack.of
        assert cast.people[behind].group == cast.people[attack.of].group


def test_no_two_people_share_a_seed() -> None:
    seeds = [person.shape.seed for person in read_cast().people.values()]
    assert len(set(seeds)) == len(seeds)


def test_shares_of_ancestry_add_up() -> None:
    for person in read_cast().people.values():
        assert sum(person.shape.ancestry.values()) == pytest.approx(1)
