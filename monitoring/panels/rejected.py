"""What is being rejected? Dead letters, late clicks, clusterings without centroids, cut answers, refused writes."""

from monitoring.panels.base import RARE, Panel, here, rate

REJECTED = [
    Panel(
        "Which share of each topic cannot be used?",
        "percentunit",
        "Above 1%: see the runbook RalmDeadLetters; the messages lie in the dead-letters topic.",
        {"{{topic_kind}}": 'job_topic_kind:ralm_dead_letters_per_message:ratio_rate5m{job="$job"}'},
        bad_from=0.01,
    ),
    Panel(
        "Why are messages rejected?",
        "mps",
        "By topic and reason, over 15 minutes; empty where all can be used. "
        "A new reason all at once is a changed producer: send it one example.",
        {"{{topic_kind}} {{reason}}": f"{rate('ralm_dead_letters_total', 'topic_kind, reason', RARE)} > 0"},
    ),
    Panel(
        "Which topics are not read?",
        "short",
        "1: the process does not read the topic, since too many of its messages cannot be used; see the runbook "
        "RalmDeadLetterBrake.",
        {"{{instance}} {{topic_kind}}": here("ralm_dead_letter_brake")},
        bad_from=1,
    ),
    Panel(
        "How many clicks are late?",
        "cps",
        "They still become seeds, one window later. Many: raise the allowed lateness, or a producer sends in bulk.",
        {
            "late {{instance}}": rate("ralm_late_clicks_total", "instance"),
            "items in two partitions {{instance}}": rate("ralm_split_items_total", "instance"),
        },
    ),
    Panel(
        "What becomes of clusterings?",
        "cps",
        "failed: the log has why; tried again when the next window closes. no_vectors: users whom the bundle does not "
        "know, train again. too_few_seeds: items with little traffic.",
        {"{{outcome}}": rate("ralm_reclusters_total", "outcome", RARE)},
    ),
    Panel(
        "What becomes of profiles in requests?",
        "reqps",
        "used: in place of a vector that the model lacks. useless, or many values that are unknown: clients write "
        "fields or values that training did not see.",
        {
            "{{outcome}}": rate("ralm_request_profiles_total", "outcome"),
            "values that are unknown {{instance}}": rate("ralm_unknown_profile_values_total", "instance"),
        },
    ),
    Panel(
        "How many answers are cut?",
        "cps",
        "They were longer than a message may be and say `truncated`; the best scores are there. Ask for fewer: a lower "
        "top_k in the requests, or max_top_k.",
        {"{{instance}}": rate("ralm_truncated_answers_total", "instance")},
    ),
    Panel(
        "What does the broker not take?",
        "mps",
        "Any is too many: the flow stops at it; see the runbook RalmWriteErrors.",
        {"{{instance}} {{topic_kind}}": rate("ralm_write_errors_total", "instance, topic_kind")},
        bad_from=0.001,
    ),
]
