"""Is it fresh? Lag, event time, windows, centroids, the live index, cold and stale answers."""

from monitoring.panels.base import Panel, age, here, share

FRESH = [
    Panel(
        "How many seconds is each partition behind its input?",
        "s",
        "Age of the last message read while more are there. Falling: it catches up, wait. Rising: see the runbook "
        "RalmLagging.",
        {
            "{{topic_kind}} {{partition}}": "max by (topic_kind, partition) "
            f"({here('instance_topic_kind_partition:ralm_kafka_lag_seconds:max')})"
        },
        bad_from=300,
    ),
    Panel(
        "For which share of the time did answers not follow the clicks?",
        "percentunit",
        "Items waited for clustering, clusterings failed, or centroids did not arrive. The objective allows 1%; 14.4% "
        "of an hour, or 6% of six, wakes somebody: RalmCentroidsStale.",
        {
            "5 minutes": 'job:ralm_centroids_stale:ratio_avg5m{job="$job"}',
            "hour": 'job:ralm_centroids_stale:ratio_avg1h{job="$job"}',
            "6 hours": 'job:ralm_centroids_stale:ratio_avg6h{job="$job"}',
        },
        bad_from=0.144,
    ),
    Panel(
        "How far is event time behind the clock?",
        "s",
        "About the allowed lateness (10 s) is usual; much more is usual only in a replay. A line that rises "
        "steadily stands still; see the runbook RalmWatermarkStuck. Below 0: a producer's clock is ahead.",
        {"partition {{partition}}": age("ralm_watermark_timestamp_seconds", "partition")},
    ),
    Panel(
        "How old is the last closed window?",
        "s",
        "A saw-tooth between the lateness and one window (5 minutes) more is usual. Higher: event time stands still.",
        {"partition {{partition}}": age("ralm_last_window_end_timestamp_seconds", "partition")},
    ),
    Panel(
        "When were centroids last emitted?",
        "s",
        "After each window with clicks. Old while items wait: see the runbook RalmCentroidsStale. Old with nothing "
        "waiting is a quiet hour.",
        {"{{instance}}": age("ralm_centroids_last_emit_timestamp_seconds", "instance")},
        bad_from=900,
    ),
    Panel(
        "How fresh is what each scorer answers from?",
        "s",
        "The age of the newest window in the live index. Near the panel of closed windows is good; much older: "
        "centroids are made and do not arrive. Look at the centroids topic.",
        {"{{instance}}": age("ralm_index_newest_window_end_timestamp_seconds", "instance")},
    ),
    Panel(
        "Which share of the answers has cold or stale items?",
        "percentunit",
        "Items without centroids, or with old ones. Some are usual: new items, and items that nobody clicks any "
        "more. A step up means that clustering does not keep up, or that a bundle was changed and everything is "
        "being clustered again.",
        {"cold": share("ralm_cold_answers_total"), "stale": share("ralm_stale_answers_total")},
    ),
]
