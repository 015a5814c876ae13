"""Names that nobody and no place has: drawn from syllables, some of them with signs that not every program can write."""

from __future__ import annotations

from random import Random

_FIRST = "霁苓柠萤栀绾砚琉黛岫芷漪"
_SECOND = "洄澍汀茗筠霭溯麓珏簌"
_KINDS = ("省", "市", "县", "镇", "社区")
"""What an area of each level is called. Source: R4-26."""
_FAMILY = "李王张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
_GIVEN = "秀英桂兰芳玉珍建国志明淑华文德凤仙金福春梅永贵素清海龙云霞少庆宝荣丽娟世昌月娥"
_RARE = "𬭎㛃䶮𠅤㐂䴉"
"""Signs of the extensions of Unicode's Han block, which people do have in their names."""
_LONG = ("阿依", "古丽", "帕提", "努尔", "扎西", "卓玛", "才旦", "买尔", "热娜", "多吉")
"""Syllables of names that are written with a dot in the middle."""
_RARE_SHARE = 0.03
_LONG_SHARE = 0.03
_UNITS = ("机械厂", "纺织厂", "中学", "粮食局", "矿务局", "运输公司", "医院", "供销社")
ADMINISTRATORS = ("Shen Yulan", "Fu Deming", "Ren Guifang")
REVIEWERS = ("Luo Jiming", "Peng Shuhua", "Tan Aiguo")
OPERATORS = ("Dong Wenqing", "Tang Sumei", "Gu Wenbin")
"""Made-up people who work at the agency, as they give their names: each does what `docs/roles.md` lets them do."""


def area_name(place: int, level: int) -> str:
    """Return the name of the area with a number among those of its level (1 to 5); no two of one level have the same.

    Past 120 of one level a third sign tells them apart.
    """
    number, second = divmod(place, len(_SECOND))
    turn, first = divmod(number, len(_FIRST))
    third = "" if turn == 0 else _FIRST[turn % len(_FIRST)] * (turn // len(_FIRST) + 1)
    return f"{_FIRST[(first + 3 * level) % len(_FIRST)]}{_SECOND[second]}{third}{_KINDS[level - 1]}"


def person_name(draw: Random) -> str:
    """Return the name of somebody: mostly two or three signs, some of them rare, some with a dot in the middle."""
    kind = draw.random()
    if kind < _LONG_SHARE:
        return f"{''.join(draw.sample(_LONG, 2))}·{''.join(draw.sample(_LONG, 2))}"
    given = "".join(draw.choices(_GIVEN, k=draw.choice((1, 2, 2, 2))))
    if kind < _LONG_SHARE + _RARE_SHARE:
        given = given[:-1] + draw.choice(_RARE)
    return draw.choice(_FAMILY) + given


def is_rare(name: str) -> bool:
    """Return whether a name has a sign that not every program can write."""
    return any(sign in _RARE for sign in name)


def unit_name(draw: Random, area: str) -> str:
    """Return the name of a unit of an area."""
    return f"{area}{draw.choice(_UNITS)}"
