"""Sees that a command may do what it is about to, before it sends anything."""

from collections.abc import Collection

from flows.config.settings import Settings
from flows.kafka.errors import no_topic, rights_missing
from flows.kafka.facts import READ, WRITE, Cluster, TopicFacts
from flows.support.errors import RalmError


def require_rights(
    settings: Settings, reads: Collection[str] = (), writes: Collection[str] = (), otherwise: str = ""
) -> None:
    """See that topics are there, and that this user may read and write them; a broker may say nothing of rights.

    Args:
        settings: the settings.
        reads: the topics that will be read.
        writes: the topics that will be written.
        otherwise: what to do without the right.

    Raises:
        RalmError: when one is missing or a right is, or the broker does not answer; says which.
    """
    cluster = Cluster(settings)
    cluster.connect()
    wanted = [(READ, name) for name in reads] + [(WRITE, name) for name in writes]
    facts = cluster.topics(list(dict.fromkeys(name for _, name in wanted)))
    absent = [name for name, found in facts.items() if found.missing]
    if absent:
        raise RalmError(no_topic(settings.bootstrap_servers, absent))
    missing = [
        f"{right.capitalize()} on {name}"
        for right, name in wanted
        if facts[name].hidden or not _has(facts[name], right)
    ]
    if missing:
        raise RalmError(rights_missing(settings.bootstrap_servers, missing) + otherwise)


def _has(found: TopicFacts, right: str) -> bool:
    return found.rights is None or right in found.rights
