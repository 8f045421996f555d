"""What the long poll reads of the Kafka protocol: where messages end, waits, topics, answers of nothing."""

import struct
from random import Random

import pytest
from kafka_bytes import fetch, found, framed, produce

from flows.kafka.frames import Frames, fetch_wait, topics_of_nothing, written


@pytest.mark.parametrize("seed", range(5))
def test_frames_are_cut_from_any_pieces(seed: int) -> None:
    rng = Random(seed)
    messages = [framed(rng.randbytes(rng.choice([4, 9, 3000, 70_000, 300_000]))) for _ in range(20)]
    stream, frames, got = b"".join(messages), Frames(), list[bytes]()
    at = 0
    while at < len(stream):
        size = rng.choice([1, 3, 100, 65_536, 262_144])
        for piece, begins in frames.feed(stream[at : at + size]):
            if begins:
                got.append(bytes(piece))
            else:
                got[-1] += bytes(piece)
            if len(messages[len(got) - 1]) <= 65_536:
                assert bytes(piece) == messages[len(got) - 1]
        at += size
    assert got == messages


@pytest.mark.parametrize("size", [-1, 0, 3])
def test_no_message_is_so_short(size: int) -> None:
    with pytest.raises(ValueError, match="a message of"):
        list(Frames().feed(struct.pack(">i", size)))


@pytest.mark.parametrize("version", [4, 11, 12, 13])
def test_a_fetch_says_how_long_it_may_wait(version: int) -> None:
    assert fetch_wait(fetch(1, 500, version), version) == 0.5
    assert fetch_wait(fetch(1, -1, version), version) == 0.0
    assert fetch_wait(fetch(1, 500, version, min_bytes=0), version) == 0.0


@pytest.mark.parametrize("version", [0, 3, 14, 99])
def test_a_fetch_of_an_unknown_version_does_not_wait(version: int) -> None:
    assert fetch_wait(fetch(1, 500, version), version) == 0.0


@pytest.mark.parametrize("version", [2, 3, 8, 9])
def test_a_produce_request_names_its_topic(version: int) -> None:
    assert written(produce(1, b"clicks", acks=1, version=version), version) == (1, b"clicks")
    assert written(produce(1, b"clicks", b"requests", acks=0, version=version), version) == (0, b"")


@pytest.mark.parametrize("version", range(4, 14))
def test_an_answer_of_nothing_is_known(version: int) -> None:
    names = frozenset([b"clicks"]) if version < 13 else frozenset()
    assert topics_of_nothing(found(1, version=version), version) == names
    assert topics_of_nothing(found(1, version=version, records=b"batch"), version) is None
    assert topics_of_nothing(found(1, version=version, error=3), version) is None
    if version >= 7:
        assert topics_of_nothing(found(1, version=version, failed=70), version) is None
    if version >= 12:
        assert topics_of_nothing(found(1, version=version, tags=b"\1\0\1x"), version) is None
    assert topics_of_nothing(found(1, version=version)[:30], version) is None


def test_an_answer_that_claims_more_parts_than_it_has_is_passed_on_at_once() -> None:
    """A count of two thousand million, of parts that nothing is read of."""
    answer = bytearray(found(1, version=4))
    begin = answer.index(struct.pack(">i", -1))  # of the aborted transactions
    answer[begin : begin + 4] = struct.pack(">i", 2**31 - 1)
    assert topics_of_nothing(bytes(answer), 4) is None
