"""Access lists: what ``ralm run`` and ``ralm topics`` say when each right is missing.

Needs a broker with an authorizer that knows the users admin (password admin-secret, allowed everything) and ralm
(ralm-secret, allowed nothing) by SASL/PLAIN without TLS; ``RALM_TEST_ACL_SERVERS`` names it.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

SERVERS = os.environ.get("RALM_TEST_ACL_SERVERS", "")
pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not SERVERS, reason="no broker with access lists: RALM_TEST_ACL_SERVERS names none"),
]
LOGIN = {"bootstrap_servers": SERVERS, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"}
FLOW = {
    "clicks": ("READ",),
    "candidates": ("READ",),
    "requests": ("READ",),
    "centroids": ("READ", "WRITE"),
    "scores": ("WRITE",),
    "dead-letters": ("WRITE",),
}
"""What docs/security.md says that look-alike needs, beside Read on the group."""
TOPICS = dict.fromkeys(FLOW, ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS"))
"""What it says that ``ralm topics`` needs."""


@pytest.fixture
def admin() -> AdminClient:
    """The one who may do everything."""
    user = {"sasl.username": "admin", "sasl.password": "admin-secret", "sasl.mechanism": "PLAIN"}
    return AdminClient({"bootstrap.servers": SERVERS, "security.protocol": "SASL_PLAINTEXT", **user})


@pytest.fixture
def prefix() -> str:
    """A prefix of topics that nobody else has, and the group's name."""
    return f"t{uuid4().hex[:8]}."


def _binding(kind: ResourceType, name: str, operation: str) -> AclBinding:
    right = (AclOperation[operation], AclPermissionType.ALLOW)
    return AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ralm", "*", *right)


@pytest.fixture
def allow(admin: AdminClient, prefix: str) -> Iterator[Callable[..., None]]:
    """Gives ralm rights on topics, by kind, and on the group; takes them away at the end."""

    def give(rights: dict[str, tuple[str, ...]], group: tuple[str, ...] = ("READ",)) -> None:
        topics = ((ResourceType.TOPIC, prefix + kind, each) for kind, given in rights.items() for each in given)
        bindings = [_binding(*right) for right in topics] + [
            _binding(ResourceType.GROUP, prefix, each) for each in group
        ]
        for future in admin.create_acls(bindings).values() if bindings else ():
            future.result(timeout=15)

    yield give
    everything = (AclOperation.ANY, AclPermissionType.ANY)
    ours = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, "User:ralm", None, *everything)
    for future in admin.delete_acls([ours]).values():
        future.result(timeout=15)


@pytest.fixture
def as_user(ralm: Any, prefix: str) -> Callable[[str], Any]:
    """The console script as a user."""
    return lambda user: ralm(
        **LOGIN, sasl_username=user, sasl_password=f"{user}-secret", topic_prefix=prefix, group_id=prefix
    )


@pytest.fixture
def topics(as_user: Any) -> None:
    """All topics, made by admin."""
    code, said = as_user("admin")("topics")
    assert code == 0, said


@pytest.mark.usefixtures("topics")
def test_the_rights_of_the_documents_are_enough_and_all_of_them_are_seen(as_user: Any, allow: Any, prefix: str) -> None:
    allow(FLOW)
    code, said = as_user("ralm")("run", "look-alike", "--check")
    assert code == 0, said
    assert f"\nok         rights: Read on {prefix}clicks, " in said
    assert said.count("unchecked  topic ") == 6, "it may not see their settings"
    allow(dict.fromkeys(FLOW, ("DESCRIBE_CONFIGS",)))
    code, said = as_user("ralm")("run", "look-alike", "--check")
    assert code == 0
    assert "before the start: 12 ok\n" in said


@pytest.mark.usefixtures("topics")
@pytest.mark.parametrize(
    ("kind", "rights", "words"),
    [
        ("candidates", (), "topic {}candidates: hidden from this user, if it exists"),
        ("clicks", (), "give the user Read on it"),
        ("scores", (), "give the user Write on it"),
        ("clicks", ("DESCRIBE",), "rights: missing: Read on {}clicks."),
        ("candidates", ("DESCRIBE",), "rights: missing: Read on {}candidates."),
        ("centroids", ("READ",), "rights: missing: Write on {}centroids."),
        ("dead-letters", ("DESCRIBE",), "rights: missing: Write on {}dead-letters."),
    ],
)
def test_each_missing_right_is_refused_and_named(
    kind: str, rights: tuple[str, ...], words: str, as_user: Any, allow: Any, prefix: str
) -> None:
    allow({**FLOW, kind: rights})
    code, said = as_user("ralm")("run", "look-alike")
    assert code == 2, said
    assert words.format(prefix) in said
    assert "panic" not in said


@pytest.mark.usefixtures("topics")
def test_a_missing_right_to_the_group_is_refused(as_user: Any, allow: Any, prefix: str) -> None:
    allow(FLOW, group=())
    code, said = as_user("ralm")("run", "scores")
    assert code == 2, said
    assert f"rights: missing: Read on the group {prefix}." in said


def test_the_rights_that_topics_needs_work_the_first_time_and_each_later_one(as_user: Any, allow: Any) -> None:
    allow(TOPICS, group=())
    first, again = as_user("ralm")("topics"), as_user("ralm")("topics")
    assert (first[0], first[1].count("made")) == (0, 6), first[1]
    assert (again[0], again[1].count("as planned")) == (0, 6), again[1]


def test_topics_without_describe_makes_them_and_says_later_that_it_cannot_compare(as_user: Any, allow: Any) -> None:
    allow(dict.fromkeys(FLOW, ("CREATE", "DESCRIBE_CONFIGS")), group=())
    first, again = as_user("ralm")("topics"), as_user("ralm")("topics")
    assert (first[0], first[1].count("made")) == (0, 6), first[1]
    assert again[0] == 1
    assert again[1].count("unchecked") == 6
    assert "Describe" in again[1]


@pytest.mark.usefixtures("topics")
def test_topics_without_describe_configs_compares_what_it_sees(as_user: Any, allow: Any) -> None:
    allow(dict.fromkeys(FLOW, ("CREATE", "DESCRIBE")), group=())
    code, said = as_user("ralm")("topics")
    assert code == 1
    assert said.count("DescribeConfigs") == 6


def test_topics_without_create_names_the_right(as_user: Any, allow: Any) -> None:
    allow(dict.fromkeys(FLOW, ("DESCRIBE", "DESCRIBE_CONFIGS")), group=())
    code, said = as_user("ralm")("topics")
    assert code == 1
    assert "needs the right Create" in said
