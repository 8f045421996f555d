"""Every metric of RALM streaming, and nothing else: this file is an API, and rules and dashboard are its users.

Rules that all of them keep, and that tests hold: the prefix ``ralm_``, base units, ``_total`` on counters, a moment
as a timestamp and never as "seconds since", no label whose values are users, items or anything else without a bound.
Where the values of the labels are known beforehand, the series are there with 0 from the start, so that the first
error is an increase and not a new series (``declare`` takes those that another room knows). A timestamp of 0 means
"not yet".

The series ``partition`` are one for each Kafka partition that this process reads.
"""

from collections.abc import Iterable
from itertools import product

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

KINDS_READ = ("clicks", "requests", "candidates", "centroids")
"""Topics that are read, by what they are in the contract; their names are settings."""

KINDS_BRAKED = ("clicks", "requests", "candidates")
"""Topics that are not read on when too many of their messages cannot be used."""

KINDS_WRITTEN = ("centroids", "scores", "dead_letters")
"""Topics that are written."""

CLICK_OUTCOMES = ("applied", "replayed")
KAFKA_CLIENTS = ("source", "sink", "index")
RECLUSTER_OUTCOMES = ("emitted", "too_few_seeds", "no_vectors", "failed", "unlisted", "shed")
ITEM_ENDS = ("idle", "retired", "expired", "unlisted", "over_capacity", "forgotten")
"""Why an item is served no more: no click for item_ttl, a message that retires it, its expires_at, or none that lists
it; and with its seeds, since there are more items than max_items, or no click came for seeds_retention."""

REQUEST_STATUSES = ("ok", "unknown_user", "no_candidates", "expired")

PROFILE_OUTCOMES = ("used", "known_user", "useless")

# When a series was made tells nobody anything, and would double the page.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)


def _counter(name: str, text: str, *, at_0: dict[str, tuple[str, ...]] | None = None) -> Counter:
    """A counter whose label values are all known; every combination of them starts at 0."""
    values = at_0 or {}
    counter = Counter(name, text, list(values), registry=REGISTRY)
    if values:
        for combination in product(*values.values()):
            counter.labels(*combination)
    return counter


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
    return Histogram(name, text, registry=REGISTRY, buckets=buckets)


# Is it there?

BUILD_INFO = _gauge(
    "ralm_build_info", "1; the labels say which program, bundle and dataflow run.", "version", "model_version", "flow"
)
HEARTBEAT = _gauge(
    "ralm_heartbeat_timestamp_seconds", "When the dataflow last gave a sign of life, Unix time, seconds."
)
READY = _gauge(
    "ralm_ready", "1 while the condition for being ready is met, 0 while it is not; /-/ready says why.", "condition"
)

DRAINED_STOPS = _counter(
    "ralm_drained_stops_total",
    "Stops of this process that were drains, as its state directory has counted them; other restarts are crashes.",
)

# What comes in

MESSAGES_READ = _counter(
    "ralm_messages_read_total", "Messages read from Kafka, good and bad.", at_0={"topic_kind": KINDS_READ}
)
DEAD_LETTERS = _counter(
    "ralm_dead_letters_total",
    "Messages that could not be used, by topic and reason.",
    at_0={"topic_kind": KINDS_READ, "reason": ()},  # see declare
)
DEAD_LETTER_BRAKE = _gauge(
    "ralm_dead_letter_brake",
    "1 while a topic is not read because too many of its messages cannot be used, else 0; /-/ready says why.",
    "topic_kind",
)
for _kind in KINDS_BRAKED:
    DEAD_LETTER_BRAKE.labels(_kind)
POLL_ERRORS = _counter(
    "ralm_kafka_errors_total",
    "Errors that a Kafka client reported, most of which it recovers from by itself.",
    at_0={"kind": KAFKA_CLIENTS},
)
LAST_POLL = _gauge(
    "ralm_last_poll_timestamp_seconds", "When Kafka was last asked for messages, Unix time, seconds.", "topic_kind"
)
KAFKA_LAG = _gauge(
    "ralm_kafka_lag_messages",
    "Messages between the position and the end of the partition.",
    "topic_kind",
    "partition",
)
KAFKA_POSITION_TIME = _gauge(
    "ralm_kafka_position_timestamp_seconds",
    "The broker's time of the last message read, Unix time, seconds.",
    "topic_kind",
    "partition",
)

# Seeds and windows

