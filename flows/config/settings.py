"""The settings: one table for flags, environment variables and TOML keys.

A field ``state_dir`` is the flag ``--state-dir``, the variable ``RALM_STATE_DIR`` and the TOML key ``state_dir``.
``python -m flows.config.settings --markdown`` prints the table as it stands in the README.
"""

import sys
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from flows.config.fields import (
    Duration,
    DurationMark,
    PositiveDuration,
    duration,
    group_of,
    holds_secret,
    is_masked,
    milliseconds,
    setting,
    shown_value,
)
from flows.config.reference import markdown
from flows.config.rules import broken_rules


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        msg = "true and false are no numbers"
        raise ValueError(msg)
    return value


_Number = BeforeValidator(_no_truth)
Ratio = Annotated[float, _Number, Field(ge=0, le=1)]
Share = Annotated[float, _Number, Field(ge=0, lt=1)]
Natural = Annotated[int, _Number, Field(ge=0)]
Positive = Annotated[int, _Number, Field(ge=1)]
Port = Annotated[int, _Number, Field(ge=0, le=65_535)]
Kbytes = Annotated[int, _Number, Field(ge=1, le=2_097_151)]
MessageBytes = Annotated[int, _Number, Field(ge=1, le=100_000_000)]
ShortDuration = Annotated[int, BeforeValidator(milliseconds), Field(ge=1000, le=86_400_000), DurationMark()]


