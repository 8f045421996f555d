"""Is it fast? The path of a request, and the times of the work that can hold it up."""

from monitoring.panels.base import RARE, Panel, quantiles, rate

FAST = [
    Panel(
        "How long does a request wait for its answer?",
        "s",
        "From the broker's time of the request to the answer. Above a second for one in a hundred: see the runbook "
        "RalmScoresSlow.",
        {
            "median": 'job:ralm_request_to_score_seconds:p50_rate5m{job="$job"}',
            "p99": 'job:ralm_request_to_score_seconds:p99_rate5m{job="$job"}',
        },
        bad_from=1,
    ),
    Panel(
        "How long does scoring a micro-batch take?",
        "s",
        "The part of the wait that is computing. It grows with the live items. Small while requests wait long: they "
        "queue.",
        quantiles("ralm_score_duration_seconds"),
    ),
    Panel(
        "Which share of the answers is slow?",
        "percentunit",
        "Later than a second after the request. The objective allows 1%; 14.4% for an hour, or 6% for six, wakes "
        "somebody: RalmScoresSlow.",
        {
            "5 minutes": 'job:ralm_answers_slow:ratio_rate5m{job="$job"}',
            "hour": 'job:ralm_answers_slow:ratio_rate1h{job="$job"}',
            "6 hours": 'job:ralm_answers_slow:ratio_rate6h{job="$job"}',
        },
        bad_from=0.144,
    ),
    Panel(
        "How many requests are answered?",
        "reqps",
        "By status. unknown_user: not in the bundle, train again or look at the identifiers. no_candidates: the "
        "index is empty or all named items are cold. expired: waited longer than request_timeout; add processes.",
        {"{{status}}": 'job_status:ralm_requests:rate5m{job="$job"}'},
    ),
    Panel(
        "How many pairs of user and item are scored?",
        "cps",
        "Requests times candidates: the load on the scorers. Add workers before it reaches what the benchmark says.",
        {"{{instance}}": rate("ralm_scored_pairs_total", "instance")},
    ),
    Panel(
        "How long does clustering an item take?",
        "s",
        "Milliseconds for a thousand seeds, some tenths for a million. Higher: the store's disk is slow or the "
        "processor is full.",
        quantiles("ralm_recluster_duration_seconds", RARE),
    ),
    Panel(
        "How long does a synced write of the store take?",
        "s",
        "Each snapshot waits for it. Above a second the disk is too slow or shared.",
        quantiles("ralm_store_write_duration_seconds"),
        bad_from=1,
    ),
]
