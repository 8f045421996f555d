"""The settings: one table for flags, environment variables and TOML keys.

A field ``state_dir`` is the flag ``--state-dir``, the variable ``RALM_STATE_DIR`` and the TOML key ``state_dir``.
``python -m flows.settings`` prints the table as Markdown.
"""

import re
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic.fields import FieldInfo

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")


def milliseconds(value: Any) -> int:
    """Read a duration: ``250ms``, ``5s``, ``5m``, ``1h``, ``7d``, or seconds as a bare number.

    >>> milliseconds("5m"), milliseconds("0.5s"), milliseconds(2)
    (300000, 500, 2000)

    Raises:
        ValueError: when it is none.
    """
    match = _DURATION.fullmatch(str(value).strip())
    if match is None:
        msg = "a duration is a number with ms, s, m, h or d after it, such as 5m"
        raise ValueError(msg)
    return round(float(match[1]) * _UNITS[match[2] or "s"])


def duration_text(value: int) -> str:
    """Write a duration of so many ms as ``milliseconds`` reads it.

    >>> duration_text(300000), duration_text(1500), duration_text(0)
    ('5m', '1500ms', '0s')
    """
    for unit in ("d", "h", "m", "s"):
        if value % _UNITS[unit] == 0 and (value or unit == "s"):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value}ms"


class _DurationMark:
    """Marks a field as a duration, for whoever writes its value."""


