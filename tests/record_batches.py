"""Record batches of the Kafka protocol (magic 2), made by hand: in each codec, and not always sound."""

import socket
import struct
import zlib
from collections.abc import Sequence

import pyarrow as pa

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
_TABLE: list[int] = []
_MOST = 1 << 28


def batch(
    body: bytes,
    *,
    codec: int,
    count: int,
    last: int | None = None,
    crc: int | None = None,
    time: int = 1_764_000_000_000,
) -> bytes:
    """A batch.

    Args:
        body: the records, folded.
        codec: its number in the attributes.
        count: how many records it says it has.
        last: what it says the last one's offset is, counted from its first; by default from the count.
        crc: what it says its checksum is; by default the right one.
        time: of the first and the last record.
    """
    last = count - 1 if last is None else last
    rest = struct.pack(">hiqqqhii", codec, last, time, time, -1, -1, -1, count) + body
    check = crc32c(rest) if crc is None else crc
    return struct.pack(">qiibI", 0, 9 + len(rest), -1, 2, check) + rest


def send_batch(servers: str, topic: str, data: bytes) -> int:
    """Write a batch as it stands to partition 0 (Produce, version 7); the broker's error code."""
    host, port = servers.split(",", maxsplit=1)[0].rsplit(":", 1)
    name = struct.pack(">h", len(topic)) + topic.encode()
    body = struct.pack(">hhii", -1, -1, 30_000, 1) + name + struct.pack(">iii", 1, 0, len(data)) + data
    head = struct.pack(">hhih", 0, 7, 1, 4) + b"test"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(struct.pack(">i", len(head + body)) + head + body)
        answer = b""
        while len(answer) < 22 + len(topic) + 2:
            piece = connection.recv(4096)
            if not piece:
                msg = "the broker has hung up"
                raise ConnectionError(msg)
            answer += piece
    code: int = struct.unpack_from(">h", answer, 20 + len(topic) + 2)[0]
    return code


def records(values: Sequence[bytes], key: bytes = b"k") -> bytes:
    """Records as they lie in a batch, not folded."""
    made = []
    for number, value in enumerate(values):
        inner = b"\0" + varint(0) + varint(number) + varint(len(key)) + key + varint(len(value)) + value + varint(0)
        made.append(varint(len(inner)) + inner)
    return b"".join(made)


def folded(codec: str, body: bytes) -> bytes:
    """Bytes, compressed."""
    if codec == "none":
        return body
    if codec == "gzip":
        folder = zlib.compressobj(9, zlib.DEFLATED, 31)
        return folder.compress(body) + folder.flush()
    made: bytes = pa.Codec(codec).compress(body, asbytes=True)
    return made


def unfolded(codec: int, body: bytes) -> bytes | None:
    """What was folded; None where it cannot be unfolded."""
    try:
        if codec == CODECS["none"]:
            return body
        if codec == CODECS["snappy"]:
            size = _plain_number(body)
            return pa.Codec("snappy").decompress(body, min(size, _MOST), asbytes=True) if size <= _MOST else None
        name = {number: name for name, number in CODECS.items()}[codec]
        found: bytes = pa.CompressedInputStream(pa.py_buffer(body), name).read()
    except (KeyError, IndexError, ValueError, OSError, pa.ArrowException):
        return None
    return found


def holds_records(content: bytes, count: int) -> bool:
    """Whether there are so many records in it, and nothing else; a broker that looks into batches takes no other."""
    at = found = 0
    try:
        while at < len(content):
            size, at = _number(content, at)
            end = at + size
            _refuse(size < 6 or end > len(content))
            _, at = _number(content, at + 1)
            offset, at = _number(content, at)
            _refuse(offset != found)
            for _ in range(2):  # the key, and the value
                length, at = _number(content, at)
                _refuse(length < -1)  # brokers take it; the client stands still, which takes minutes to tell
                at += max(0, length)
            headers, at = _number(content, at)
            _refuse(headers != 0 or at != end)
            found += 1
    except (ValueError, IndexError):
        return False
    return found == count > 0


def _plain_number(data: bytes) -> int:
    value = 0
    for place in range(5):
        value |= (data[place] & 127) << 7 * place
        if data[place] < 128:
            return value
    raise ValueError


def _refuse(wrong: bool) -> None:
    if wrong:
        raise ValueError


def _number(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value >> 1 ^ -(value & 1), at
        shift += 7
        _refuse(shift > 63)


def varint(number: int) -> bytes:
    """A number as records have it: zigzag, in groups of seven bits."""
    number = (number << 1) ^ (number >> 63)
    made = bytearray()
    while number >= 128:
        made.append(number & 127 | 128)
        number >>= 7
    made.append(number)
    return bytes(made)


def crc32c(data: bytes) -> int:
    """The checksum of batches (Castagnoli)."""
    if not _TABLE:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # noqa: PLW2901
            _TABLE.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF
