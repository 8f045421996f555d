"""How producers choose a key's partition, as far as the usual ones agree."""

import zlib
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

Partitioner: TypeAlias = Callable[[bytes, int], int]
KeyHash: TypeAlias = Callable[[bytes], int]


def crc32(key: bytes, partitions: int) -> int:
    """Librdkafka's ``consistent`` and ``consistent_random``: clients in C, Python, Go (Confluent's), .NET, PHP.

    >>> crc32(b"news-1", 4)
    1
    """
    return KEY_HASHES["crc32"](key) % partitions


def murmur2(key: bytes, partitions: int) -> int:
    """Kafka's own: clients in Java, Kafka Connect, Kafka Streams, librdkafka's ``murmur2``.

    >>> murmur2(b"news-1", 4)
    0
    """
    return KEY_HASHES["murmur2"](key) % partitions


PARTITIONERS: Final[Mapping[str, Partitioner]] = {"crc32": crc32, "murmur2": murmur2}


def _murmur2(data: bytes) -> int:
    """MurmurHash2 (A. Appleby) with Kafka's seed, 32 bits, as ``org.apache.kafka.common.utils.Utils`` has it."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for place in range(0, whole, 4):
        word = int.from_bytes(data[place : place + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        value = value * multiplier & mask ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & mask
    value = (value ^ value >> 13) * multiplier & mask
    return value ^ value >> 15


KEY_HASHES: Final[Mapping[str, KeyHash]] = {"crc32": zlib.crc32, "murmur2": lambda key: _murmur2(key) & 0x7FFFFFFF}
"""What each of them takes the remainder of."""
