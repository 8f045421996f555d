"""Partition keys: frozen, distinct and spread."""

from flows.engine.state_keys import partition_key, siphash13


def test_the_names_never_change() -> None:
    assert [partition_key(p) for p in range(5)] == ["0/2403", "1/669", "2/249", "3/157", "4/1068"]


def test_every_number_of_workers_up_to_eight_gets_its_share() -> None:
    keys = [partition_key(p) for p in range(64)]
    assert len(set(keys)) == 64
    for workers in range(1, 9):
        assert [siphash13(key.encode() + b"\xff") % workers for key in keys] == [p % workers for p in range(64)]
