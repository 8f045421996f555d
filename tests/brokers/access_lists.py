"""A broker that asks who comes (SASL/PLAIN) and lets him do only what its access lists say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.waiting import wait_until

ADMIN = "admin"
"""May do everything."""
_ANSWER_S = 60.0
_TRY_S = 3.0

# Later lines replace earlier ones of the same name. Brokers talk to each other as the admin; the controller, which asks
# nobody who he is, may do everything.
_PROPERTIES = """\
listener.security.protocol.map=CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required {users};
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{admin};User:ANONYMOUS
allow.everyone.if.no.acl.found=false
"""


@dataclass(frozen=True)
class AccessLists:
    """Who may come: each user's password by his name; the admin has one of his own.

    Who is not the admin may do nothing until ``allow`` has let him.
    """

    users: Mapping[str, str]

    def password(self, user: str) -> str:
        """A user's password."""
        return f"{ADMIN}-secret" if user == ADMIN else self.users[user]

    def properties(self) -> str:
        """The broker's settings."""
        users = {ADMIN: self.password(ADMIN), **self.users}
        named = [f'username="{ADMIN}"', f'password="{self.password(ADMIN)}"']
        named += [f'user_{name}="{password}"' for name, password in users.items()]
        return _PROPERTIES.format(users=" ".join(named), admin=ADMIN)

    def login(self, user: str) -> dict[str, str]:
        """A client's settings to come as a user."""
        return {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": user,
            "sasl.password": self.password(user),
        }


@dataclass(frozen=True)
class Right:
    """A right to do something to a topic or a group.

    Attributes:
        operation: ``READ``, ``WRITE``, ``DESCRIBE``, ...
        name: of the topic or group.
        kind: ``TOPIC`` or ``GROUP``.
    """

    operation: str
    name: str
    kind: str = "TOPIC"


class Porter:
    """Gives users rights, and takes them away, as the admin.

    Args:
        servers: the broker's address.
        doors: its users.
    """

    def __init__(self, servers: str, doors: AccessLists) -> None:
        quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda _: None}
        self._admin = AdminClient({"bootstrap.servers": servers, **doors.login(ADMIN), **quiet})

    def settle(self) -> None:
        """Wait until the broker speaks of groups: it makes its topic for them when somebody first asks."""
        wait_until(self._knows_groups, _ANSWER_S)

    def _knows_groups(self) -> bool:
        try:
            answers = self._admin.describe_consumer_groups(["nobody"], request_timeout=_TRY_S)
            answers["nobody"].result(timeout=_TRY_S + 1.0)
        except TimeoutError:
            return False
        except KafkaException as error:
            return bool(error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND)
        return True

    def allow(self, user: str, *rights: Right) -> None:
        """Give a user rights; the broker goes by them once this returns."""
        bindings = [_binding(user, right) for right in rights]
        for future in self._admin.create_acls(bindings).values() if bindings else ():
            future.result(timeout=_ANSWER_S)
        wait_until(lambda: set(rights) <= self._rights(user), _ANSWER_S)

    def forbid(self, user: str, *rights: Right) -> None:
        """Take rights away that a user was given; all of them where none is named."""
        if rights:
            filters = [_filter(user, ResourceType[r.kind], r.name, AclOperation[r.operation]) for r in rights]
        else:
            filters = [_filter(user, ResourceType.ANY, None, AclOperation.ANY)]
        for future in self._admin.delete_acls(filters).values():
            future.result(timeout=_ANSWER_S)
        wait_until(lambda: not self._rights(user) & set(rights or self._rights(user)), _ANSWER_S)

    def _rights(self, user: str) -> set[Right]:
        """What the broker itself has heard of: it learns of a change a moment after the controller has taken it."""
        everything = _filter(user, ResourceType.ANY, None, AclOperation.ANY)
        found = self._admin.describe_acls(everything).result(timeout=_ANSWER_S)
        return {Right(each.operation.name, each.name, each.restype.name) for each in found}


def _binding(user: str, right: Right) -> AclBinding:
    what = (ResourceType[right.kind], right.name, ResourcePatternType.LITERAL)
    return AclBinding(*what, f"User:{user}", "*", AclOperation[right.operation], AclPermissionType.ALLOW)


def _filter(user: str, kind: ResourceType, name: str | None, operation: AclOperation) -> AclBindingFilter:
    return AclBindingFilter(kind, name, ResourcePatternType.ANY, f"User:{user}", None, operation, AclPermissionType.ANY)