CLICKS = _counter(
    "ralm_clicks_total",
    "Clicks: applied to the seed sets, or replayed and there already.",
    at_0={"outcome": CLICK_OUTCOMES},
)
LATE_CLICKS = _counter("ralm_late_clicks_total", "Clicks whose window was closed; they join the seed set all the same.")
SPLIT_ITEMS = _counter(
    "ralm_split_items_total", "Items whose clicks came to two partitions: their producers use different partitioners."
)
WATERMARK = _gauge(
    "ralm_watermark_timestamp_seconds",
    "The event time before which no click is expected any more, Unix time, seconds.",
    "partition",
)
WINDOWS_CLOSED = _counter("ralm_windows_closed_total", "Windows closed in which an item was touched.")
WINDOW_END = _gauge(
    "ralm_last_window_end_timestamp_seconds", "The end of the last closed window, event time, seconds.", "partition"
)
ITEMS = _gauge("ralm_items", "Items that have a seed set.", "partition")
DIRTY_ITEMS = _gauge("ralm_dirty_items", "Items touched since they were last due for clustering.", "partition")
PENDING_ITEMS = _gauge(
    "ralm_pending_items", "Items of closed windows that still wait for clustering or for its result.", "partition"
)
SEEDS = _gauge("ralm_seeds", "Seeds of all items.", "partition")
SEED_EVICTIONS = _counter(
    "ralm_seeds_evicted_total", "Seeds that newer ones drove out of a full seed set, or that a gap of item_ttl ended."
)
ITEMS_ENDED = _counter(
    "ralm_items_ended_total",
    "Items served no more: idle for item_ttl, retired, expired, or not listed. Items dropped with their seeds: over "
    "capacity (more items than max_items), or forgotten (idle for seeds_retention).",
    at_0={"reason": ITEM_ENDS},
)
LISTINGS = _gauge(
    "ralm_listed_items", "Items of which the candidates topic says something: listed, expired or retired.", "partition"
)
STORE_WRITE_SECONDS = _histogram(
    "ralm_store_write_duration_seconds",
    "Time of one synced write of a partition's seeds, seconds.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SNAPSHOT_TIME = _gauge(
    "ralm_snapshot_last_success_timestamp_seconds",
    "When the state last went into a snapshot, Unix time, seconds.",
    "partition",
)

# Clustering

RECLUSTERS = _counter(
    "ralm_reclusters_total",
    "Clusterings of an item, by what became of them; failed: tried again when the next window closes; unlisted: only "
    "its seeds were tidied; shed: its turn had not come when a later window closed.",
    at_0={"outcome": RECLUSTER_OUTCOMES},
)
RECLUSTER_SECONDS = _histogram(
    "ralm_recluster_duration_seconds",
    "Time of one item's clustering, from reading its seeds to its centroids, seconds.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
CENTROIDS_TIME = _gauge(
    "ralm_centroids_last_emit_timestamp_seconds", "When centroids were last emitted, Unix time, seconds."
)

# Scoring

INDEX_ITEMS = _gauge("ralm_index_items", "Items in the live index.")
INDEX_TIME = _gauge("ralm_index_last_update_timestamp_seconds", "When the live index last changed, Unix time, seconds.")
INDEX_WINDOW_END = _gauge(
    "ralm_index_newest_window_end_timestamp_seconds",
    "The newest window end among the live index's centroids, event time, seconds.",
)
INDEX_UNSKETCHED = _gauge(
    "ralm_index_unsketched_items",
    "Items in the live index whose centroids have no sketch, of which neighbours says nothing; 0 without that setting.",
)
REQUESTS = _counter("ralm_requests_total", "Requests answered, by status.", at_0={"status": REQUEST_STATUSES})
PROFILES = _counter(
    "ralm_request_profiles_total",
    "Requests with a profile: used in place of a vector that the bundle lacks; of a user whom the bundle knows, and "
    "passed over; or useless, since the bundle knows none of its values.",
    at_0={"outcome": PROFILE_OUTCOMES},
)
PROFILE_VALUES_UNKNOWN = _counter(
    "ralm_unknown_profile_values_total",
    "Values in profiles of users whom the bundle does not know that it does not know either, and passes over.",
)
PAIRS = _counter("ralm_scored_pairs_total", "Pairs of user and item scored.")
COLD = _counter("ralm_cold_answers_total", "Answers that name at least one cold item.")
STALE = _counter("ralm_stale_answers_total", "Answers that name at least one stale item.")
TRUNCATED = _counter(
    "ralm_truncated_answers_total", "Answers that were too long for a message and were sent without their end."
)
SCORE_SECONDS = _histogram(
    "ralm_score_duration_seconds",
    "Time of scoring one micro-batch of requests, seconds.",
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
REQUEST_AGE_SECONDS = _histogram(
    "ralm_request_to_score_seconds",
    "Time from the broker's time of a request to its answer being handed to the sink, seconds.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)

# What goes out

MESSAGES_WRITTEN = _counter(
    "ralm_messages_written_total", "Messages that the broker has taken.", at_0={"topic_kind": KINDS_WRITTEN}
)
WRITE_ERRORS = _counter(
    "ralm_write_errors_total", "Messages that the broker has not taken.", at_0={"topic_kind": KINDS_WRITTEN}
)


def declare(*, reasons: Iterable[str]) -> None:
    """Start the series at 0 whose labels have values that another room knows; call it before metrics are served.

    Args:
        reasons: why a message can become a dead letter.
    """
    for kind, reason in product(KINDS_READ, sorted(reasons)):
        DEAD_LETTERS.labels(kind, reason)
