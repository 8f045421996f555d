"""An item whose clicks come to two partitions is noticed."""

from hand_clock import HandClock

from flows.seed_sets.item_homes import ItemHomes
from monitoring import metrics


def test_an_item_of_two_partitions_is_counted_and_said_once_a_minute(capsys: object) -> None:
    clock = HandClock()
    homes = ItemHomes("clicks", clock)
    items: dict[int, set[str]] = {0: {"a", "b"}, 1: set(), 2: {"c"}}
    for partition, known in items.items():
        homes.add(partition, known)
    before = metrics.SPLIT_ITEMS._value.get()
    homes.note(1, "new")
    homes.note(0, "a")  # its own
    assert metrics.SPLIT_ITEMS._value.get() == before
    homes.note(1, "a")
    homes.note(2, "b")
    items[1].add("d")
    clock.now = 61
    homes.note(0, "d")
    assert metrics.SPLIT_ITEMS._value.get() == before + 3
    said = "".join(capsys.readouterr())  # type: ignore[attr-defined]
    assert said.count("clicks on one item come to two partitions") == 2
    assert "items_so_far=3" in said
