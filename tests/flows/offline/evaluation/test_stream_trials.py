"""Trials in the stream: at 0 each is the plain live vectors, and each changes what it says."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from flows.offline.evaluation.stream_trials import STREAM, LiveTrial
from ralm.features import Interactions
from ralm.protocol.stream.cut import StreamCut, cut_stream
from ralm.protocol.stream.replay import Replayed, replay_stream

DAY = 86_400_000
KINDS = ("own-mean", "short", "age", "leave-out", "refitted")


@pytest.fixture(scope="module")
def cut() -> StreamCut:
    rng, users, items = np.random.default_rng(5), 100, 90
    own = (np.arange(users)[:, None] + np.arange(items)) % 3 == 0
    user, item = np.nonzero(rng.random((users, items)) < np.where(own, 0.8, 0.15))
    time = rng.integers(0, 20 * DAY, len(user))
    order = np.lexsort((item, time, user))
    nothing = np.zeros((users, 0), np.float32)
    return cut_stream(
        Interactions(user[order], item[order], time[order], {}, {}, nothing, np.zeros((items, 1), np.int64), 1), 0.6, 0
    )


@pytest.fixture(scope="module")
def plain(cut: StreamCut) -> Replayed:
    return replay_stream(cut, LiveTrial("trial", "plain", (0.0,)), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_at_zero_each_is_the_plain_live_vectors(cut: StreamCut, plain: Replayed, kind: str) -> None:
    assert np.array_equal(replay_stream(cut, LiveTrial("trial", kind, (0.0,)), 0).hit, plain.hit)


@pytest.mark.parametrize("kind", KINDS)
def test_each_changes_what_is_shown(cut: StreamCut, plain: Replayed, kind: str) -> None:
    replayed = replay_stream(cut, LiveTrial("trial", kind, (0.0, 0.9)), 0)
    unchanged, changed = ([place for place, v in enumerate(replayed.variants) if v.extra == e] for e in (0.0, 0.9))
    assert len(unchanged) == len(changed) == len(plain.variants)
    assert not np.array_equal(replayed.exposed[unchanged], replayed.exposed[changed])


def test_rows_are_named_after_their_entries() -> None:
    made = {name: entry.make() for name, entry in STREAM.items()}
    assert all(ranker.name == name for name, ranker in made.items() if isinstance(ranker, LiveTrial))
