import itertools
import re
import subprocess
import sys

import pytest
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flows.messages.rejects import REASONS
from monitoring import metrics
from monitoring.reference import our_metrics

BOUNDED = {
    "outcome": 6,
    "topic_kind": 4,
    "reason": 15,
    "kind": 3,
    "status": 4,
    "condition": 8,
    "partition": None,  # as many as Kafka has
    "version": None,  # one at a time
    "model_version": None,
    "flow": 3,
}
"""Labels that metrics may have, with the most values that they may take."""

COUNTED = ("_total", "_seconds", "_messages", "_items", "_seeds", "_info", "_ready", "_brake")

metrics.declare(reasons=REASONS)
everyone = pytest.mark.parametrize("metric", our_metrics(), ids=lambda metric: metric._name)


@everyone
def test_name(metric: Counter | Gauge | Histogram) -> None:
    family = next(iter(metric.describe()))
    name = family.name + ("_total" if family.type == "counter" else "")
    assert re.fullmatch(r"ralm(_[a-z]+)+", name)
    assert name.endswith(COUNTED), f"{name} does not end in its unit or in what it counts"
    assert not re.search(r"_(ms|millis|milliseconds|minutes|percent|kb|since|ago|age)(_|$)", name), (
        "base units, and moments"
    )
    assert name.endswith("_total") == (family.type == "counter")
    if family.type == "histogram":
        assert name.endswith("_seconds")
    if "_time" in name:
        assert name.endswith("_timestamp_seconds")


@everyone
def test_help(metric: Counter | Gauge | Histogram) -> None:
    text = metric._documentation
    assert len(text) > 15
    assert text.endswith(".")
    assert "\n" not in text
    assert "|" not in text, "it goes into a Markdown table"
    if "seconds" in metric._name:
        assert text.endswith("seconds."), "the unit"


@everyone
def test_labels(metric: Counter | Gauge | Histogram) -> None:
    assert set(metric._labelnames) <= set(BOUNDED)
    assert not {"user", "user_id", "item", "item_id", "request_id"} & set(metric._labelnames)
    if metric._labelnames:
        for label, place in zip(metric._labelnames, range(9), strict=False):
            values = {combination[place] for combination in metric._metrics}
            most = BOUNDED[label]
            assert most is None or len(values) <= most


@everyone
def test_registered_and_there_from_the_start(metric: Counter | Gauge | Histogram) -> None:
    names = {family.name: family for family in metrics.REGISTRY.collect()}
    family = names[metric._name]
    by_kafka = {"partition", "condition", "version"} & set(metric._labelnames) or metric is metrics.LAST_POLL
    assert family.samples or by_kafka


NEW_PAGE = """
from prometheus_client import generate_latest
from flows.messages.rejects import REASONS
from monitoring.metrics import REGISTRY, declare
declare(reasons=REASONS)
print(generate_latest(REGISTRY).decode())
"""


def test_counters_start_at_0_for_each_label_value() -> None:
    new = subprocess.run([sys.executable, "-c", NEW_PAGE], capture_output=True, text=True, check=True, timeout=60)
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(new.stdout)
        for sample in family.samples
    }
    for kind in metrics.KINDS_READ:
        assert samples["ralm_messages_read_total", ("topic_kind", kind)] == 0
        for reason in REASONS:
            assert samples["ralm_dead_letters_total", ("reason", reason), ("topic_kind", kind)] == 0
    for kind in metrics.KINDS_WRITTEN:
        assert samples["ralm_messages_written_total", ("topic_kind", kind)] == 0
        assert samples["ralm_write_errors_total", ("topic_kind", kind)] == 0
    for outcome in metrics.RECLUSTER_OUTCOMES:
        assert samples["ralm_reclusters_total", ("outcome", outcome)] == 0
    assert samples["ralm_late_clicks_total",] == samples["ralm_index_items",] == 0
    assert all(value == 0 for (name, *_), value in samples.items() if name.startswith("ralm_"))
    assert not any("_created" in name for name, *_ in samples)


@everyone
def test_buckets(metric: Counter | Gauge | Histogram) -> None:
    if isinstance(metric, Histogram):
        bounds = metric._upper_bounds
        assert 10 <= len(bounds) <= 20
        steps = [b / a for a, b in itertools.pairwise(bounds[:-1])]
        assert all(1.5 <= step <= 6 for step in steps), "fine enough for a quantile"


def test_the_whole_page_is_small() -> None:
    families = list(text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode()))
    assert sum(len(family.samples) for family in families) < 500
    assert {"process_start_time_seconds", "python_info"} <= {family.name for family in families}
