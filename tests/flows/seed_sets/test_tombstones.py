"""When the tombstones of a partition count as delivered."""

from flows.seed_sets.tombstones import Tombstones


def test_what_was_sent_has_been_delivered_by_the_second_snapshot_after_it() -> None:
    tombstones = Tombstones([], [])
    tombstones.sent(["a", "b"])
    assert tombstones.delivered() == []
    tombstones.sent(["c"])
    assert tombstones.delivered() == ["a", "b"]
    assert tombstones.delivered() == ["c"]
    assert tombstones.delivered() == []


def test_those_of_processes_before_are_not_on_their_way_until_they_are_handed_on() -> None:
    tombstones = Tombstones(["a"], ["n", "m", "l"])
    for _ in range(3):
        assert tombstones.delivered() == []
    assert tombstones.older == ("n", "m", "l")
    tombstones.sent_unacked()
    tombstones.sent_of_models()
    assert tombstones.delivered() == []
    assert tombstones.older == ("n", "m", "l")
    assert tombstones.delivered() == ["a"]
    assert tombstones.older == ("n",)


def test_of_an_items_tombstones_the_last_must_have_been_delivered() -> None:
    tombstones = Tombstones(["b"], [])
    tombstones.sent(["a", "b"])
    tombstones.delivered()
    tombstones.sent(["a"])
    assert tombstones.delivered() == []
    assert tombstones.delivered() == ["a"]
    tombstones.sent_unacked()
    tombstones.delivered()
    assert tombstones.delivered() == ["b"]
