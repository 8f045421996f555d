"""What the status page says in sentences: how it is, and why no item is live."""

from collections.abc import Mapping
from typing import Any


def headline(report: Mapping[str, Any]) -> tuple[str, str]:
    """How the flow is: ``good``, ``warning`` or ``bad``, and a sentence.

    Args:
        report: the report of ``StatusReport``, without these.
    """
    state = report["ready"]
    if not state["healthy"]:
        return "bad", f"Stuck: no sign of life for {state['heartbeat_age_s']:.0f} s."
    missing = {name: each.get("why", "") for name, each in state["conditions"].items() if not each["ok"]}
    if missing:
        return "bad", "Not ready: " + "; ".join(f"{name}: {why}" if why else name for name, why in missing.items())
    if not state["ready"]:
        return "bad", "Not ready: the dataflow has not begun."
    troubles = list(_troubles(report))
    if troubles:
        return "warning", as_sentence(f"Ready, but {'; '.join(troubles)}")
    return "good", "Ready, and keeping up."


def _troubles(report: Mapping[str, Any]) -> "list[str]":
    behind = [
        f"{each['behind_s']:,.0f} s behind on the {each['topic_kind']}"
        for each in report["inputs"]
        if each["behind_s"] is not None and each["behind_s"] > 60
    ]
    refused = [f"the broker does not take the {kind}" for kind, n in report["writes"]["errors"].items() if n]
    requests = report.get("requests")
    failing = []
    if requests and requests["recent"] >= 20 and requests["recent_ok_share"] < 0.5:
        worst = max((n, status) for status, n in requests["recent_by_status"].items() if status != "ok")[1]
        failing = [f"{1 - requests['recent_ok_share']:.0%} of the last answers are not ok (mostly {worst})"]
    items = report["items"]
    none = [f"no item is live: {items['why_none_live']}"] if items.get("why_none_live") else []
    return behind + refused + failing + none


def as_sentence(text: str) -> str:
    """With a full stop, unless it ends with a question.

    >>> as_sentence("no click has arrived"), as_sentence("is anything sent?")
    ('no click has arrived.', 'is anything sent?')
    """
    return text if text.endswith("?") else f"{text}."


def why_none_live(facts: Mapping[str, Any]) -> str:
    """Why no item is live, as a sentence that says what to look at next.

    Args:
        facts: ``clicks_read``, ``clicks_lag``, ``items``, ``pending``, ``next_end`` (ISO time of the next window's end,
            or empty), ``outcomes`` of clusterings, ``ended`` (items that are served no more, by reason),
            ``min_seeds``, ``centroids_read``; those of clicks are None in a process that reads none.
    """
    if facts["clicks_read"] is None:
        if facts["centroids_read"]:
            return (
                "centroids were read, and none is of this model: the process that makes them has another bundle, or "
                "the items are retired"
            )
        return "the centroids topic holds none of this model yet: look at the process that makes them (flow seeds)"
    return _before_clusterings(facts) or _after_clusterings(facts)


def _before_clusterings(facts: Mapping[str, Any]) -> str:
    if not facts["clicks_read"] and not facts["items"]:
        if facts["clicks_lag"]:
            return f"no click has been read, and {facts['clicks_lag']:,.0f} wait in Kafka"
        return "no click has arrived: is anything sent to the clicks topic?"
    if not facts["items"]:
        return "none of the clicks that were read could be used: look at the dead letters"
    if facts["pending"]:
        return f"{facts['pending']:,.0f} items wait for clustering"
    if not sum(facts["outcomes"].values()):
        end = f", at {facts['next_end']} of event time" if facts["next_end"] else ""
        return f"the first window has not closed yet{end}; items are clustered when it does"
    return ""


def _after_clusterings(facts: Mapping[str, Any]) -> str:
    made = {outcome: n for outcome, n in facts["outcomes"].items() if n}
    emitted = made.pop("emitted", 0)
    if emitted and facts["centroids_read"] is None:
        return ""  # another process has the index
    if emitted:
        return "centroids were made and are not in the index: look at the centroids topic, or the items are retired"
    ended = ", ".join(_ENDED.get(reason, reason) for reason, n in sorted(facts["ended"].items()) if n)
    words = {
        "too_few_seeds": f"had fewer than min_seeds = {facts['min_seeds']} seeds that the model knows",
        "no_vectors": "had no seeds that the model knows (are user_id of clicks and of the bundle the same?)",
        "failed": "could not be done (the log says why)",
        "unlisted": f"had an item that is not served ({ended or 'candidates = listed, and no message lists it'})",
        "shed": "did not get their turn in time",
    }
    said = [f"{n:,.0f} {words.get(outcome, outcome)}" for outcome, n in sorted(made.items(), key=lambda each: -each[1])]
    of = int(sum(made.values()))
    return f"of {of:,} {'clustering' if of == 1 else 'clusterings'} so far {'; '.join(said)}"


_ENDED = {
    "idle": "no click for item_ttl",
    "retired": "retired",
    "expired": "its expires_at has passed",
    "unlisted": "candidates = listed, and no message lists it",
    "over_capacity": "more items than max_items",
    "forgotten": "no click for seeds_retention",
}
"""Why items are served no more."""