Duration = Annotated[int, BeforeValidator(milliseconds), _DurationMark()]
Ratio = Annotated[float, Field(ge=0, le=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


def _setting(group: str, default: Any, text: str) -> Any:
    shown = milliseconds(default) if isinstance(default, str) and _DURATION.fullmatch(default) else default
    return Field(shown, description=text, json_schema_extra={"group": group})


class Settings(BaseModel):
    """Every setting. Durations are int milliseconds here."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: str = _setting("kafka", "127.0.0.1:9092", "brokers to ask first, host:port, comma separated")
    topic_prefix: str = _setting("kafka", "", "put before every topic's name")
    topic_clicks: str = _setting("kafka", "clicks", "topic of clicks, keyed by item")
    topic_requests: str = _setting("kafka", "requests", "topic of requests, keyed by user")
    topic_centroids: str = _setting("kafka", "centroids", "topic of centroids, compacted")
    topic_scores: str = _setting("kafka", "scores", "topic of answers, keyed by user")
    topic_dead_letters: str = _setting("kafka", "dead-letters", "topic of what could not be read")
    group_id: str = _setting("kafka", "ralm", "group to which positions are committed, for lag tools only")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = _setting(
        "kafka", "PLAINTEXT", "how to speak with the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = _setting("kafka", "PLAIN", "SASL mechanism")
    sasl_username: str = _setting("kafka", "", "SASL user")
    sasl_password: SecretStr = _setting("kafka", SecretStr(""), "SASL password")
    ssl_ca_location: str = _setting("kafka", "", "file with the certificates of the authority; empty = the system's")
    ssl_certificate_location: str = _setting("kafka", "", "file with our certificate, where brokers ask for one")
    ssl_key_location: str = _setting("kafka", "", "file with our private key")
    ssl_key_password: SecretStr = _setting("kafka", SecretStr(""), "password of our private key")
    kafka_options: tuple[str, ...] = _setting("kafka", (), "NAME=VALUE handed to librdkafka as it is; repeatable")
    delivery_timeout: Duration = _setting("kafka", "60s", "a message not delivered by then stops the flow")

    partitions: Positive = _setting("topics", 4, "partitions of a new topic")
    replication_factor: Positive = _setting("topics", 1, "copies of a new topic")
    retention: Duration = _setting("topics", "7d", "how long clicks, requests and scores are kept")
    dead_letters_retention: Duration = _setting("topics", "30d", "how long dead letters are kept")

    start_from: Literal["earliest", "latest"] = _setting("source", "earliest", "where a very first start begins")
    poll_batch: Positive = _setting("source", 10_000, "most clicks taken at a poll")
    queue_kbytes: Positive = _setting("source", 16_384, "read-ahead of each partition, KiB")
    max_message_bytes: Positive = _setting("source", 65_536, "a longer message is a dead letter")
    max_future: Duration = _setting("source", "5m", "a click further ahead of the clock is a dead letter")
    dead_letter_max_bytes: Positive = _setting("source", 900_000, "dead letters are cut to this")

    state_dir: str = _setting("state", ".ralm/state", "folder of the stores and the recovery data; one owner")
    snapshot_interval: Duration = _setting("state", "2s", "length of an epoch: what a crash makes again")
    recovery_partitions: Positive = _setting("state", 8, "files of recovery data; at least the most processes ever")

    max_seeds: Positive = _setting("seeds", 3_000_000, "N, the most seeds of an item")
    item_ttl: Duration = _setting("seeds", "24h", "an item is given up so long after its last click; 0 = never")

    window: Duration = _setting("windows", "5m", "length of a tumbling window of event time")
    allowed_lateness: Duration = _setting("windows", "10s", "how far the watermark stays behind the newest click")
    idle_after: Duration = _setting("windows", "5s", "a partition at its end so long moves on with the wall clock")

    clusters: Positive = _setting("clustering", 20, "k, the most centroids of an item")
    min_seeds: Positive = _setting("clustering", 100, "with fewer seeds that have a vector an item stays cold")
    cluster_sample: Positive = _setting("clustering", 50_000, "most seeds looked at in a clustering")
    cluster_workers: Positive = _setting("clustering", 1, "threads that cluster")
    rng_seed: Natural = _setting("clustering", 0, "fixes every random choice")

    top_k: Positive = _setting("scoring", 100, "scores of an answer when the request does not say")
    max_top_k: Positive = _setting("scoring", 1000, "most scores of an answer")
    max_candidates: Positive = _setting("scoring", 10_000, "a request with more is a dead letter")
    score_batch: Positive = _setting("scoring", 256, "most requests scored in one product")
    stale_after: Duration = _setting("scoring", "1h", "centroids older than the request by more are named stale")

    bundle: str = _setting("bundle", ".ralm/bundle", "folder of the trained bundle")
    metrics_host: str = _setting("metrics", "127.0.0.1", "address of /metrics, /-/healthy and /-/ready")
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = _setting(
        "metrics", 9464, "its port; process i listens on this + i; 0 = any"
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting("logs", "info", "least level that is logged")
    log_format: Literal["text", "json"] = _setting("logs", "text", "for people or for machines")

    workers: Positive = _setting("process", 1, "threads of each process (processes scale, threads hardly)")
    process_id: Natural = _setting("process", 0, "number of this process in the cluster")
    addresses: str = _setting("process", "", "host:port of every process, comma separated; empty = one process")

    data_dir: str = _setting("data", ".ralm/data", "folder of the data sets")

    dim: Positive = _setting("train", 128, "length of user embedding and look-alike vector")
    field_dim: Positive = _setting("train", 32, "length of a field's embedding")
    attention_size: Positive = _setting("train", 32, "size of the attention units (merge and global)")
    history: Positive = _setting("train", 50, "past clicks of a user that are features")
    epochs_user: Positive = _setting("train", 10, "epochs of the user tower")
    epochs_lookalike: Positive = _setting("train", 10, "epochs of the look-alike towers")
    batch_size: Positive = _setting("train", 256, "samples of a step")
    learning_rate: Annotated[float, Field(gt=0)] = _setting("train", 0.001, "Adam's learning rate")
    negatives: Positive = _setting("train", 10, "negatives of a positive")
    max_positives: Positive = _setting("train", 50, "most positives of a user")
    train_clusters: Positive = _setting("train", 20, "k during training")
    merge: Literal["attention", "concat"] = _setting("train", "attention", "how fields are merged")
    alpha: Ratio = _setting("train", 0.3, "weight of the global part of a score")
    beta: Ratio = _setting("train", 0.7, "weight of the local part of a score")
    activation: Literal["relu", "prelu"] = _setting("train", "relu", "of the shared layer")
    dropout: Ratio = _setting("train", 0.0, "of the shared layer")
    validation_share: Ratio = _setting("train", 0.1, "share of the clicks that is held out")

    @model_validator(mode="after")
    def _together(self) -> Self:
        """What must hold between settings."""
        secured = self.security_protocol.startswith("SASL")
        addresses = [part for part in self.addresses.split(",") if part.strip()]
        rules = [
            (self.top_k > self.max_top_k, "top_k must not be above max_top_k"),
            (self.window < 1, "window must be above 0"),
            (self.snapshot_interval < 1, "snapshot_interval must be above 0"),
            (self.delivery_timeout < 1, "delivery_timeout must be above 0"),
            (self.min_seeds > self.max_seeds, "min_seeds must not be above max_seeds"),
            (secured and not self.sasl_username, f"{self.security_protocol} needs sasl_username and sasl_password"),
            (self.process_id >= max(1, len(addresses)), "process_id must be below the number of addresses"),
            (any("=" not in option for option in self.kafka_options), "kafka_options are of the form NAME=VALUE"),
        ]
        broken = [text for wrong, text in rules if wrong]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    def shown(self, groups: tuple[str, ...] | None = None) -> str:
        """The settings of some groups (all by default) as ``name = value`` lines; secrets are masked."""
        names = [n for n, field in Settings.model_fields.items() if groups is None or group_of(field) in groups]
        return "\n".join(f"{name} = {shown_value(name, getattr(self, name))}" for name in names)


def group_of(field: FieldInfo) -> str:
    """The group of a field."""
    extra = field.json_schema_extra
    return str(extra["group"]) if isinstance(extra, dict) else ""


def is_duration(field: FieldInfo) -> bool:
    """Whether a field is a duration."""
    return any(isinstance(mark, _DurationMark) for mark in field.metadata)


def shown_value(name: str, value: Any) -> str:
    """A value as a person would write it; secrets are masked."""
    if isinstance(value, SecretStr):
        return "********" if value.get_secret_value() else '""'
    if is_duration(Settings.model_fields[name]):
        return duration_text(value)
    if isinstance(value, tuple):
        return ",".join(part.partition("=")[0] + "=********" for part in value) or "none"
    return str(value) if value != "" else '""'


def settings_table() -> str:
    """The table of settings as Markdown, for the README."""
    rows = ["| setting | default | group | what |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = shown_value(name, field.default)
        rows.append(f"| `{name}` | `{default}` | {group_of(field)} | {field.description} |")
    return "\n".join(rows)


def nearest(name: str, names: list[str]) -> str:
    """``; did you mean X?`` for a name that is not known, or nothing."""
    close = get_close_matches(name, names, 1)
    return f"; did you mean {close[0]}?" if close else ""


if __name__ == "__main__":
    print(settings_table())  # noqa: T201
