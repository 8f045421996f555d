"""What a store knows of itself: its value under ``M``, and the version of the layout."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from state.nesting import json_of
from state.store.layout import WAY_OUT, StoreError

STATE_FORMAT = 3
MIGRATED_FORMAT = 2
"""The format that is read too, and written as this one from the first write on."""
NOTHING_SETTLED = -1
"""Where to resume before anything that was read has been settled: at the beginning."""


class ManifestFingerprint(NamedTuple):
    """What is known of RocksDB's MANIFEST: its number, its bytes at some moment, and their CRC-32."""

    number: int
    size: int
    crc: int


NO_FINGERPRINT = ManifestFingerprint(0, 0, 0)


class TopicMark(NamedTuple):
    """By what the partition of a topic is known again, should the topic be made anew under its name.

    Attributes:
        topic_id: the topic's id; empty where the broker gives none.
        offset: of a message that was read from it, -1 before the first.
        time: that message's time, ms since the epoch.
    """

    topic_id: str = ""
    offset: int = -1
    time: int = 0


NO_MARK = TopicMark()


class SentMessage(NamedTuple):
    """A message of the centroids topic that was there, by which the topic is known again.

    Attributes:
        partition: where it lies.
        offset: its offset, -1 before the first.
        time: its time, ms since the epoch.
    """

    partition: int = 0
    offset: int = -1
    time: int = 0


NOTHING_SENT = SentMessage()


@dataclass(frozen=True)
class StoreMeta:
    """What a store knows of itself.

    Attributes:
        topic: the clicks topic.
        partition: its partition.
        position: the offset after the last click that is in the store.
        candidates: the offset after the last message of the same partition of the candidates topic.
        resume: where the clicks are to be read on after a restart: everything that the clicks before it led to has been
            delivered. Not beyond ``position``; ``NOTHING_SETTLED`` in a new store.
        resume_candidates: the same of the candidates topic.
        model_version: the bundle whose centroids were last written; empty before the first.
        older_versions: bundles before it whose centroids may still be in their topic, newest first.
        replaces: whether it takes the place of one that is lost, or that had read more, and has not caught up with the
            clicks topic yet.
        format: the version of the layout.
        epoch: how many batches were written since the store was made.
        manifest: RocksDB's MANIFEST as it was before the last batch.
        clicks_mark: by what the clicks topic is known again.
        candidates_mark: the same of the candidates topic.
        centroids_id: id of the topic to which the centroids went; empty where the broker gives none.
        centroids_sent: one of its messages, where the broker gives no id.
        centroids_deleted: how many offsets it had lost at its beginning when all that was lost was last due again.
    """

    topic: str
    partition: int
    position: int = 0
    candidates: int = 0
    resume: int = NOTHING_SETTLED
    resume_candidates: int = NOTHING_SETTLED
    model_version: str = ""
    older_versions: tuple[str, ...] = ()
    replaces: bool = False
    format: int = STATE_FORMAT
    epoch: int = 0
    manifest: ManifestFingerprint = NO_FINGERPRINT
    clicks_mark: TopicMark = NO_MARK
    candidates_mark: TopicMark = NO_MARK
    centroids_id: str = ""
    centroids_sent: SentMessage = NOTHING_SENT
    centroids_deleted: int = 0


def encode_meta(meta: StoreMeta) -> bytes:
    """The value of ``M``."""
    return json.dumps(meta.__dict__).encode()


def decode_meta(path: Path, value: bytes) -> StoreMeta:
    """Decode and check the value of ``M``.

    Raises:
        StoreError: when it is damaged or of another format.
    """
    try:
        found: dict[str, Any] = json_of(value)
        written = found["format"]
        if type(written) is not int:
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise _damaged_meta(path, value) from None
    if written not in (MIGRATED_FORMAT, STATE_FORMAT):
        raise StoreError(refusal_of_format(f"the store in {path}", written))
    try:
        if written == MIGRATED_FORMAT:
            at = {"resume": found["position"], "resume_candidates": found["candidates"]}
            found |= {"format": STATE_FORMAT, **at}
        found |= {"manifest": ManifestFingerprint(*found["manifest"]), "older_versions": tuple(found["older_versions"])}
        found |= {name: TopicMark._make(found[name]) for name in ("clicks_mark", "candidates_mark") if name in found}
        found |= {"centroids_sent": SentMessage(*found.get("centroids_sent", NOTHING_SENT))}
        meta = StoreMeta(**found)
    except (KeyError, TypeError):
        raise _damaged_meta(path, value) from None
    if not _is_sound(meta):
        raise _damaged_meta(path, value)
    return meta


def _is_sound(meta: StoreMeta) -> bool:
    """Whether everything in it is of its type and within its bounds."""
    marks, sent = (meta.clicks_mark, meta.candidates_mark), meta.centroids_sent
    counts = (meta.epoch, meta.centroids_deleted)
    numbers = (meta.partition, meta.position, meta.candidates, *counts, *meta.manifest, sent.partition)
    lower = (meta.resume, meta.resume_candidates, sent.offset, *(mark.offset for mark in marks))
    texts = (meta.topic, meta.model_version, *meta.older_versions, meta.centroids_id, *(m.topic_id for m in marks))
    if any(type(n) is not int for n in (*numbers, *lower, sent.time, *(mark.time for mark in marks))):
        return False
    if (
        type(meta.replaces) is not bool
        or any(type(text) is not str for text in texts)
        or min(numbers) < 0
        or min(lower) < NOTHING_SETTLED
    ):
        return False
    return meta.resume <= meta.position and meta.resume_candidates <= meta.candidates


def of_another(path: Path, meta: StoreMeta, topic: str, partition: int) -> str:
    """What to say of a store that belongs to another topic or partition than the one that it is to be opened for."""
    return (
        f"the store in {path} has the seeds of topic {meta.topic!r}, partition {meta.partition}, and not of {topic!r}, "
        f"partition {partition}. If topic_prefix or topic_clicks is not what it was, set it back; if stores were mixed "
        "up, put each where it was. To begin with this topic alone give the flow a --state-dir of its own. Nothing was "
        "changed."
    )


def _damaged_meta(path: Path, value: bytes) -> StoreError:
    return StoreError(f"the store in {path} does not say what it is ({value[:80]!r}). {WAY_OUT}")


def refusal_of_format(what: str, found: int) -> str:
    """Why something of another format is refused, and the way on.

    Args:
        what: what has the format.
        found: the format.
    """
    if found > STATE_FORMAT:
        return (
            f"{what} has format {found}; this version knows {STATE_FORMAT}. A newer version wrote it: run that "
            "version; or move what the state directory holds to another place, and restore a backup from before it: "
            "`ralm state restore BACKUP`. Nothing was changed."
        )
    return (
        f"{what} has format {found}; this version reads {MIGRATED_FORMAT} and {STATE_FORMAT}. Drain the flow with the "
        "version that wrote it (SIGTERM), then move what the state directory holds to another place and start this "
        "version: the seed sets are rebuilt from the clicks topic; if that no longer has its beginning, start it once "
        "with --rebuild partial. Or go on with the old version. Nothing was changed."
    )
