"""The settings in groups: one table for flags, environment variables and TOML keys; docs/settings.md is made from it.

A field ``state_dir`` is the flag ``--state-dir``, the variable ``RALM_STATE_DIR`` and the TOML key ``state_dir``. The
fields stand in groups. The parts of a flow take the group that they need; ``Settings`` is all groups at once, so that
it is handed to each part as it is.
"""

from dataclasses import fields
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from flows.config.fields import (
    GREATEST_COUNT,
    NO_BOOL,
    Duration,
    DurationMark,
    PositiveDuration,
    duration,
    parse_duration,
    setting,
    with_fields_of,
)
from ralm.towers.training_config import TrainingConfig

Share: TypeAlias = Annotated[float, NO_BOOL, Field(ge=0, lt=1)]
Natural: TypeAlias = Annotated[int, NO_BOOL, Field(ge=0, le=GREATEST_COUNT)]
Positive: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=GREATEST_COUNT)]
BatchSize: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=1_000_000)]
"""Messages at once: the Kafka client gives no more."""
Threads: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=1024)]
Partitions: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=100_000)]
Replicas: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=10_000)]
Port: TypeAlias = Annotated[int, NO_BOOL, Field(ge=0, le=65_535)]
Kbytes: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=2_097_151)]
MessageBytes: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=100_000_000)]
ShortDuration: TypeAlias = Annotated[
    int, BeforeValidator(parse_duration), Field(ge=1000, le=86_400_000), DurationMark()
]


MAX_CLUSTERS = 128
"""Most centroids of an item: a scorer pads items in blocks to the largest, with k x k numbers each, so that one item of
1,000 would take a GiB."""
ClusterCount: TypeAlias = Annotated[int, NO_BOOL, Field(ge=1, le=MAX_CLUSTERS)]


