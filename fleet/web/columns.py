"""Tables as pages write them, made whole: every cell carries the name of its column and its part in the table.

On a narrow screen a row is drawn as a card (`static/console/tables.css`). Its cells are no cells of a drawn table any more, so their roles
are written out: not every browser goes on telling a screen reader of rows and columns otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markupsafe import Markup

_TAG = re.compile(r'<(?P<end>/?)(?P<name>thead|tbody|tr|th|td)\b(?P<rest>(?:[^>"]|"[^"]*")*)>')
_SPAN = re.compile(r'\bcolspan="([0-9]+)"')


def in_columns(inside: str, *, is_matrix: bool) -> Markup:
    """Return head and body of a table with what they lack.

    Args:
        inside: `thead` and `tbody` as markup, with a head of one row.
        is_matrix: whether it stays a table on every screen, so that no cell has to say which column it is of.
    """
    head, mark, body = inside.partition("</thead>")
    if not mark:
        head, body = "", inside
    names = list(_names(head))
    parts = _with_roles(head + mark, "columnheader", ()), _with_roles(body, "rowheader", () if is_matrix else names)
    # Markup of our templates; what pages put into it was escaped there.
    return Markup("".join(parts))  # noqa: S704


def _names(head: str) -> Iterator[str]:
    """Give the name of each column, empty for one without."""
    for cell in re.finditer(r"<t[hd]\b(.*?)</t[hd]>", head, re.DOTALL):
        yield Markup(f"<th{cell[1]}").striptags()  # noqa: S704 - for its words alone


def _with_roles(part: str, of_head_cells: str, names: Sequence[str]) -> str:
    roles = {"thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell", "th": of_head_cells}
    place = 0

    def opened(tag: re.Match[str]) -> str:
        nonlocal place
        name, rest = tag["name"], tag["rest"]
        if tag["end"]:
            return tag[0]
        label = ""
        if name == "tr":
            place = 0
        elif name in ("th", "td"):
            span = _SPAN.search(rest)
            if span is None and place < len(names) and names[place]:
                label = f' data-label="{Markup.escape(names[place])}"'
            place += int(span[1]) if span else 1
        return f'<{name}{rest} role="{roles[name]}"{label}>'

    return _TAG.sub(opened, part)
