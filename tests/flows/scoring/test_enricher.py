"""Answers without a broker: what is scored, and what has waited too long."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from toys import toy_bundle

from flows.config.groups import ScoringSettings
from flows.messages.batches import RequestBatch
from flows.messages.codec import MAX_VALUE_BYTES, decode_scores
from flows.messages.types import Request
from flows.scoring.enricher import Enricher
from flows.scoring.live_index import IndexEntry, LiveIndex
from monitoring import metrics
from ralm.sketch import Sketch
from state.bundle.bundle import Bundle
from state.user_keys import user_keys

NOW = 1_800_000_000.0
H = 8


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "b", ["u1", "u2"], dim=H)


def enricher(bundle: Bundle, timeout: int, **more: float) -> Enricher:
    index, centroids = LiveIndex(bundle.form), np.random.default_rng(1).normal(size=(3, H)).astype("f4")
    index.update({"a": IndexEntry(centroids, np.array([20, 20, 10]), centroids.mean(axis=0), 1000, 50)})
    options = ScoringSettings(top_k=10, max_top_k=10, score_batch=2, request_timeout=f"{timeout}ms", **more)
    return Enricher(bundle, index, options, clock=lambda: NOW)


def statuses(found: Enricher, *sent: int) -> list[str]:
    requests = [Request(f"r{n}", ("u1", "u2", "nobody")[n % 3], 5000) for n in range(len(sent))]
    return [decode_scores(out.value or b"").status for out in found.answer(RequestBatch(0, requests, list(sent)))]


def test_a_request_that_waited_too_long_is_answered_expired(bundle: Bundle) -> None:
    now = int(NOW * 1000)
    found = enricher(bundle, timeout=5000)
    assert statuses(found, now, now - 5000, now - 1) == ["ok", "ok", "unknown_user"]
    assert statuses(found, now - 5001, now - 4000, now - 10**6) == ["expired", "ok", "expired"]


def test_no_timeout_and_no_broker_time_expire_nothing(bundle: Bundle) -> None:
    assert statuses(enricher(bundle, timeout=0), 1, 1) == ["ok", "ok"]
    assert statuses(enricher(bundle, timeout=5000), 0, 0) == ["ok", "ok"]


def test_a_score_holds_what_many_seeds_add(bundle: Bundle) -> None:
    requests = [Request("r", "u1", 5000, prior=prior) for prior in (None, 0.0, 0.5)]
    for found, priors in ((enricher(bundle, 0), (0.1, 0.0, 0.5)), (enricher(bundle, 0, prior=0.3), (0.3, 0.0, 0.5))):
        for out, prior in zip(found.answer(RequestBatch(0, requests, [0] * 3)), priors, strict=True):
            (item,) = decode_scores(out.value or b"").scores
            expected = 0.5 * item.global_part + 0.5 * item.local_part + prior * np.log(51)
            assert item.score == pytest.approx(expected, abs=1e-5)


def test_a_users_own_clicks_count_where_activity_does(bundle: Bundle) -> None:
    batch = RequestBatch(0, [Request("r", user, 5000) for user in ("u1", "u2")], [0, 0])
    plain, active = (
        [decode_scores(out.value or b"").scores[0].score for out in enricher(bundle, 0, activity=d).answer(batch)]
        for d in (0.0, 0.2)
    )
    added = 0.2 * np.log1p(bundle.vectors.clicks[bundle.vectors.rows(user_keys(["u1", "u2"]))])
    np.testing.assert_allclose(np.subtract(active, plain), added, atol=1e-6)
    assert added[0] != added[1]


def with_sketches(bundle: Bundle, **more: float) -> Enricher:
    """Items of seed sets that overlap, of which one has no sketch."""
    index, rng = LiveIndex(bundle.form, sketched=True), np.random.default_rng(1)
    for number, name in enumerate(("a", "b", "c", "new", "bare")):
        centroids = rng.normal(size=(1, H)).astype("f4")
        seeds = np.arange(10 * number, 10 * number + 40, dtype=np.uint64)
        sketch = Sketch.of_keys(seeds).hashes if name != "bare" else np.zeros(0, np.uint32)
        index.update({name: IndexEntry(centroids, np.array([40]), centroids[0], 1000, 40, sketch)})
    return Enricher(bundle, index, ScoringSettings(request_timeout=0, **more), clock=lambda: NOW)


def test_the_items_that_a_user_clicked_last_have_neighbours(tmp_path: Path) -> None:
    histories = {"u1": ["a", "gone"], "u2": ["c", "b"], "u3": []}
    bundle = toy_bundle(tmp_path / "h", list(histories), dim=H, histories=histories)
    shared = {"a": (40, 30, 20, 10), "c": (20, 30, 40, 30), "b": (30, 40, 30, 20)}
    for asked in (None, ["new", "b", "bare", "cold"]):
        names = asked or ["a", "b", "c", "new", "bare"]
        requests = [Request("r", user, 5000, asked) for user in histories]
        answers = [
            [decode_scores(out.value or b"") for out in found.answer(RequestBatch(0, requests, [0] * 3))]
            for found in (with_sketches(bundle), with_sketches(bundle, neighbours=2.0))
        ]
        for plain, told in zip(*answers, strict=True):
            mine, before = histories[told.user_id], {item.item_id: item for item in plain.scores}
            near = {
                name: sum(shared[j][place] for j in mine if j in shared)
                for place, name in enumerate(("a", "b", "c", "new"))
                if name in names
            }
            most = max((value for name, value in near.items() if name not in mine), default=0) or 1
            assert {item.item_id for item in told.scores} == set(names) - {"cold"}
            for item in told.scores:
                assert item.neighbours_part == pytest.approx(near.get(item.item_id, 0) / most, abs=1e-6)
                assert item.score == pytest.approx(before[item.item_id].score + 2 * item.neighbours_part, abs=1e-5)
                assert before[item.item_id].neighbours_part is msgspec.UNSET


def test_without_neighbours_an_answer_does_not_name_them(bundle: Bundle) -> None:
    (out,) = enricher(bundle, timeout=0).answer(RequestBatch(0, [Request("r", "u1", 5000)], [0]))
    assert b"neighbours" not in (out.value or b"")


def test_a_bundle_that_knows_no_histories_has_no_neighbours(bundle: Bundle) -> None:
    assert bundle.sums is None
    (out,) = with_sketches(bundle, neighbours=1.0).answer(RequestBatch(0, [Request("r", "u1", 5000)], [0]))
    assert {item.neighbours_part for item in decode_scores(out.value or b"").scores} == {0.0}


def enricher_of_many(bundle: Bundle, names: list[str], most: int) -> Enricher:
    index, rng = LiveIndex(bundle.form), np.random.default_rng(2)
    centroids = rng.normal(size=(len(names), 1, H)).astype("f4")
    index.update(
        {
            name: IndexEntry(row, np.ones(1, np.int64), row[0], 1000, 50)
            for name, row in zip(names, centroids, strict=True)
        }
    )
    options = ScoringSettings(top_k=most, max_top_k=most, score_batch=2, stale_after=0, request_timeout=0)
    return Enricher(bundle, index, options, clock=lambda: NOW)


@pytest.mark.parametrize(
    ("names", "cold"),
    [
        ([f"news-{n}" for n in range(10_000)], []),
        ([f"{n:04d}".ljust(256, '"') for n in range(1_000)], []),  # JSON makes two bytes of each mark
        (["a", "b"], [f"{n:04d}".ljust(256, "\n") for n in range(3_000)]),
    ],
    ids=["many", "long", "cold"],
)
def test_an_answer_that_is_too_long_for_a_message_keeps_the_best_and_says_so(
    bundle: Bundle, names: list[str], cold: list[str]
) -> None:
    found, before = enricher_of_many(bundle, names, 20_000), metrics.TRUNCATED._value.get()
    (out,) = found.answer(RequestBatch(0, [Request("r", "u1", 5000, [*names, *cold])], [0]))
    answer = decode_scores(out.value or b"")
    assert MAX_VALUE_BYTES - 2000 < len(out.value or b"") <= MAX_VALUE_BYTES
    assert answer.truncated
    assert metrics.TRUNCATED._value.get() == before + 1
    whole = found._score([Request("r", "u1", 5000, [*names, *cold])], np.zeros(1, bool), found._index.view)[0]
    assert answer.scores == whole.scores[: len(answer.scores)]
    assert answer.cold == whole.cold[: len(answer.cold)]
    assert answer.stale == [item.item_id for item in answer.scores]
    assert len(answer.scores) + len(answer.cold) < len(names) + len(cold)


def test_an_answer_that_fits_says_nothing_of_its_length(bundle: Bundle) -> None:
    found = enricher_of_many(bundle, [f"news-{n}" for n in range(1_000)], 1_000)
    (out,) = found.answer(RequestBatch(0, [Request("r", "u1", 5000)], [0]))
    assert b"truncated" not in (out.value or b"")
    assert len(decode_scores(out.value or b"").scores) == 1_000