class SettingGroup(BaseModel):
    """Settings that belong together. Durations are given as text (or as seconds) and are int milliseconds here."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class KafkaSettings(SettingGroup):
    """How to reach Kafka, and the names of the topics."""

    bootstrap_servers: str = setting("127.0.0.1:9092", "brokers to contact first: host:port, comma separated")
    topic_prefix: str = setting("", "prefix of every topic's name")
    topic_clicks: str = setting("clicks", "clicks topic, keyed by item")
    topic_candidates: str = setting("candidates", "candidates topic, keyed by item, compacted")
    topic_requests: str = setting("requests", "requests topic, keyed by user")
    topic_centroids: str = setting("centroids", "centroids topic, keyed by model version and item, compacted")
    topic_scores: str = setting("scores", "scores topic, keyed by user")
    topic_dead_letters: str = setting("dead-letters", "dead-letter topic: messages that could not be used")
    group_id: str = setting("ralm", "consumer group of this deployment; requests resume from its offsets")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = setting(
        "PLAINTEXT", "protocol of the connections to the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = setting(
        "PLAIN", "SASL mechanism; OAUTHBEARER takes its details from kafka_options"
    )
    sasl_username: str = setting("", "SASL user name")
    sasl_password: SecretStr = setting(
        SecretStr(""), "SASL password; prefer variable or file: the process list shows flags"
    )
    ssl_ca_location: str = setting("", "file with the CA certificates; empty: the system's")
    ssl_certificate_location: str = setting("", "file with the client's certificate, if the brokers ask for one")
    ssl_key_location: str = setting("", "file with the client's private key")
    ssl_key_password: SecretStr = setting(SecretStr(""), "password of the client's private key")
    kafka_options: tuple[str, ...] = setting((), "NAME=VALUE passed to librdkafka unchanged; repeatable")
    delivery_timeout: ShortDuration = duration("60s", "stop the flow if a message is not delivered within this time")


class TopicSettings(SettingGroup):
    """Properties of the topics that `ralm topics` creates."""

    partitions: Partitions = setting(4, "partitions of a new topic")
    replication_factor: Replicas = setting(1, "replicas of a new topic")
    retention: PositiveDuration = duration("7d", "how long clicks, requests and scores are kept")
    dead_letters_retention: PositiveDuration = duration("30d", "how long dead letters are kept")


class SourceSettings(SettingGroup):
    """How the flow reads its topics."""

    start_from: Literal["earliest", "latest"] = setting(
        "earliest", "where the very first start begins to read; later changes have no effect"
    )
    partitioner: Literal["auto", "crc32", "murmur2", "other"] = setting(
        "auto",
        "how producers of clicks choose an item's partition; auto: inferred from where the known items are; other: "
        "none of these, so no item is moved when the topic has grown",
    )
    poll_batch: BatchSize = setting(10_000, "maximum messages per poll")
    queue_kbytes: Kbytes = setting(16_384, "read-ahead per partition, KiB")
    step_over: Literal["none", "oversized", "all"] = setting(
        "oversized",
        "batches that cannot be read and become one dead letter that names their offsets; oversized: those that unfold "
        "to more than the client takes, or that it cannot take apart; all: damaged ones too, after a minute; none: the "
        "flow stops",
    )


class MessageSettings(SettingGroup):
    """Limits beyond which readable messages become dead letters, and the size of dead letters."""

    max_message_bytes: MessageBytes = setting(
        65_536, "a longer message becomes a dead letter; requests may be longer, by room for max_candidates"
    )
    max_future: Duration = duration(
        "5m", "a click or request whose time is further ahead of the broker's clock becomes a dead letter"
    )
    max_candidates: Positive = setting(10_000, "a request with more candidates becomes a dead letter")
    dead_letter_max_bytes: MessageBytes = setting(900_000, "dead letters are cut to this size")


class EventSettings(SettingGroup):
    """Further headers of answers and centroids."""

    cloudevents: bool = setting(False, "give answers and centroids the headers of CloudEvents 1.0 (binary mode)")
    cloudevents_source: Annotated[str, Field(min_length=1)] = setting(
        "urn:ralm-streaming", "their ce_source, a URI; one for each deployment"
    )


class BrakeSettings(SettingGroup):
    """When a process stops reading a topic because too many of its messages cannot be used (docs/dead-letters.md)."""

    dead_letter_max_ratio: Share = setting(
        0.0, "stop reading a topic if more than this share of its last messages cannot be used; 0: never"
    )
    dead_letter_min_sample: BatchSize = setting(1000, "how many last messages dead_letter_max_ratio is a share of")
    dead_letter_max_run: Annotated[int, NO_BOOL, Field(ge=0, le=1_000_000)] = setting(
        0, "stop reading a topic after this many unusable messages in a row; 0: never"
    )


class StateSettings(SettingGroup):
    """Where the state is stored, and how."""

    state_dir: str = setting(".ralm/state", "directory of stores; one process owns it")
    snapshot_interval: PositiveDuration = duration(
        "2s", "time between two snapshots; after a crash that much is processed again"
    )
    rebuild: Literal["complete", "partial"] = setting(
        "complete",
        "what to do if the clicks topic no longer has what a store lacks, or was recreated; complete: refuse to "
        "start; partial: keep what the store has, and continue with what the topic has",
    )


class WindowSettings(SettingGroup):
    """How event time is cut into windows; when a window closes, the items clicked in it are clustered."""

    window: PositiveDuration = duration("5m", "length of the tumbling event-time windows")
    allowed_lateness: Duration = duration("10s", "how far the watermark stays behind the newest click")
    idle_after: Duration = duration("5s", "time without clicks after which a partition's watermark follows the clock")


class SeedSettings(WindowSettings):
    """What is kept of each item, and for how long."""

    max_seeds: Positive = setting(3_000_000, "maximum seeds of an item (N); the newest are kept")
    item_ttl: Duration = duration(
        "24h",
        "an item that is not listed is served for this long after its last click, and a longer gap between its clicks "
        "starts a new seed set; 0: for ever",
    )
    seeds_retention: Duration = duration(
        "7d",
        "seeds of an item without clicks are forgotten after this long, by the time of the clicks, though not before "
        "item_ttl; 0, or without item_ttl: never",
    )
    max_items: Positive = setting(
        1_000_000,
        "maximum items with seeds per partition; beyond it those idle the longest are dropped, 1/64 at a time",
    )
    max_listings: Positive = setting(
        1_000_000, "maximum items per partition whose last candidates message is remembered; the newest are kept"
    )
    candidates: Literal["clicked", "listed"] = setting(
        "clicked", "which items are candidates; clicked: every clicked item; listed: items in the candidates topic"
    )


class ClusteringSettings(SettingGroup):
    """How an item's seeds become its centroids."""

    clusters: ClusterCount = setting(20, "maximum centroids of an item (k)")
    min_seeds: Positive = setting(30, "an item with fewer seeds that have a vector stays cold")
    cluster_sample: Positive = setting(50_000, "maximum seeds sampled for one clustering")
    cluster_workers: Threads = setting(1, "number of clustering threads")
    sketches: bool = setting(
        False, "give centroids a sketch of the item's seeds, up to 512 bytes; neighbours has no effect without it"
    )
    rng_seed: Natural = setting(0, "fixes every random choice")


