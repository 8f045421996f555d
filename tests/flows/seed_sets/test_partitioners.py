"""The partitioners against what the clients themselves choose."""

import pytest

from flows.seed_sets.partitioners import _murmur2


@pytest.mark.parametrize(
    ("key", "value"),
    # The vectors of Kafka's own test (UtilsTest.testMurmur2), signed there.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_is_kafkas(key: bytes, value: int) -> None:
    assert _murmur2(key) == value % 2**32
