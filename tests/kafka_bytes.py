"""Requests and answers of the Kafka protocol, as far as the tests of the long poll need them."""

import struct

PRODUCE, FETCH, METADATA, END_TXN = 0, 1, 3, 26
HOUR_MS = 3_600_000


def text(value: bytes, *, compact: bool) -> bytes:
    return (bytes([len(value) + 1]) if compact else struct.pack(">h", len(value))) + value


def count(number: int, *, compact: bool) -> bytes:
    return bytes([number + 1]) if compact else struct.pack(">i", number)


def request(kind: int, version: int, number: int, body: bytes = b"", *, flexible: bool = False) -> bytes:
    head = struct.pack(">hhih", kind, version, number, 4) + b"test" + (b"\0" if flexible else b"")
    return framed(head + body)


def framed(body: bytes) -> bytes:
    return struct.pack(">i", len(body)) + body


def fetch(number: int, wait_ms: int = HOUR_MS, version: int = 11, min_bytes: int = 1) -> bytes:
    body = struct.pack(">iii", -1, wait_ms, min_bytes) + b"the rest"
    return request(FETCH, version, number, body, flexible=version >= 12)


def produce(number: int, *topics: bytes, acks: int = -1, version: int = 7) -> bytes:
    flexible = version >= 9
    names = b"".join(text(topic, compact=flexible) + b"records" for topic in topics)
    nobody = (b"\0" if flexible else b"\xff\xff") if version >= 3 else b""
    body = nobody + struct.pack(">hi", acks, 1000) + count(len(topics), compact=flexible) + names
    return request(PRODUCE, version, number, body, flexible=flexible)


def found(
    number: int,
    topic: bytes = b"clicks",
    *,
    version: int = 11,
    records: bytes = b"",
    error: int = 0,
    failed: int = 0,
    tags: bytes = b"\0",
) -> bytes:
    """An answer to a fetch: one topic of two partitions, the second with what is given."""
    compact = version >= 12
    end = b"\0" if compact else b""
    body = struct.pack(">i", number) + end + struct.pack(">i", 0)
    if version >= 7:
        body += struct.pack(">hi", failed, 0)
    body += count(1, compact=compact)
    body += bytes(16) if version >= 13 else text(topic, compact=compact)
    body += count(2, compact=compact)
    for partition, (code, batch) in enumerate([(0, b""), (error, records)]):
        body += struct.pack(">ihqq", partition, code, 7, 7) + (struct.pack(">q", 0) if version >= 5 else b"")
        if partition:
            body += count(1, compact=compact) + struct.pack(">qq", 5, 3) + end  # an aborted transaction
        else:
            body += count(-1, compact=compact)
        body += struct.pack(">i", -1) if version >= 11 else b""
        body += count(len(batch), compact=compact) + batch
        body += (tags if partition else b"\0") if compact else b""
    return framed(body + end)
