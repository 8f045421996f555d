"""No message of ours is longer than the producer takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.config.limits import MAX_IDENTIFIER_BYTES, MAX_TIME
from flows.config.settings import Settings
from flows.kafka.config import producer_config
from flows.messages.codec import (
    MAX_VALUE_BYTES,
    centroids_key,
    encode_centroids,
    encode_scores,
    most_clusters,
    shortened,
)
from flows.messages.types import Centroids, ScoredItem, Scores
from flows.preflight.preflight import check_clusters
from flows.support.errors import ConfigError
from ralm.sketch import SKETCH_CAPACITY

LONGEST = "i" * MAX_IDENTIFIER_BYTES


def bytes_of_centroids(k: int, dim: int) -> int:
    message = Centroids.of(
        item_id=LONGEST,
        model_version=LONGEST,
        window_end=MAX_TIME,
        seeds=2**53 - 1,
        counts=np.full(k, 2**53 - 1),
        centroids=np.zeros((k, dim), "f4"),
        global_=np.zeros(dim, "f4"),
    )
    return len(encode_centroids(message.with_sketch(np.arange(SKETCH_CAPACITY, dtype=np.uint32))))


@pytest.mark.parametrize("dim", [1, 24, 128, 1024, 112_184])
def test_the_centroids_that_are_let_through_fit(dim: int) -> None:
    most = most_clusters(dim)
    assert most >= 1
    assert MAX_VALUE_BYTES - 2_512 - 4 * dim - 9 < bytes_of_centroids(most, dim) <= MAX_VALUE_BYTES


def test_key_and_headers_fit_beside_the_longest_value() -> None:
    least = producer_config(Settings(dead_letter_max_bytes=1))["message.max.bytes"]
    assert MAX_VALUE_BYTES + len(centroids_key(LONGEST, LONGEST)) + 10_000 < least


def test_more_clusters_than_fit_into_a_message_are_refused() -> None:
    check_clusters(Settings(clusters=73), 3000)
    with pytest.raises(ConfigError, match=r"clusters = 74 .* vectors of 3000 numbers .* 73 or fewer"):
        check_clusters(Settings(clusters=74), 3000)
    with pytest.raises(ConfigError, match="smaller dim"):
        check_clusters(Settings(), 300_000)


texts = st.text(min_size=1, max_size=30)


@given(st.lists(texts, max_size=20, unique=True), st.lists(texts, max_size=20), st.integers(200, 2000))
def test_a_shortened_answer_fits_and_wastes_nothing(items: list[str], cold: list[str], most: int) -> None:
    scores = [ScoredItem(item, 1 - n / 99, 0.5, 0.1, 1000) for n, item in enumerate(items)]
    answer = Scores("r", "u", "ok", "v", 1, scores, cold, items[::2])
    short = shortened(answer, most)
    assert len(encode_scores(short)) <= most
    assert short.truncated
    assert short.scores == scores[: len(short.scores)]
    assert short.cold == cold[: len(short.cold)]
    assert short.stale == [item for item in items[::2] if item in items[: len(short.scores)]]
    if len(encode_scores(answer)) + len(b',"truncated":true') + 3 <= most:  # a comma for each list's last
        assert (short.scores, short.cold, short.stale) == (scores, cold, items[::2])
