"""Where is it stuck? What waits, what moves, and when each part last did."""

from monitoring.panels.base import RARE, Panel, age, here, rate

STUCK = [
    Panel(
        "How many messages wait in Kafka?",
        "short",
        "By partition. One partition alone: one item or user has most of the traffic, or its worker is stuck.",
        {"{{topic_kind}} {{partition}}": f"max by (topic_kind, partition) ({here('ralm_kafka_lag_messages')})"},
    ),
    Panel(
        "How many messages are read?",
        "mps",
        "By topic. 0 with lag: the source is stuck or the broker does not answer. 0 without lag: nobody sends.",
        {"{{topic_kind}}": 'job_topic_kind:ralm_messages_read:rate5m{job="$job"}'},
    ),
    Panel(
        "How many messages are written?",
        "mps",
        "By topic, as the broker confirms them. Requests read and no scores written: look at the errors of the sink.",
        {"{{topic_kind}}": rate("ralm_messages_written_total", "topic_kind")},
    ),
    Panel(
        "When was each topic last polled?",
        "s",
        "Under a second is usual, also when nothing comes. Older: the dataflow does not get round to it.",
        {"{{topic_kind}}": age("ralm_last_poll_timestamp_seconds", "topic_kind")},
        bad_from=60,
    ),
    Panel(
        "How many items wait for clustering?",
        "short",
        "Pending: their window is closed; a peak after each window that goes back to 0 is usual. If it does not "
        "before the next: more cluster workers. Dirty: touched, their window is open.",
        {
            "pending": f"sum({here('ralm_pending_items')})",
            "dirty": f"sum({here('ralm_dirty_items')})",
        },
    ),
    Panel(
        "When did each partition's state last go into a snapshot?",
        "s",
        "Every few seconds. Older: the sink waits for the broker or the disk is slow; see the runbook "
        "RalmSnapshotStale.",
        {"partition {{partition}}": age("ralm_snapshot_last_success_timestamp_seconds", "partition")},
        bad_from=120,
    ),
    Panel(
        "Do the Kafka clients report errors?",
        "cps",
        "A burst passes by itself. Without end: the broker cannot be reached; see the runbook RalmKafkaErrors.",
        {"{{instance}} {{kind}}": rate("ralm_kafka_errors_total", "instance, kind")},
        bad_from=0.2,
    ),
    Panel(
        "How many clicks become seeds, and how many windows close?",
        "cps",
        "Replayed clicks come after a restart only. Windows close once in five minutes for each partition with clicks.",
        {
            "clicks {{outcome}}": rate("ralm_clicks_total", "outcome"),
            "windows": f"sum(rate({here('ralm_windows_closed_total')}[{RARE}]))",
        },
    ),
    Panel(
        "How much is kept?",
        "short",
        "Items and seeds in the stores, items in the live index, seeds driven out and items evicted in the last "
        "hour. The live index should be near the items that have `min_seeds`.",
        {
            "items": f"sum({here('ralm_items')})",
            "seeds": f"sum({here('ralm_seeds')})",
            "live index {{instance}}": here("ralm_index_items"),
            "live, without a sketch {{instance}}": here("ralm_index_unsketched_items"),
            "listed": f"sum({here('ralm_listed_items')})",
            "seeds driven out": f"sum(increase({here('ralm_seeds_evicted_total')}[1h]))",
            "items evicted": f"sum(increase({here('ralm_items_ended_total')}[1h]))",
        },
    ),
]
