"""In a minute: do people get answers, how fast, how fresh, and what waits. The other rows say why."""

from monitoring.panels.base import Panel, here

SHORT = [
    Panel(
        "Do people get answers?",
        "percentunit",
        "Share of ok among the answers of the last 5 minutes to users whom the model knows. The objective is 99%: "
        "RalmAnswersNotOk.",
        {"ok": '1 - job:ralm_answers_bad:ratio_rate5m{job="$job"}'},
        5,
        "number",
        bad_below=0.9,
    ),
    Panel(
        "How fast?",
        "s",
        "99 of 100 answers of the last 5 minutes came within this. The objective is a second: RalmScoresSlow.",
        {"p99": 'job:ralm_request_to_score_seconds:p99_rate5m{job="$job"}'},
        5,
        "number",
        bad_from=1,
    ),
    Panel(
        "How fresh?",
        "s",
        "From the newest window that answers know of to event time. Up to a window and its clustering is usual; it "
        "grows in an hour without clicks, and when centroids do not come: RalmCentroidsStale.",
        {
            "behind event time": f"max({here('ralm_watermark_timestamp_seconds')}) - "
            f"max({here('ralm_index_newest_window_end_timestamp_seconds')} > 0)"
        },
        5,
        "number",
        bad_from=1800,
    ),
    Panel(
        "How far behind its input?",
        "s",
        "The partition that is furthest behind what is in Kafka. Above 5 minutes: RalmLagging.",
        {"oldest": f"max({here('instance_topic_kind_partition:ralm_kafka_lag_seconds:max')})"},
        5,
        "number",
        bad_from=300,
    ),
    Panel(
        "How many items are live?",
        "short",
        "Items that answers can name; the others that somebody clicked are cold. 0: no answer is ok, and the status "
        "page says why.",
        {"live": f"max({here('ralm_index_items')})", "clicked": f"sum({here('ralm_items')})"},
        4,
        "number",
        bad_below=1,
    ),
    Panel(
        "Which share of the answers is not ok?",
        "percentunit",
        "Of answers to users whom the model knows, over three ranges. The objective allows 1%; 14.4% for an hour, or "
        "6% for six, wakes somebody: RalmAnswersNotOk.",
        {
            "5 minutes": 'job:ralm_answers_bad:ratio_rate5m{job="$job"}',
            "hour": 'job:ralm_answers_bad:ratio_rate1h{job="$job"}',
            "6 hours": 'job:ralm_answers_bad:ratio_rate6h{job="$job"}',
        },
        12,
        bad_from=0.144,
    ),
    Panel(
        "Which share of the answers is for users whom the model does not know?",
        "percentunit",
        "Some always are. Above half for an hour, or nearly all at once: RalmUsersUnknown.",
        {
            "5 minutes": 'job:ralm_users_unknown:ratio_rate5m{job="$job"}',
            "hour": 'job:ralm_users_unknown:ratio_rate1h{job="$job"}',
        },
        12,
        bad_from=0.5,
    ),
]
