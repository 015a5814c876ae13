from __future__ import annotations

from fleet.web.columns import in_columns

HEAD = '<thead><tr><td></td><th scope="col">Name</th><th scope="col">Rate <span class="faint">(95 %)</span></th></tr></thead>'


def test_every_value_says_which_column_it_is_of_and_every_cell_what_it_is() -> None:
    made = in_columns(
        f'{HEAD}<tbody class="x">\n<tr><td>1</td><th scope="row">甲</th><td class="number">2</td></tr></tbody>',
        is_matrix=False,
    )
    assert made == (
        '<thead role="rowgroup"><tr role="row"><td role="cell"></td><th scope="col" role="columnheader">Name</th>'
        '<th scope="col" role="columnheader">Rate <span class="faint">(95 %)</span></th></tr></thead>'
        '<tbody class="x" role="rowgroup">\n<tr role="row"><td role="cell">1</td><th scope="row" role="rowheader" data-label="Name">甲</th>'
        '<td class="number" role="cell" data-label="Rate (95 %)">2</td></tr></tbody>'
    )


def test_of_a_matrix_no_cell_says_its_column() -> None:
    made = in_columns(f"{HEAD}<tbody><tr><td>1</td><td>2</td><td>3</td></tr></tbody>", is_matrix=True)
    assert "data-label" not in made
    assert made.count('role="cell"') == 4


def test_a_cell_across_columns_has_no_name_and_leaves_the_next_one_theirs() -> None:
    made = in_columns(f'{HEAD}<tbody><tr><td colspan="2">-</td><td>3</td></tr></tbody>', is_matrix=False)
    assert '<td colspan="2" role="cell">-</td><td role="cell" data-label="Rate (95 %)">3</td>' in made


def test_the_words_of_a_column_are_escaped_once() -> None:
    made = in_columns(
        '<thead><tr><th scope="col">A &amp; &#34;B&#34;</th></tr></thead><tbody><tr><td title="a > b">1</td></tr></tbody>',
        is_matrix=False,
    )
    assert '<td title="a > b" role="cell" data-label="A &amp; &#34;B&#34;">1</td>' in made


def test_a_table_without_a_head_has_its_roles() -> None:
    assert in_columns("<tbody><tr><td>1</td></tr></tbody>", is_matrix=False) == (
        '<tbody role="rowgroup"><tr role="row"><td role="cell">1</td></tr></tbody>'
    )
