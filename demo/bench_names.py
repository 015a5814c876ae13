"""Made names for benchmarks, as unevenly spread as real ones."""

from __future__ import annotations

import random
from itertools import accumulate

_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕龚䶮"
_GIVEN = (
    "秀英兰玉华桂珍明文国建红军丽平志梅芳云春林海永金荣德福生庆龙俊强伟辉霞艳敏静淑凤琴素清月香爱莲菊翠巧燕㛃𬭎堃喆"
)
_SURNAME_SHARES = list(accumulate(1 / (place + 2) for place in range(len(_SURNAMES))))
"""Falling as the reciprocal of the rank: the first has some 13 in 100, a little more than the commonest surname in China."""
_GIVEN_SHARES = list(accumulate(1 / (place + 3) for place in range(len(_GIVEN))))


def name_of(place: int) -> str:
    """Return a made name: surnames and characters as unevenly spread as real ones, some of them rare."""
    drawn = random.Random(f"name {place}")  # noqa: S311 - a made population
    (surname,) = drawn.choices(_SURNAMES, cum_weights=_SURNAME_SHARES)
    given = drawn.choices(_GIVEN, cum_weights=_GIVEN_SHARES, k=1 if drawn.random() < 0.18 else 2)
    return surname + "".join(given)