MAX_PRIOR = 1.0
"""Greatest weight of ``log(1 + seeds)``, which is 4.6 at 100 seeds; the cosines that it is added to are at most 1."""
Weight: TypeAlias = Annotated[float, NO_BOOL, Field(ge=0, le=MAX_PRIOR)]
MAX_NEIGHBOURS = 10.0
"""Greatest weight of the neighbours, whose greatest part is 1 for each user."""


class ScoringSettings(SettingGroup):
    """How requests are answered."""

    prior: Weight = setting(
        0.1,
        "weight of log(1 + seeds) in a score: more favours what many click, 0 is taste alone; requests may override it",
    )
    activity: Weight = setting(
        0.0,
        "weight of log(1 + clicks of the user) in a score; changes no user's ranking, only that of users for an item",
    )
    neighbours: Annotated[float, NO_BOOL, Field(ge=0, le=MAX_NEIGHBOURS)] = setting(
        0.0,
        "weight of the seeds that an item shares with the user's newest items, those that the bundle knows; 0: off; "
        "needs sketches where the centroids are made",
    )
    top_k: Positive = setting(100, "scores in an answer if the request does not say how many")
    max_top_k: Positive = setting(1000, "maximum scores in an answer")
    score_batch: BatchSize = setting(256, "maximum requests scored together")
    request_timeout: Duration = duration("5m", "answer older requests with the status expired, unscored; 0: never")
    stale_after: Duration = duration("1h", "centroids older than the request by more than this are reported as stale")


class BundleSettings(SettingGroup):
    """Where the trained bundle is."""

    bundle: str = setting(".ralm/bundle", "directory of the bundle")


class MetricsSettings(SettingGroup):
    """Where status page, metrics and health are served."""

    metrics_host: str = setting("127.0.0.1", "address that serves the status page, /metrics, /-/healthy and /-/ready")
    metrics_port: Port = setting(9464, "its port; process i uses this + i; 0: any free port")


class LogSettings(SettingGroup):
    """What is logged, and how; for every command."""

    log_level: Literal["debug", "info", "warning", "error"] = setting("info", "lowest level that is logged")
    log_format: Literal["text", "json"] = setting("text", "text for people, json for machines")


class ProcessSettings(SettingGroup):
    """The processes of a cluster and their threads."""

    workers: Threads = setting(1, "worker threads per process; more processes scale better")
    process_id: Natural = setting(0, "number of this process in the cluster, from 0")
    addresses: str = setting("", "host:port of every process, comma separated; empty: a single process")
    engine_api: bool = setting(False, "serve Bytewax's own pages on port 3030 + process_id of EVERY address")


class DataSettings(SettingGroup):
    """Where data sets are."""

    data_dir: str = setting(".ralm/data", "directory of the data sets")


EncoderName: TypeAlias = Literal["both", "spectral", "learned", "paper"]
_NOT_SET = ("rng_seed", "prior")
"""Fields of ``TrainingConfig`` that are no settings of training: clustering shares the one, scoring has the other."""


