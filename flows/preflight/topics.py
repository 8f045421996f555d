"""What is thought of the topics that a flow reads and writes, and of the user's rights to them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from flows.config.rules import HEADERS_BYTES
from flows.config.settings import Settings
from flows.kafka.admin import cleanup_difference, compaction_difference, timestamp_difference
from flows.kafka.config import producer_config
from flows.kafka.errors import alter_topic, reach_of
from flows.kafka.facts import READ, WRITE, Cluster, TopicFacts
from flows.kafka.probe import ASK_TIMEOUT_S
from flows.kafka.topics import TopicNames, TopicPlan, plan_topics
from flows.messages.decode import most_bytes
from flows.preflight.findings import Finding, Verdict, worst
from flows.preflight.known_topics import Seen, compare, opened_with
from flows.seed_sets.state_facts import StateFacts
from flows.support.errors import RalmError
from flows.support.machine import memory_limit
from flows.support.text import counted

UNFOLDS = 1_900
"""Bytes of memory for each byte of a batch in gzip, at most (docs/dead-letters.md, "What a batch may cost")."""
_OF_STRANGERS = ("clicks", "candidates", "requests")
_PATIENCE_S = 5.0
"""So long a topic that is not there may still become known, when it was made a moment ago."""
_RIGHTS = "docs/security.md names the rights that a flow needs"


@dataclass(frozen=True)
class TopicUse:
    """The topics of the contract that a flow reads and those that it writes."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Each topic once."""
        return tuple(dict.fromkeys((*self.reads, *self.writes)))


