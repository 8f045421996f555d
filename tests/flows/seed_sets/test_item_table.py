"""The item table against a dictionary of the same."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flows.seed_sets.item_table import NEVER, ItemTable


def test_numbers_are_given_once_and_given_back() -> None:
    table = ItemTable()
    assert np.array([table.number(name) for name in ["a", "b", "a"]]).tolist() == [0, 1, 0]
    table.click(np.array([0]), np.array([500]))
    table.forget("a")
    assert "a" not in table
    assert len(table) == 1
    assert table.number("c") == 0
    assert table.last_click[0] == 0
    assert table.name(0) == "c"


def test_it_grows() -> None:
    table = ItemTable()
    names = [str(n) for n in range(5000)]
    assert np.array([table.number(name) for name in names]).tolist() == list(range(5000))
    assert len(table.dirty()) == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 6)), max_size=40), st.integers(0, 7))
def test_a_closed_window_takes_what_it_touched_and_leaves_the_rest(marks: list[tuple[str, int]], closed: int) -> None:
    table = ItemTable()
    touched: dict[str, set[int]] = {}
    for name, window in marks:
        table.mark(np.array([table.number(name)]), np.array([window * 100]))
        touched.setdefault(name, set()).add(window * 100)
    numbers, windows = table.touched_until(closed * 100)
    taken = dict(zip([table.name(n) for n in numbers], windows.tolist(), strict=True))
    assert set(taken) == {name for name, ends in touched.items() if min(ends) <= closed * 100}
    for name, window in taken.items():
        assert min(touched[name]) <= window <= closed * 100
    firsts = [min(touched[table.name(n)]) for n in numbers]
    assert firsts == sorted(firsts)
    later = {name for name, ends in touched.items() if max(ends) > closed * 100}
    assert {table.name(n) for n in table.dirty()} == later
    numbers, windows = table.touched_until(10_000)
    assert dict(zip([table.name(n) for n in numbers], windows.tolist(), strict=True)) == {
        name: max(touched[name]) for name in later
    }


def test_idle_items_are_found_and_the_longest_idle_by_time_then_name() -> None:
    table = ItemTable()
    numbers = np.array([table.number(name) for name in ["old", "older", "new"]])
    table.click(numbers, np.array([11, 10, 90]))
    assert table.idle_since(50) == ["old", "older"]
    table.click(np.array([table.number("a tie")]), np.array([11]))
    assert table.longest_idle(2) == ["older", "a tie"]
    assert sorted(table.longest_idle(9)) == ["a tie", "new", "old", "older"]
    assert table.dirty_from[numbers[0]] == NEVER
