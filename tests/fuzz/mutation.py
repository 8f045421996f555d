"""Makes inputs from a generator of random numbers: bytes, JSON by hand (so that it may be wrong), and mutations."""

import json
from collections.abc import Callable, Sequence
from random import Random

TOKENS: Sequence[bytes] = (
    b"\x00",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b'"\\ud800"',
    b'"\\ud83d\\ude00"',
    b'"\\u0000"',
    b"NaN",
    b"-Infinity",
    b"1e400",
    b"-0",
    b"0x10",
    b"9" * 40,
    b"9" * 5000,
    b"1e-5000",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b'{"a":' * 50,
    b"[" * 2000,
    b"]",
    b"}",
    b",",
    b":",
    b'"',
    b"\\",
    b"//",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\x7f\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xc1",
)
"""What parsers stumble over."""
TEXTS: Sequence[str] = (
    "",
    "a",
    "item-1",
    "\x00",
    "\ufeff",
    "\u202e",
    "\U0001f600",
    "é" * 128,
    "é" * 129,
    "x" * 256,
    "x" * 257,
    "\U0001f600" * 64,
    "\U0001f600" * 65,
    "../../etc/passwd",
    "\x1b[2J",
    "a/b",
    "y" * 5000,
)
NUMBERS: Sequence[int] = (
    0,
    1,
    -1,
    255,
    2**31 - 1,
    2**31,
    2**53 - 1,
    2**53,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
    -(2**63) - 1,
    10**30,
)


def mutated(rng: Random, data: bytes) -> bytes:
    """Bytes with one to four things done to them."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_MUTATIONS)(rng, data)
    return data


def text(rng: Random) -> str:
    """A text: mostly short and ordinary, often at a limit, sometimes strange."""
    kind = rng.random()
    if kind < 0.4:
        return f"id-{rng.randrange(1000)}"
    if kind < 0.8:
        return rng.choice(TEXTS)
    return "".join(chr(_code_point(rng)) for _ in range(rng.randrange(12)))


def number(rng: Random) -> int:
    """A whole number, often at a limit."""
    return rng.choice(NUMBERS) if rng.random() < 0.5 else rng.randrange(-(10**6), 2**53)


def value(rng: Random, depth: int = 0) -> bytes:
    """A JSON value as text, or what looks like one."""
    kind = rng.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return rng.choice(TOKENS)
    if kind == 1:
        return str(number(rng)).encode()
    if kind == 2:
        return json.dumps(text(rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    if kind == 3:
        return rng.choice((b"null", b"true", b"false", b"1.5", b"1e3", b"-1"))
    if kind == 4:
        return b'"' + rng.randbytes(rng.randrange(6)) + b'"'
    if kind == 5:
        return b"[" + b",".join(value(rng, depth + 1) for _ in range(rng.randrange(4))) + b"]"
    if kind == 6:
        return fields(rng, [(text(rng), value(rng, depth + 1)) for _ in range(rng.randrange(4))])
    deep = rng.choice((10, 100, 1000, 20_000))
    return b"[" * deep + b"]" * (deep if rng.random() < 0.7 else 0)


def fields(rng: Random, pairs: Sequence[tuple[str, bytes]]) -> bytes:
    """An object as JSON text; the order is random, and at times a field comes twice or is missing."""
    chosen = list(pairs)
    rng.shuffle(chosen)
    if chosen and rng.random() < 0.1:
        chosen.append(rng.choice(chosen))
    if chosen and rng.random() < 0.1:
        chosen.pop()
    space = rng.choice((b"", b"", b" ", b"\n\t"))
    return b"{" + b",".join(space + json.dumps(n).encode() + b":" + space + v for n, v in chosen) + b"}"


def near_json(rng: Random, valid: Sequence[tuple[str, bytes]]) -> bytes:
    """A message that is nearly, or really, what it should be; or any bytes.

    Args:
        rng: the generator.
        valid: fields and their values, as JSON text, of a good message.
    """
    kind = rng.random()
    if kind < 0.1:
        return rng.randbytes(rng.randrange(64))
    pairs = list(valid)
    if kind < 0.65:
        for place in range(len(pairs)):
            if rng.random() < 0.3:
                pairs[place] = (pairs[place][0], value(rng))
        if rng.random() < 0.2:
            pairs.append((text(rng), value(rng)))
    data = fields(rng, pairs)
    return mutated(rng, data) if kind < 0.3 else data


def _code_point(rng: Random) -> int:
    point = rng.choice((rng.randrange(32), rng.randrange(128), rng.randrange(0x300), rng.randrange(0x110000)))
    return 0xFFFD if 0xD800 <= point < 0xE000 else point


def _flip(rng: Random, data: bytes) -> bytes:
    if not data:
        return data
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]


def _cut(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _without(rng: Random, data: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randrange(1, 9) :]


def _again(rng: Random, data: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.randrange(1, 40)]
    return data[:start] + piece * rng.choice((2, 2, 3, 50)) + data[start:]


def _insert(rng: Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(TOKENS) + data[place:]


def _replace(rng: Random, data: bytes) -> bytes:
    place, token = rng.randrange(len(data) + 1), rng.choice(TOKENS)
    return data[:place] + token + data[place + len(token) :]


def _noise(rng: Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.randrange(1, 9)) + data[place:]


_MUTATIONS: Sequence[Callable[[Random, bytes], bytes]] = (
    _flip,
    _flip,
    _cut,
    _without,
    _again,
    _insert,
    _replace,
    _noise,
)
