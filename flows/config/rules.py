"""What must hold between settings, and the form of addresses, topic names and client options."""

import re
from collections import Counter
from collections.abc import Iterator

from pydantic import SecretStr

from flows.config.fields import split_list
from flows.config.groups import AllSettings

_ADDRESS = re.compile(r"(\w+://)?(\[[0-9a-fA-F:.]+\]|[^\s:/,\[\]]+)(:\d{1,5})?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NEVER = re.compile(r"[\x00\ud800-\udfff]")
_HOST = re.compile(r"\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]*(?:%\w+)?\]?|(?:[\w-]{1,63}\.){0,20}[\w-]{1,63}\.?", re.ASCII)
_BRACKETS = "; an address of IPv6 stands in brackets, [::1]:9092"
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
TOPICS = ("clicks", "candidates", "requests", "centroids", "scores", "dead_letters")
"""The topics of the contract; the setting ``topic_X`` names X."""
_OWN_SETTING = {
    "bootstrap.servers": "bootstrap_servers",
    "metadata.broker.list": "bootstrap_servers",
    "group.id": "group_id",
    "security.protocol": "security_protocol",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_username",
    "sasl.password": "sasl_password",
    "ssl.ca.location": "ssl_ca_location",
    "ssl.certificate.location": "ssl_certificate_location",
    "ssl.key.location": "ssl_key_location",
    "ssl.key.password": "ssl_key_password",
    "delivery.timeout.ms": "delivery_timeout",
    "message.timeout.ms": "delivery_timeout",
    "queued.max.messages.kbytes": "queue_kbytes",
}
_GUARANTEES = {
    "acks",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "message.max.bytes",
    "request.required.acks",
    "transactional.id",
}

_QUEUE_KBYTES = "queue.buffering.max.kbytes"
HEADERS_BYTES = 100_000
"""Room for key and headers in a message, over the value."""
LEAST_UNUSABLE = 10
"""Fewer unusable messages never stop a topic, so that nobody can stop it with one."""
ENGINE_API_PORT = 3030
"""Port of the engine's own pages; process i has this + i."""
Broken = tuple[str, tuple[str, ...]]
"""What is wrong, and the names of the settings that it is about."""


def broken_rules(settings: AllSettings) -> Iterator[Broken]:
    """Yield what does not hold between the settings."""
    yield from _texts(settings)
    yield from _limits(settings)
    yield from _times(settings)
    yield from _security(settings)
    yield from _topics(settings)
    yield from _process(settings)
    yield from _ports(settings)
    yield from _kafka_options(settings)


def _texts(s: AllSettings) -> Iterator[Broken]:
    """What no library could take: it would end the process, or tell of something else."""
    for name in type(s).model_fields:
        value = getattr(s, name)
        secret = isinstance(value, SecretStr)
        for text in value if isinstance(value, tuple) else (value.get_secret_value() if secret else value,):
            if not isinstance(text, str):
                continue
            controls = _NEVER if secret or isinstance(value, tuple) else _CONTROL  # certificates have lines
            if controls.search(text):
                yield f"{name} must be UTF-8 without control characters", (name,)
    for name in ("state_dir", "bundle", "data_dir", "eval_results", "eval_work"):
        if not getattr(s, name).strip():
            yield f"{name} must name a directory; . is the working folder", (name,)


def _limits(s: AllSettings) -> Iterator[Broken]:
    if s.top_k > s.max_top_k:
        yield "top_k must not be above max_top_k", ("top_k", "max_top_k")
    if s.min_seeds > s.max_seeds:
        yield "min_seeds must not be above max_seeds", ("min_seeds", "max_seeds")
    if s.clusters > s.cluster_sample:
        yield "clusters must not be above cluster_sample", ("clusters", "cluster_sample")
    least = f"so few messages could stop a topic: {LEAST_UNUSABLE} or more, or 0"
    if 0 < s.dead_letter_max_ratio * s.dead_letter_min_sample < LEAST_UNUSABLE:
        text = f"dead_letter_max_ratio x dead_letter_min_sample: {least}"
        yield text, ("dead_letter_max_ratio", "dead_letter_min_sample")
    if 0 < s.dead_letter_max_run < LEAST_UNUSABLE:
        yield f"dead_letter_max_run: {least}", ("dead_letter_max_run",)
    weights = ("train_alpha", "train_beta")
    if not any(getattr(s, name) for name in weights):
        yield "train_alpha and train_beta must not both be 0", weights


def _times(s: AllSettings) -> Iterator[Broken]:
    if 0 < s.item_ttl < s.window:
        text = "item_ttl must not be below window, or 0: items would be withdrawn before they are clustered"
        yield text, ("item_ttl", "window")


def doubtful(settings: AllSettings) -> Iterator[str]:
    """Yield what is allowed between the settings, and seldom meant."""
    s = settings
    yield from _doubtful_times(s)
    if s.candidates == "listed" and s.max_listings < s.max_items:
        yield "max_listings is below max_items: items are taken down of which there is no message any more"
    if s.neighbours and not s.sketches:
        yield "neighbours is set and sketches is not: centroids that are made with these settings have no neighbours"
    if s.rebuild == "partial":
        yield "rebuild is partial, which is for one start: as long as it is, a start accepts what it would else refuse"
    if s.dead_letter_max_bytes < s.max_message_bytes:
        yield "dead_letter_max_bytes is below max_message_bytes: a long dead letter is cut, and cannot be redriven"


def _doubtful_times(s: AllSettings) -> Iterator[str]:
    if s.stale_after < s.window:
        yield "stale_after is below window: the centroids of each item become stale before a window closes"
    if s.retention < s.item_ttl:
        yield "retention is below item_ttl: a lost store cannot be rebuilt whole from the clicks topic"
    elif s.item_ttl and s.retention < s.seeds_retention:
        yield "retention is below seeds_retention: a lost store cannot be rebuilt with its oldest seeds"
    elif not (s.item_ttl and s.seeds_retention):
        name = "seeds_retention" if s.item_ttl else "item_ttl"
        yield f"{name} is 0, which keeps seeds for ever, and retention ends: a lost store needs a backup to be whole"
    if s.snapshot_interval > s.window:
        yield "snapshot_interval is above window: after a crash whole windows are clustered again"
    if 0 < s.request_timeout < s.snapshot_interval:
        yield "request_timeout is below snapshot_interval: requests that a crash repeats are answered as expired"


def _security(s: AllSettings) -> Iterator[Broken]:
    protocol = s.security_protocol
    user = ("security_protocol", "sasl_mechanism", "sasl_username", "sasl_password")
    password = bool(s.sasl_password.get_secret_value())
    if not protocol.startswith("SASL"):
        if s.sasl_username or password:
            yield f"a SASL user is given, but {protocol} would not use it: choose SASL_SSL or SASL_PLAINTEXT", user
    elif s.sasl_mechanism != "OAUTHBEARER" and not (s.sasl_username and password):
        yield f"{protocol} with {s.sasl_mechanism} needs sasl_username and sasl_password", user
    files = ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location")
    given = tuple(name for name in files if getattr(s, name))
    if given and not protocol.endswith("SSL"):
        text = f"TLS files are given, but {protocol} would not use them: choose SSL or SASL_SSL"
        yield text, ("security_protocol", *given)
    if bool(s.ssl_certificate_location) != bool(s.ssl_key_location):
        yield "a certificate and its private key go together", files[1:]


def _topics(s: AllSettings) -> Iterator[Broken]:
    names = {f"topic_{topic}": s.topic_prefix + getattr(s, f"topic_{topic}") for topic in TOPICS}
    for setting, name in names.items():
        if _TOPIC.fullmatch(name) is None or name in (".", ".."):
            about = ("topic_prefix", setting)
            yield (
                f"{name[:250]!r} is not a valid topic name: 1 to 249 letters, digits, dots, underscores and hyphens",
                about,
            )
            return
        twins = tuple(other for other, same in names.items() if same == name)
        if twins[0] == setting and len(twins) > 1:
            yield f"two kinds of messages in one topic, {name!r}: each needs its own", twins


def _process(s: AllSettings) -> Iterator[Broken]:
    servers, addresses = split_list(s.bootstrap_servers), split_list(s.addresses)
    if not servers or not all(_ADDRESS.fullmatch(part) for part in servers):
        yield f"bootstrap_servers must be host:port, several separated by commas{_BRACKETS}", ("bootstrap_servers",)
    if not s.group_id.strip():
        yield "group_id must not be empty", ("group_id",)
    if not all((match := _ADDRESS.fullmatch(part)) and match[3] for part in addresses):
        yield f"addresses must be host:port of every process, separated by commas{_BRACKETS}", ("addresses",)
    if len(set(addresses)) < len(addresses):
        yield "addresses must not name a process twice", ("addresses",)
    if s.process_id >= max(1, len(addresses)):
        yield f"process_id counts the addresses from 0, and there are {len(addresses)}", ("process_id", "addresses")
    if not _HOST.fullmatch(s.metrics_host):
        yield "metrics_host must be a name or an address; 0.0.0.0 listens on all addresses", ("metrics_host",)


def _ports(s: AllSettings) -> Iterator[Broken]:
    addresses = split_list(s.addresses)
    about = ("metrics_port", "process_id")
    port = s.metrics_port and s.metrics_port + s.process_id
    if port > 65_535:
        yield "metrics_port + process_id must not be above 65535", about
    if s.engine_api and port == ENGINE_API_PORT + s.process_id:
        yield (
            "metrics_port + process_id is the port of the engine's own pages: each needs its own",
            (*about, "engine_api"),
        )
    host = addresses[s.process_id].rpartition(":")[0] if s.process_id < len(addresses) else ""
    beside = [(each, at.rpartition(":")[2]) for each, at in enumerate(addresses) if at.rpartition(":")[0] == host]
    taken = {"metrics_port + process_id": (port, about)}
    if s.engine_api:
        taken["the port of the engine's own pages"] = (ENGINE_API_PORT + s.process_id, ("engine_api", "process_id"))
    for what, (ours, names) in taken.items():
        for number, theirs in beside:
            if ours and theirs == str(ours):
                whose = "this process" if number == s.process_id else f"process {number} on the same host"
                yield f"{what} is the port of {whose} in addresses: each needs its own", (*names, "addresses")


def _kafka_options(s: AllSettings) -> Iterator[Broken]:
    about = ("kafka_options",)
    given = Counter(option.partition("=")[0].strip() for option in s.kafka_options)
    for name in (name for name, times in given.items() if name and times > 1):
        yield f"{name} is given {given[name]} times, and only one value can count", about
    for option in s.kafka_options:
        name, equals, value = option.partition("=")
        if not equals or not name.strip():
            yield "an option must be NAME=VALUE", about
        elif name in _OWN_SETTING:
            yield f"{name} is the setting {_OWN_SETTING[name]}", about
        elif name in _GUARANTEES:
            yield f"{name} cannot be changed: the delivery guarantee depends on it", about
        elif name == _QUEUE_KBYTES and value.strip().isdecimal() and int(value) << 10 < longest_message(s):
            text = f"{name} must be at least {-(-longest_message(s) >> 10)}: a message may need it, and waits for ever"
            yield text, (*about, "dead_letter_max_bytes")


def longest_message(s: AllSettings) -> int:
    """Bytes of the longest message that a producer may send, key and headers included."""
    return max(1_000_000, s.dead_letter_max_bytes + HEADERS_BYTES)
