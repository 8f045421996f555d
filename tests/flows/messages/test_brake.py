"""The brake is set by many unusable messages, never by few, and counts the same however messages come in batches."""

from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st
from letters import GOOD, NOW

from flows.config.groups import BrakeSettings, MessageSettings
from flows.config.settings import Settings
from flows.messages.batches import RawBatch
from flows.messages.brake import DeadLetterBrake
from flows.messages.decode import Decoder
from monitoring import metrics

RATIO: dict[str, Any] = {"dead_letter_max_ratio": 0.5, "dead_letter_min_sample": 40}
RUN: dict[str, Any] = {"dead_letter_max_run": 10}


class Reading:
    """A topic whose messages are decoded and counted, as the flow does, while the brake lets it."""

    def __init__(self, **limits: Any) -> None:
        self.changes: list[str] = []
        self.brake = DeadLetterBrake("clicks", "t.clicks", BrakeSettings(**limits), self.note)
        self.read = 0
        self._decoder = Decoder(MessageSettings(), on_batch=self.brake.count)

    def note(self) -> None:
        self.changes.append(self.brake.why)

    def take(self, good: list[bool], partition: int = 0) -> int:
        """Read a batch unless the brake is set; the number of its dead letters."""
        if not self.brake.open():
            return 0
        values = [GOOD if fine else b"{" for fine in good]
        messages = [
            Message(topic="t.clicks", partition=partition, offset=self.read + n, key=b"i", value=value)
            for n, value in enumerate(values)
        ]
        self.read += len(messages)
        return len(self._decoder.clicks(RawBatch("clicks", "t.clicks", partition, messages, 0, 0, NOW)).dead_letters)


def metric() -> float | None:
    return metrics.REGISTRY.get_sample_value("ralm_dead_letter_brake", {"topic_kind": "clicks"})


def test_by_default_nothing_sets_it() -> None:
    reading = Reading()
    for _ in range(30):
        reading.take([False] * 100)
    assert reading.brake.open()
    assert reading.changes == []


def test_a_share_above_the_limit_sets_it_once_the_sample_is_full() -> None:
    reading = Reading(**RATIO)
    assert reading.take([False] * 39) == 39
    assert reading.brake.open()
    reading.take([False])
    assert not reading.brake.open()
    assert metric() == 1
    (why,) = reading.changes
    assert "t.clicks is not read on: 40 of its last 40 messages cannot be used" in why
    assert "40 of them are not_json; partition and offsets: [0] 0 to 39" in why
    assert "SIGUSR1" in why


def test_half_of_them_is_not_above_half_and_one_bad_message_is_nothing() -> None:
    reading = Reading(**RATIO, **RUN)
    for _ in range(10):
        reading.take([True, False] * 20)
    assert reading.brake.open()
    reading = Reading(**RATIO, **RUN)
    reading.take([False] + [True] * 200)
    assert reading.brake.open()


def test_what_slid_out_of_the_window_is_forgotten() -> None:
    reading = Reading(**RATIO)
    reading.take([True] * 40)
    reading.take([False] * 20)
    reading.take([True] * 40)
    reading.take([False] * 20)
    assert reading.brake.open()
    reading.take([False])
    assert not reading.brake.open()


def test_a_run_sets_it_across_batches_and_partitions() -> None:
    reading = Reading(**RUN)
    reading.take([True] + [False] * 5, partition=1)
    assert reading.brake.open()
    reading.take([False] * 5 + [True], partition=2)
    assert not reading.brake.open()
    assert "10 in a row" in reading.brake.why
    assert "[1] 1 to 5, [2] 6 to 10" in reading.brake.why


def test_a_good_message_ends_a_run() -> None:
    reading = Reading(**RUN)
    for _ in range(20):
        reading.take([False] * 9 + [True])
    assert reading.brake.open()


def test_a_release_lets_a_sample_through_and_counts_anew() -> None:
    reading = Reading(**RATIO)
    reading.take([False] * 40)
    assert not reading.brake.open()
    reading.brake.release()
    assert reading.brake.open()
    assert (metric(), reading.brake.why, reading.changes[-1]) == (0, "", "")
    reading.take([False] * 39)
    assert reading.brake.open()
    reading.take([False])
    assert not reading.brake.open()
    assert len(reading.changes) == 3


def test_a_release_before_it_is_set_is_not_kept() -> None:
    reading = Reading(**RATIO)
    reading.brake.release()
    reading.take([False] * 40)
    assert not reading.brake.open()


@given(st.lists(st.lists(st.booleans(), max_size=25), max_size=25))
def test_it_is_set_after_the_first_batch_whose_end_or_run_is_beyond_the_limits(batches: list[list[bool]]) -> None:
    reading = Reading(**RATIO, **RUN)
    seen: list[bool] = []
    for batch in batches:
        before = len(seen)
        seen += batch
        reading.take(batch)
        last = seen[-40:]
        too_many = len(last) == 40 and last.count(False) > 20
        too_long = any(not any(seen[end - 10 : end]) for end in range(max(before + 1, 10), len(seen) + 1))
        assert reading.brake.open() is not (too_many or too_long)
        if too_many or too_long:
            break


@pytest.mark.parametrize(
    "limits",
    [
        {"dead_letter_max_ratio": 0.001},
        {"dead_letter_max_ratio": 0.5, "dead_letter_min_sample": 19},
        {"dead_letter_max_run": 9},
    ],
)
def test_limits_at_which_a_few_messages_could_stop_a_topic_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="so few messages could stop a topic"):
        Settings(**limits)
