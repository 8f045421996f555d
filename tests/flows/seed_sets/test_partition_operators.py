"""What the operators of a process are given of the centroids topic."""

from pathlib import Path

from toys import toy_bundle

from flows.config.settings import Settings
from flows.kafka.topic_marks import TopicMarks
from flows.kafka.topic_watch import TopicWatch
from flows.seed_sets.partition_operators import PartitionOperators
from flows.seed_sets.state_facts import StateFacts


def test_who_fills_a_store_anew_knows_where_items_are_at_home(tmp_path: Path) -> None:
    """Though nothing was emitted yet: what is at home elsewhere has all its clicks there alone."""
    bundle, settings = toy_bundle(tmp_path / "bundle", ["u"]), Settings(state_dir=str(tmp_path / "state"))
    found = PartitionOperators(settings, bundle, StateFacts(2, {}, 1), TopicWatch.blind(), TopicMarks())
    found._clicks_ends, found._nothing_emitted, found._home = {0: 9}, True, {"a": 0, "b": 1}.__getitem__
    before = found._emitted_before(0)
    assert before is not None
    assert (before.is_away("a"), before.is_away("b"), before.clicks_end) == (False, True, 9)
    found._home = None
    assert found._emitted_before(0) is None
    found.close()