@with_fields_of(TrainingConfig, prefix="train_", without=_NOT_SET)
class TrainSettings(SettingGroup):
    """What `ralm train` makes, and how; all `train_*` but the first two are hyperparameters of the encoder `paper`."""

    encoder: EncoderName = setting(
        "both",
        "what makes users' vectors; spectral: a closed form, needs no torch; learned: trained on what is served; both: "
        "side by side; paper: the paper's towers, whose vectors cannot follow a user's clicks",
    )
    train_held_out: Share = setting(0.1, "share of the latest clicks that is held out to evaluate the bundle")
    train_local_weight: Annotated[float, NO_BOOL, Field(ge=0, le=1)] = setting(
        0.5, "weight of the local attention in a score, the global part's is the rest; 0 serves faster; not for paper"
    )

    def hyperparameters(self) -> dict[str, Any]:
        """Every field of ``TrainingConfig`` that is a setting."""
        names = [field.name for field in fields(TrainingConfig) if field.name not in _NOT_SET]
        return {name: getattr(self, f"train_{name}") for name in names}


class EvaluateSettings(SettingGroup):
    """What `ralm evaluate` compares, and how."""

    eval_split: Literal["auto", "time", "user", "items"] = setting(
        "auto",
        "what is held out; time: the latest clicks; user: each user's latest clicks; items: whole items; auto: time if "
        "clicks have times, else user",
    )
    eval_cut: Annotated[float, NO_BOOL, Field(gt=0, lt=1)] = setting(0.9, "share of the data that is trained on")
    eval_floor_clicks: Positive = setting(5, "users with fewer training clicks are not evaluated")
    eval_floor_seeds: Positive = setting(10, "items with fewer seeds are not evaluated")
    eval_models: str = setting(
        "auto",
        "models, @groups and @families, comma separated, or all; auto: all but @towers, which take hours; NAME:0+1 is "
        "run with those rng_seeds alone",
    )
    eval_catalogue: str = setting("ralm.models.catalogue", "module whose CATALOGUE names the models")
    eval_rng_seeds: str = setting("0,1,2", "train each model once with each of these rng_seeds, comma separated")
    eval_stream_cut: Annotated[float, NO_BOOL, Field(gt=0, lt=1)] = setting(
        0.7, "with --protocol stream: share of the clicks before the stream"
    )
    eval_draws: Positive = setting(5, "with --protocol stream: draws of the items that are new in the stream")
    eval_rankers: str = setting(
        "flows.offline.evaluation.stream_catalogue", "with --protocol stream: module whose STREAM names the rankers"
    )
    eval_results: str = setting("docs/results", "directory of tables and plots")
    eval_work: str = setting(".ralm/evaluate", "directory of finished runs, which are not repeated")
    eval_processes: Natural = setting(
        0, "models trained at the same time, each on one thread; 0: one per core that it may use"
    )


GROUPS: dict[str, type[SettingGroup]] = {
    "kafka": KafkaSettings,
    "topics": TopicSettings,
    "source": SourceSettings,
    "messages": MessageSettings,
    "events": EventSettings,
    "brake": BrakeSettings,
    "state": StateSettings,
    "windows": WindowSettings,
    "seeds": SeedSettings,
    "clustering": ClusteringSettings,
    "scoring": ScoringSettings,
    "bundle": BundleSettings,
    "metrics": MetricsSettings,
    "logs": LogSettings,
    "process": ProcessSettings,
    "data": DataSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
}
"""The groups by name, in the order of docs/settings.md."""
_GROUP_OF = {name: group for group, model in reversed(GROUPS.items()) for name in model.model_fields}
"""Each setting's group; of two, one of which extends the other, the first."""


class AllSettings(
    KafkaSettings,
    TopicSettings,
    SourceSettings,
    MessageSettings,
    EventSettings,
    BrakeSettings,
    StateSettings,
    SeedSettings,
    ClusteringSettings,
    ScoringSettings,
    BundleSettings,
    MetricsSettings,
    LogSettings,
    ProcessSettings,
    DataSettings,
    TrainSettings,
    EvaluateSettings,
):
    """Every setting, before the rules between settings are applied."""


def group_of(setting_name: str) -> str | None:
    """The group of a setting; None for what is no setting."""
    return _GROUP_OF.get(setting_name)


def names_of(*groups: str) -> list[str]:
    """The names of the settings of some groups, in the order of docs/settings.md."""
    return [
        name for group in GROUPS if group in groups for name in GROUPS[group].model_fields if _GROUP_OF[name] == group
    ]
