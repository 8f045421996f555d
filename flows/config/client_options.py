"""What may stand in an option for the Kafka client (``kafka_options``): secrets, and code.

librdkafka gets new options with each version, so a value counts as a secret unless its name or its form says that it
is none.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

_NAMED = (
    "passw",
    "passphrase",
    "pwd",
    "secret",
    "token",
    ".pem",
    "private.key",
    "apikey",
    "api.key",
    "api_key",
    "credential",
    "jaas",
    "oauthbearer.config",
)
"""In a name, however it is written: then a number is a secret too."""
_HARMLESS = {
    "broker.address.family",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.type",
    "debug",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "https.ca.location",
    "isolation.level",
    "partition.assignment.strategy",
    "partitioner",
    "queuing.strategy",
    "sasl.kerberos.keytab",
    "sasl.kerberos.service.name",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.keystore.location",
    "ssl.sigalgs.list",
}
_PLAIN = re.compile(r"[-+]?\d+(?:\.\d+)?|true|false|on|off|yes|no|t|f", re.IGNORECASE | re.ASCII)
_BETWEEN = re.compile(r"[\s,;&?]+")
_CODE = {
    "plugin.library.paths": "loads a library",
    "sasl.kerberos.kinit.cmd": "is a command that the client runs",
    "ssl.engine.location": "loads a library",
    "ssl.providers": "loads a library",
}


def secrets_in(option: str) -> Iterator[str]:
    """The secrets in NAME=VALUE: the whole value, and what may be shown of it alone.

    >>> list(secrets_in("sasl.oauthbearer.token.endpoint.url=https://me:s3cret@host/"))
    ['https://me:s3cret@host/', 'me:s3cret', 's3cret']
    >>> list(secrets_in("linger.ms=500"))
    []
    """
    name, _, value = option.partition("=")
    name = name.strip().lower()
    if not any(part in name for part in _NAMED) and (name in _HARMLESS or _PLAIN.fullmatch(value.strip())):
        return
    yield value
    for part in _BETWEEN.split(value):
        _, equals, inner = part.partition("=")
        if equals and not _PLAIN.fullmatch(inner):
            yield inner
    yield from _in_address(value)


def _in_address(value: str) -> Iterator[str]:
    """User and password in an URL, as they stand there and decoded."""
    try:
        user, at, _ = urlsplit(value).netloc.rpartition("@")
    except ValueError:
        return
    if not at:
        return
    password = user.partition(":")[2]
    yield from dict.fromkeys(part for part in (user, password, unquote(password)) if part)


def code_in(option: str) -> str:
    """What code NAME=VALUE makes the client run, for a message; empty if nothing.

    >>> code_in("plugin.library.paths=/tmp/x.so"), code_in("debug=all")
    ('plugin.library.paths loads a library', '')
    """
    name = option.partition("=")[0].strip()
    return f"{name} {_CODE[name]}" if name in _CODE else ""
