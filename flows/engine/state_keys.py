"""Names for the partitions' state that spread evenly over the workers.

The engine sends a state key to worker ``SipHash-1-3(key) mod workers``. Plain names fall where they fall: of "0" to
"3", all four may meet one of two workers. So each partition's name carries a salt, searched once, with which its hash
is the partition's number modulo 840, and so modulo every number of workers from 1 to 8 (and 10, 12, 14, 15, ...).
Which worker has a partition's operator can thus be said beforehand, so that its process reads the partition too.
"""

from functools import cache
from itertools import count

_SPREAD = 840  # the least common multiple of 1 to 8
_MASK = (1 << 64) - 1


@cache
def partition_key(partition: int) -> str:
    """The state key of a Kafka partition.

    >>> [siphash13(partition_key(p).encode() + bytes([255])) % 3 for p in range(6)]
    [0, 1, 2, 0, 1, 2]
    """
    return next(
        key
        for salt in count()
        if siphash13((key := f"{partition}/{salt}").encode() + b"\xff") % _SPREAD == partition % _SPREAD
    )


def worker_of(partition: int, workers: int) -> int:
    """The worker, of how many, that the engine sends a Kafka partition's state key to.

    >>> [worker_of(p, 3) for p in range(6)]
    [0, 1, 2, 0, 1, 2]
    """
    return siphash13(partition_key(partition).encode() + b"\xff") % workers


def siphash13(data: bytes) -> int:
    """SipHash-1-3 with a zero key, as Rust's ``DefaultHasher`` has it (a string is hashed with a byte 255 after it).

    Reference: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012.
    """
    state = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]
    whole = len(data) & ~7
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, whole, 8)]
    words.append(int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56)
    for word in words:
        state[3] ^= word
        _round(state)
        state[0] ^= word
    state[2] ^= 0xFF
    for _ in range(3):
        _round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _round(v: list[int]) -> None:
    v[0] = (v[0] + v[1]) & _MASK
    v[1] = _rotate(v[1], 13) ^ v[0]
    v[0] = _rotate(v[0], 32)
    v[2] = (v[2] + v[3]) & _MASK
    v[3] = _rotate(v[3], 16) ^ v[2]
    v[0] = (v[0] + v[3]) & _MASK
    v[3] = _rotate(v[3], 21) ^ v[0]
    v[2] = (v[2] + v[1]) & _MASK
    v[1] = _rotate(v[1], 17) ^ v[2]
    v[2] = _rotate(v[2], 32)


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK
