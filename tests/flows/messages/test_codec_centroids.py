"""Centroids come through MessagePack bit by bit; what does not fit together is rejected."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.messages.codec import centroids_key, decode_centroids, encode_centroids, split_centroids_key
from flows.messages.rejects import REASONS, InvalidMessage
from flows.messages.types import Centroids
from ralm.scoring import AttentionWeights, CountedForm, ItemBlock, score
from ralm.sketch import SKETCH_CAPACITY

identifiers = st.text(min_size=1, max_size=256).filter(lambda text: len(text.encode()) <= 256)


@given(item=identifiers, k=st.integers(1, 4), h=st.integers(1, 5), rng_seed=st.integers(0, 99))
def test_centroids_come_through_bit_by_bit(item: str, k: int, h: int, rng_seed: int) -> None:
    rng = np.random.default_rng(rng_seed)
    vectors, embedding = rng.normal(size=(k, h)).astype("f4"), rng.normal(size=h).astype("f4")
    made = centroids(item, vectors, embedding)
    message = decode_centroids(encode_centroids(made))
    assert message == made
    np.testing.assert_array_equal(message.centroids_array(), vectors)
    np.testing.assert_array_equal(message.global_array(), embedding)
    assert not len(message.sketch_array())


def centroids(item: str, vectors: Any, embedding: Any) -> Centroids:
    return Centroids.of(
        item_id=item,
        model_version="5f2c",
        window_end=5,
        seeds=10,
        clicks_offset=7,
        counts=np.arange(len(vectors)) + 1,
        centroids=vectors,
        global_=embedding,
    )


@given(identifiers.filter(lambda text: "/" not in text), identifiers)
def test_the_key_of_centroids_comes_through(version: str, item: str) -> None:
    assert split_centroids_key(centroids_key(version, item)) == (version, item)


@pytest.mark.parametrize("key", [b"v/" + b"i" * 257, b"v" * 257 + b"/i", b"v/" + "\u00e9".encode() * 129])
def test_a_key_with_an_endless_part_is_refused(key: bytes) -> None:
    with pytest.raises(InvalidMessage, match="bad_identifier"):
        split_centroids_key(key)
    assert split_centroids_key(b"v" * 256 + b"/" + b"i" * 256)


@given(st.binary(max_size=40))
def test_any_key_is_split_or_rejected(key: bytes) -> None:
    try:
        parts = split_centroids_key(key)
    except InvalidMessage as invalid:
        assert invalid.reason in {"not_utf8", "key_mismatch"}  # noqa: PT017 (either is an answer)
    else:
        assert centroids_key(*parts) == key


def changed(**change: Any) -> bytes:
    whole = msgspec.to_builtins(centroids("i", np.ones((2, 3), "f4"), np.ones(3, "f4")), builtin_types=(bytes,))
    return msgspec.msgpack.encode({**whole, **change})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null_value"),
        (b"", "not_json"),
        (b"\x81", "not_json"),
        (changed() + b"x", "not_json"),
        (b"\x90", "wrong_type"),
        (b"\x80", "missing_field"),
        (changed(k=3), "wrong_type"),
        (changed(k=0), "wrong_type"),
        (changed(h=2**62), "wrong_type"),
        (changed(counts=[1]), "wrong_type"),
        (changed(counts=[1, -1]), "wrong_type"),
        (changed(counts=[0, 0]), "wrong_type"),
        (changed(counts=[5, 6]), "wrong_type"),
        (changed(counts=[2**63, 1]), "wrong_type"),
        (changed(counts=[2**52, 2**52]), "wrong_type"),
        *((changed(seeds=seeds), "wrong_type") for seeds in (0, -1, 2**53, 2**62, 2**63, 2**64 - 1)),
        *((changed(clicks_offset=offset), "wrong_type") for offset in (-1, 2**53, 2**63, "1", None)),
        *(
            (changed(k=k, h=1, counts=[1] * k, seeds=k, centroids=b"1234" * k, **{"global": b"1234"}), "wrong_type")
            for k in (129, 500, 1000, 13_000)
        ),
        (changed(centroids="text"), "wrong_type"),
        *(
            (changed(**{name: np.full(size, number, "f4").tobytes()}), "wrong_type")
            for name, size in (("centroids", 6), ("global", 3))
            for number in (np.nan, np.inf, -np.inf, 1e30, -1e30, 2e6)
        ),
        (changed(**{"global": b""}), "wrong_type"),
        *(
            (changed(sketch=np.array(hashes, "<u4").tobytes()), "wrong_type")
            for hashes in ([5, 5], [6, 5], [1, 2, 2**32 - 1, 0], range(11))  # not distinct, unsorted, more than seeds
        ),
        (changed(seeds=10**6, sketch=np.arange(129, dtype="<u4").tobytes()), "wrong_type"),
        *((changed(sketch=wrong), "wrong_type") for wrong in (b"12345", b"1", "text", None, [1, 2], 7)),
        (changed(window_end=2**63), "bad_time"),
        (changed(window_end=-1), "bad_time"),
    ],
)
def test_centroids_that_do_not_fit_are_rejected(value: bytes | None, reason: str) -> None:
    assert decode_centroids(changed()).k == 2
    with pytest.raises(InvalidMessage) as caught:
        decode_centroids(value)
    assert (caught.value.reason, bool(caught.value.detail)) == (reason, True)


def test_centroids_without_an_offset_are_of_an_older_version() -> None:
    old = msgspec.msgpack.decode(changed())
    del old["clicks_offset"]
    assert decode_centroids(msgspec.msgpack.encode(old)).clicks_offset == 0


@given(st.sets(st.integers(0, 2**32 - 1), max_size=SKETCH_CAPACITY))
def test_a_sketch_comes_through(hashes: set[int]) -> None:
    ascending = np.array(sorted(hashes), np.uint32)
    message = msgspec.structs.replace(centroids("i", np.ones((2, 3), "f4"), np.ones(3, "f4")), seeds=SKETCH_CAPACITY)
    found = decode_centroids(encode_centroids(message.with_sketch(ascending)))
    np.testing.assert_array_equal(found.sketch_array(), ascending)


def test_centroids_without_a_sketch_are_of_an_older_version() -> None:
    old = msgspec.msgpack.decode(changed())
    del old["sketch"]
    assert not len(decode_centroids(msgspec.msgpack.encode(old)).sketch_array())


@pytest.mark.parametrize("number", [0.0, 1e-40, 1e-20, 1e6, -1e6])
@pytest.mark.parametrize("k", [1, 128])
def test_what_is_taken_has_a_score(number: float, k: int) -> None:
    arrays = {"centroids": np.full(3 * k, number, "f4").tobytes(), "global": np.full(3, number, "f4").tobytes()}
    message = decode_centroids(changed(k=k, counts=[1] * k, seeds=2**53 - 1, **arrays))
    for form in (AttentionWeights(*(np.ones(size, "f4") for size in ((3, 3), (2, 3), (2,)))), CountedForm(3)):
        block = ItemBlock.of(
            [message.centroids_array()],
            [message.global_array()],
            form,
            [message.seeds],
            [np.array(message.counts)],
        )
        for part in score(np.array([[1, -2, 3], [0, 0, 0]], "f4"), block, form, 0.1):
            assert np.isfinite(part).all()


@given(place=st.integers(0, len(changed()) - 1), byte=st.integers(0, 255))
def test_a_damaged_message_is_read_or_rejected(place: int, byte: int) -> None:
    damaged = bytearray(changed())
    damaged[place] = byte
    try:
        message = decode_centroids(bytes(damaged))
    except InvalidMessage as invalid:
        assert invalid.reason in REASONS  # noqa: PT017 (either is an answer)
    else:
        assert message.centroids_array().shape == (message.k, message.h)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (None, "null_key"),
        (b"\xff/i", "not_utf8"),
        (b"no-slash", "key_mismatch"),
        (b"/i", "key_mismatch"),
        (b"v/", "key_mismatch"),
    ],
)
def test_a_key_that_is_none_of_centroids_is_rejected(key: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        split_centroids_key(key)
    assert caught.value.reason == reason