def look_at_kafka(
    use: TopicUse,
    settings: Settings,
    *,
    waiting: Callable[[list[str]], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
    answer_s: float = ASK_TIMEOUT_S,
    state: StateFacts | None = None,
) -> Iterator[Finding]:
    """Yield what is thought of the brokers, of each topic of a flow, and of the rights.

    Args:
        use: the flow's topics.
        settings: the settings.
        waiting: called once, with the topics that are waited for since the broker does not know them yet.
        stopped: says not to wait any longer.
        answer_s: how long to wait for an answer of a broker.
        state: what the state directory holds, for topics to be compared with it; None for that to be left to the start.
    """
    names = TopicNames.of(settings)
    cluster = Cluster(settings, answer_s)
    try:
        cluster.connect(stopped)
    except RalmError as error:
        yield Finding("broker", Verdict.PROBLEM, str(error), failure=True)
        yield Finding("topics, rights", Verdict.UNCHECKED, "no broker says anything of them")
        return
    yield Finding("broker", Verdict.OK, f"one at {settings.bootstrap_servers} answers")
    needed = [getattr(names, kind) for kind in use.all if not _optional(kind, settings)]
    optional = [getattr(names, kind) for kind in use.all if _optional(kind, settings)]
    facts = cluster.known_topics(needed, _PATIENCE_S, waiting=waiting, stopped=stopped) | cluster.topics(optional)
    known = {} if state is None else _compared(use, facts, state, settings)
    yield from judge_topics(use, facts, settings, known, memory_limit())
    yield judge_rights(use, facts, cluster.group_rights(settings.group_id), settings)


def _compared(
    use: TopicUse, facts: Mapping[str, TopicFacts], state: StateFacts, settings: Settings
) -> dict[str, list[Seen]]:
    names, opened = TopicNames.of(settings), opened_with(settings)
    topics = {kind: getattr(names, kind) for kind in use.all}
    return {kind: list(compare(kind, name, facts[name], state, settings, opened)) for kind, name in topics.items()}


def judge_topics(
    use: TopicUse,
    facts: Mapping[str, TopicFacts],
    settings: Settings,
    known: Mapping[str, Collection[Seen]] | None = None,
    memory: int | None = None,
) -> Iterator[Finding]:
    """Yield what is thought of each topic.

    Args:
        use: the flow's topics.
        facts: what the broker says of each, by name.
        settings: the settings.
        known: what is thought of each kind beside what the stores know of it.
        memory: bytes that this process's container may have; None where nothing limits them.
    """
    names, plans = TopicNames.of(settings), {plan.name: plan for plan in plan_topics(settings)}
    for kind in use.all:
        name = getattr(names, kind)
        found = facts[name]
        if not found.partitions:
            gone = [Finding(f"topic {name}", verdict, text) for verdict, text in (known or {}).get(kind, ())]
            yield next(iter(gone), _absent(kind, name, found, use, settings))
            continue
        seen = [*_judged(plans[name], found), *(known or {}).get(kind, ())]
        if kind in use.writes:
            seen += _room(kind, name, found, settings)
        if kind in _OF_STRANGERS and memory is not None:
            seen += _cost(kind, name, found, settings, memory)
        if kind == "candidates":
            seen += _partners(facts[names.clicks].partitions, names.clicks, found.partitions)
        yield worst(f"topic {name}", seen)


def judge_rights(
    use: TopicUse, facts: Mapping[str, TopicFacts], group: frozenset[str] | None, settings: Settings
) -> Finding:
    """What is thought of what this user may do.

    Args:
        use: the flow's topics.
        facts: what the broker says of each, by name.
        group: what the user may do with the consumer group; None when the broker does not say.
        settings: the settings.
    """
    names = TopicNames.of(settings)
    wanted = [(READ, getattr(names, kind)) for kind in use.reads] + [
        (WRITE, getattr(names, kind)) for kind in use.writes
    ]
    known = [(right, name, facts[name].rights) for right, name in wanted if facts[name].partitions]
    known.append((READ, f"the group {settings.group_id}", group))
    missing = [
        f"{right.capitalize()} on {name}" for right, name, rights in known if rights is not None and right not in rights
    ]
    silent = [name for _, name, rights in known if rights is None]
    seen = []
    if missing:
        seen.append((Verdict.PROBLEM, f"missing: {', '.join(missing)}. Give them to the user; {_RIGHTS}"))
    if silent:
        text = f"the broker does not say what this user may do with {', '.join(dict.fromkeys(silent))}"
        seen.append((Verdict.UNCHECKED, text))
    given = [f"{right.capitalize()} on {name}" for right, name, rights in known if rights and right in rights]
    if given:
        seen.append((Verdict.OK, ", ".join(given)))
    return worst("rights", seen)


def _optional(kind: str, settings: Settings) -> bool:
    """Whether a topic may be missing."""
    return kind == "candidates" and settings.candidates == "clicked"


def _absent(kind: str, name: str, found: TopicFacts, use: TopicUse, settings: Settings) -> Finding:
    what = f"topic {name}"
    if found.trouble:
        return Finding(what, Verdict.PROBLEM, f"the broker does not describe it: {found.trouble}", failure=True)
    if found.hidden:
        needed = " and ".join(["Read"] * (kind in use.reads) + ["Write"] * (kind in use.writes))
        text = f"hidden from this user, if it exists: run `ralm topics`, and give the user {needed} on it; {_RIGHTS}"
        return Finding(what, Verdict.PROBLEM, text)
    if _optional(kind, settings):
        return Finding(what, Verdict.OK, "not there, and not needed: candidates are the clicked items")
    return Finding(what, Verdict.PROBLEM, "it does not exist: run `ralm topics` to make it")


def _judged(plan: TopicPlan, found: TopicFacts) -> Iterator[tuple[Verdict, str]]:
    yield Verdict.OK, counted(found.partitions, "partition")
    if found.leaderless:
        many = ", ".join(map(str, found.leaderless[:5]))
        yield Verdict.WARNING, f"no broker leads partition {many}: its messages wait until one does"
    if found.config is None:
        text = "its cleanup.policy and max.message.bytes: this user has no right DescribeConfigs on it"
        yield Verdict.UNCHECKED, text
        return
    policy = cleanup_difference(plan, found.config.get("cleanup.policy"))
    if policy:
        yield Verdict.PROBLEM, policy
    else:
        yield Verdict.OK, f"cleanup.policy {plan.cleanup}"
    minor = (timestamp_difference(plan, found), "" if policy else compaction_difference(plan, found))
    yield from ((Verdict.WARNING, text) for text in minor if text)


def _room(kind: str, name: str, found: TopicFacts, settings: Settings) -> Iterator[tuple[Verdict, str]]:
    """Whether a topic takes what the producer sends at once, a long message or several."""
    most = (found.config or {}).get("max.message.bytes")
    client = producer_config(settings)
    longest = int(client["message.max.bytes"])
    if kind != "dead_letters":
        longest = min(longest, int(client.get("batch.size", longest)))
    if most is not None and int(most) < longest:
        text = f"max.message.bytes {most}, but up to {longest} are sent at once: a longer message stops the flow"
        reach = reach_of(settings.bootstrap_servers, settings.security_protocol)
        advice = alter_topic(reach, name, {"max.message.bytes": str(longest)})
        yield Verdict.WARNING, f"{text}; alter it with `{advice}`"


def _cost(kind: str, name: str, found: TopicFacts, settings: Settings, memory: int) -> Iterator[tuple[Verdict, str]]:
    """Whether a batch of a topic that others write may unfold to more memory than there is."""
    most = int((found.config or {}).get("max.message.bytes") or 0)
    cost = most * UNFOLDS
    if cost <= memory:
        return
    text = (
        f"max.message.bytes {most}: a batch in gzip may need {cost >> 20} MiB, and this process may have "
        f"{memory >> 20}; it would be ended, and step over the batch at its next start. Give it more memory"
    )
    bounded = memory // UNFOLDS
    if bounded >= most_bytes(kind, settings) + HEADERS_BYTES:
        reach = reach_of(settings.bootstrap_servers, settings.security_protocol)
        alter = alter_topic(reach, name, {"max.message.bytes": str(bounded)})
        text += (
            f", or have producers send at most {bounded} bytes at once (batch.size), and then alter it with `{alter}`"
        )
    yield Verdict.WARNING, text


def _partners(clicks: int, name: str, candidates: int) -> Iterator[tuple[Verdict, str]]:
    if clicks and clicks != candidates:
        text = f"{counted(candidates, 'partition')}, but {name} has {clicks}: give both the same number, or an item's "
        yield Verdict.PROBLEM, f"{text}messages would not meet"