class Settings(BaseModel):
    """Every setting. Durations are int milliseconds here."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    bootstrap_servers: str = setting("kafka", "127.0.0.1:9092", "brokers to ask first, host:port, comma separated")
    topic_prefix: str = setting("kafka", "", "put before every topic's name")
    topic_clicks: str = setting("kafka", "clicks", "topic of clicks, keyed by item")
    topic_candidates: str = setting("kafka", "candidates", "topic of candidates, keyed by item, compacted")
    topic_requests: str = setting("kafka", "requests", "topic of requests, keyed by user")
    topic_centroids: str = setting("kafka", "centroids", "topic of centroids, compacted")
    topic_scores: str = setting("kafka", "scores", "topic of answers, keyed by user")
    topic_dead_letters: str = setting("kafka", "dead-letters", "topic of what could not be read")
    group_id: str = setting("kafka", "ralm", "group to which positions are committed, for lag tools only")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "kafka", "PLAINTEXT", "how to speak with the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = setting(
        "kafka", "PLAIN", "SASL mechanism; OAUTHBEARER takes its details from kafka_options"
    )
    sasl_username: str = setting("kafka", "", "SASL user")
    sasl_password: SecretStr = setting("kafka", SecretStr(""), "SASL password; a flag can be seen in the process list")
    ssl_ca_location: str = setting("kafka", "", "file with the certificates of the authority; empty = the system's")
    ssl_certificate_location: str = setting("kafka", "", "file with our certificate, where brokers ask for one")
    ssl_key_location: str = setting("kafka", "", "file with our private key")
    ssl_key_password: SecretStr = setting("kafka", SecretStr(""), "password of our private key")
    kafka_options: tuple[str, ...] = setting("kafka", (), "NAME=VALUE handed to librdkafka as it is; repeatable")
    delivery_timeout: ShortDuration = duration("kafka", "60s", "a message not delivered by then stops the flow")

    partitions: Positive = setting("topics", 4, "partitions of a new topic")
    replication_factor: Positive = setting("topics", 1, "copies of a new topic")
    retention: PositiveDuration = duration("topics", "7d", "how long clicks, requests and scores are kept")
    dead_letters_retention: PositiveDuration = duration("topics", "30d", "how long dead letters are kept")

    start_from: Literal["earliest", "latest"] = setting("source", "earliest", "where a very first start begins")
    partitioner: Literal["auto", "crc32", "murmur2"] = setting(
        "source", "auto", "how producers of clicks choose an item's partition; auto = as the items lie so far"
    )
    poll_batch: Positive = setting("source", 10_000, "most clicks taken at a poll")
    queue_kbytes: Kbytes = setting("source", 16_384, "read-ahead of each partition, KiB")
    max_message_bytes: Positive = setting("source", 65_536, "a longer message is a dead letter")
    max_future: Duration = duration("source", "5m", "a click further ahead of the clock is a dead letter")
    dead_letter_max_bytes: MessageBytes = setting("source", 900_000, "dead letters are cut to this")

    state_dir: str = setting("state", ".ralm/state", "folder of the stores and the recovery data; one owner")
    snapshot_interval: PositiveDuration = duration("state", "2s", "length of an epoch: what a crash makes again")
    recovery_partitions: Positive = setting("state", 8, "files of recovery data; at least the most processes ever")

    rebuild: Literal["complete", "kept"] = setting(
        "state",
        "complete",
        "a missing store is made from the topic if that has it all, or of what it has",
    )

    max_seeds: Positive = setting("seeds", 3_000_000, "N, the most seeds of an item")
    item_ttl: Duration = duration("seeds", "24h", "an item is given up so long after its last click; 0 = never")

    max_items: Positive = setting("seeds", 1_000_000, "most items of a partition; the longest idle are given up")
    candidates: Literal["clicked", "listed"] = setting(
        "seeds", "clicked", "candidates are all clicked items, or those that the topic of candidates lists"
    )

    window: PositiveDuration = duration("windows", "5m", "length of a tumbling window of event time")
    allowed_lateness: Duration = duration("windows", "10s", "how far the watermark stays behind the newest click")
    idle_after: Duration = duration("windows", "5s", "a partition at its end so long moves on with the wall clock")

    clusters: Positive = setting("clustering", 20, "k, the most centroids of an item")
    min_seeds: Positive = setting("clustering", 30, "with fewer seeds that have a vector an item stays cold")
    cluster_sample: Positive = setting("clustering", 50_000, "most seeds looked at in a clustering")
    cluster_workers: Positive = setting("clustering", 1, "threads that cluster")
    rng_seed: Natural = setting("clustering", 0, "fixes every random choice")

    top_k: Positive = setting("scoring", 100, "scores of an answer when the request does not say")
    max_top_k: Positive = setting("scoring", 1000, "most scores of an answer")
    max_candidates: Positive = setting("scoring", 10_000, "a request with more is a dead letter")
    score_batch: Positive = setting("scoring", 256, "most requests scored in one product")
    request_timeout: Duration = duration("scoring", "5m", "requests that waited longer are answered expired; 0 = never")
    stale_after: Duration = duration("scoring", "1h", "centroids older than the request by more are named stale")

    bundle: str = setting("bundle", ".ralm/bundle", "folder of the trained bundle")
    metrics_host: str = setting("metrics", "127.0.0.1", "address of /metrics, /-/healthy and /-/ready")
    metrics_port: Port = setting("metrics", 9464, "its port; process i listens on this + i; 0 = any")
    log_level: Literal["debug", "info", "warning", "error"] = setting("logs", "info", "least level that is logged")
    log_format: Literal["text", "json"] = setting("logs", "text", "for people or for machines")

    workers: Positive = setting("process", 1, "threads of each process (processes scale, threads hardly)")
    process_id: Natural = setting("process", 0, "number of this process in the cluster")
    addresses: str = setting("process", "", "host:port of every process, comma separated; empty = one process")

    engine_api: bool = setting("process", False, "the engine's own pages on port 3030 + process_id of EVERY address")

    data_dir: str = setting("data", ".ralm/data", "folder of the data sets")

    dim: Positive = setting("train", 128, "length of user embedding and look-alike vector")
    field_dim: Positive = setting("train", 32, "length of a field's embedding")
    attention_size: Positive = setting("train", 32, "size of the attention units (merge and global)")
    history: Positive = setting("train", 50, "past clicks of a user that are features")
    history_dropout: Ratio = setting("train", 0.3, "share of the positives that are seen without their past clicks")
    far: Ratio = setting("train", 1.0, "share of the positives that are seen from a random earlier click")
    merge: Literal["attention", "concat"] = setting("train", "attention", "how fields are merged")
    epochs_user: Positive = setting("train", 30, "most epochs of the user tower")
    epochs_lookalike: Positive = setting("train", 6, "most epochs of the look-alike towers")
    patience: Positive = setting("train", 2, "epochs without a better validation loss before a stage ends")
    validation: Share = setting("train", 0.05, "share of each user's learned clicks that validates a stage; 0 = none")
    batch_size: Positive = setting("train", 256, "positives of a step")
    learning_rate: Annotated[float, _Number, Field(gt=0)] = setting("train", 0.001, "Adam's learning rate")
    max_positives: Positive = setting("train", 50, "most positives of a user in an epoch of the user tower")
    lookalike_positives: Positive = setting("train", 20, "the same for the look-alike towers")
    negatives: Positive = setting("train", 500, "negatives of a positive, or of a step that shares them")
    share_negatives: bool = setting("train", True, "all positives of a step have the same negatives")
    logq: bool = setting("train", True, "correct logits by how probable a draw is")
    train_clusters: Positive = setting("train", 20, "k during training")
    train_seeds: Positive = setting("train", 100, "most seeds of an item in an epoch")
    seed_dropout: Share = setting("train", 0.0, "share of the seeds that a step leaves out")
    recluster: Natural = setting("train", 1, "times an epoch that seeds are clustered; 0 = once, before the first")
    alpha: Ratio = setting("train", 0.3, "weight of the global part of a score")
    beta: Ratio = setting("train", 0.7, "weight of the local part of a score")
    local_temperature: Annotated[float, _Number, Field(ge=0.01)] = setting("train", 1.0, "of the local attention")
    activation: Literal["relu", "prelu", "none"] = setting("train", "relu", "of the shared layer")
    dropout: Share = setting("train", 0.0, "of the shared layer")
    normalise: bool = setting("train", False, "bring user embeddings to length 1 before the shared layer")
    loss: Literal["softmax", "learned", "plain"] = setting("train", "softmax", "of the look-alike towers")
    among_users: Ratio = setting("train", 0.5, "share of the softmax that is over users, not items")
    prior: bool = setting("train", True, "learn a weight for how many seeds an item has")
    validation_share: Share = setting("train", 0.1, "share of the clicks that is held out")

    split: Literal["auto", "time", "user", "items"] = setting(
        "evaluate", "auto", "what is held out: later clicks (of all, or of each user), or items; auto = time if known"
    )
    cut: Annotated[float, _Number, Field(gt=0, lt=1)] = setting("evaluate", 0.9, "share that is learned from")
    floor_clicks: Positive = setting("evaluate", 5, "users with fewer clicks that are learned from are not judged")
    floor_seeds: Positive = setting("evaluate", 10, "items with fewer seeds are not judged")
    models: str = setting("evaluate", "all", "models and @groups, comma separated, or all")
    catalogue: str = setting("evaluate", "ralm.models.catalogue", "module whose CATALOGUE names the models")
    eval_seeds: str = setting("evaluate", "0,1,2", "a run of each model for each of these rng_seeds")
    results: str = setting("evaluate", "docs/results", "folder of tables and plots")
    work: str = setting("evaluate", ".ralm/evaluate", "folder of what is done already")
    processes: Natural = setting("evaluate", 0, "models that run at once, each with one thread; 0 = one a core")

    @model_validator(mode="after")
    def _together(self) -> Self:
        """What must hold between settings."""
        broken = list(broken_rules(self))
        if broken:
            kind = "together"
            raise PydanticCustomError(kind, "{text}", {"text": "; ".join(text for text, _ in broken), "broken": broken})
        return self

    def secrets(self) -> tuple[str, ...]:
        """Every secret, as it is: passwords, and those options of the Kafka client that hold one."""
        passwords = (self.sasl_password.get_secret_value(), self.ssl_key_password.get_secret_value())
        options = (option.split("=", 1) for option in self.kafka_options if "=" in option)
        return tuple(filter(None, (*passwords, *(value for name, value in options if holds_secret(name)))))

    def shown(self, groups: tuple[str, ...] | None = None) -> str:
        """The settings of some groups (all by default) as TOML; secrets are masked, in comments."""
        lines = []
        for name, field in Settings.model_fields.items():
            if groups is None or group_of(field) in groups:
                line = f"{name} = {shown_value(field, getattr(self, name))}"
                lines.append(f"# {line}" if is_masked(field) else line)
        return "\n".join(lines)


def settings_table() -> str:
    """The table of settings as Markdown, for the README."""
    return markdown(Settings)


if __name__ == "__main__":
    if sys.argv[1:] != ["--markdown"]:
        sys.exit("usage: python -m flows.config.settings --markdown")
    print(settings_table())  # noqa: T201
