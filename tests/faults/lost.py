"""Faults of state that is lost: a whole state directory, as of a disk that is not mounted, or a store, after growth."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from flows.seed_sets.partitioners import crc32

from .checks import newest, read_stores
from .growth import grow_topics, kill_while_moving
from .hosts import forget
from .oracle import Oracle
from .registry import fault
from .scene import Scene

_PARTIAL = {"RALM_REBUILD": "partial"}


@fault("state-lost")
def state_lost(scene: Scene) -> None:
    """A state directory is empty: rebuilt if the topic has all of it, else refused, whoever remembers that it was."""
    scene.busy()
    scene.settle()
    scene.drain()
    scene.move_away(scene.state)
    scene.start()
    scene.settle()
    scene.drain()
    if scene.rng.random() < 0.5:
        _grown(scene)
        scene.drain()
    _forgotten(scene)
    scene.over = True  # what is rebuilt after this would lack what the topic, or the partition, has no more


def _grown(scene: Scene) -> None:
    """The older clicks of items lie in other partitions: nothing is lost, once a second start has brought them home."""
    grow_topics(scene)
    scene.portion()
    scene.start()
    scene.settle()
    scene.drain()
    aside = scene.state.rename(_aside(scene))
    if scene.rng.random() < 0.5:  # then the centroids say it
        _forget_group(scene)
    _refused(scene, "the topic has grown meanwhile")
    if scene.rng.random() < 0.5:
        _put_back(aside, scene.state)
    else:
        with _partial(scene):
            scene.start()
            scene.take_in()
            scene.drain()
    scene.start()
    scene.settle()


def _forgotten(scene: Scene) -> None:
    """The topic has forgotten the beginning of a partition; the group knows that it was read, or else the centroids."""
    scene.read_on()
    clicks = scene.oracle.clicks
    forget(scene, max(clicks, key=lambda partition: len(clicks[partition])))  # of which centroids were made for sure
    aside = scene.state.rename(_aside(scene))
    _refused(scene, "its store is not in this state directory")
    _forget_group(scene)
    _refused(scene, "its store is not in this state directory")
    _put_back(aside, scene.state)
    scene.start()
    scene.settle()


def _forget_group(scene: Scene) -> None:
    admin = AdminClient({"bootstrap.servers": scene.settings.bootstrap_servers})
    for done in admin.delete_consumer_groups([scene.settings.group_id]).values():
        done.result(timeout=20)


@fault("store-lost-grown")
def store_lost_grown(scene: Scene) -> None:
    """A store is lost after the topic has grown: refused, exact once it is put back, in part if that is asked for."""
    scene.busy()
    scene.settle()
    scene.drain()
    grow_topics(scene)
    scene.portion()
    scene.start()
    scene.settle()
    scene.drain()
    chosen = scene.rng.choice(sorted((scene.state / "seeds").iterdir()))
    aside = chosen.rename(_aside(scene))
    _refused(scene, "the topic has grown meanwhile")
    _put_back(aside, chosen)
    scene.start()
    scene.portion()
    scene.settle()
    scene.end(drained=scene.rng.random() < 0.5)
    shutil.rmtree(chosen)
    _refused(scene, "the topic has grown meanwhile")
    with _partial(scene):
        scene.start()
        if scene.rng.random() < 0.5:
            scene.take_in()
        _end(scene, drained=scene.rng.random() < 0.5)
    for _ in range(scene.rng.randrange(3)):  # the filling is cut off, and so is the move of what is at home elsewhere
        kill_while_moving(scene)
    for _ in range(2):
        scene.start()
        scene.take_in()
        _end(scene, drained=True)
    _in_part(scene, int(chosen.name))
    scene.over = True


def _end(scene: Scene, *, drained: bool) -> None:
    """End all processes; the stores do not hold all that the oracle expects."""
    if drained:
        ended = scene.cluster.terminate()
        if any(ended.codes):
            scene.bad_end(f"SIGTERM did not drain it: {ended}")
    scene.cluster.kill()


def _in_part(scene: Scene, lost: int) -> None:
    """Items at home in the lost store have the clicks of its partition, all others have all."""
    stored = read_stores(scene.state)
    scene.tally.checks += 1
    whole = scene.oracle.seed_sets()
    own = Oracle(scene.oracle.capacity, {lost: scene.oracle.clicks.get(lost, [])}, scene.oracle.refused).seed_sets()
    expected = {
        item: seeds
        for item, all_of_them in whole.items()
        if (seeds := own.get(item, {}) if crc32(item.encode(), scene.partitions) == lost else all_of_them)
    }
    found = {item: newest(seeds, scene.oracle.capacity) for item, seeds in stored.seeds.items() if seeds}
    for item in sorted(expected.keys() | found.keys()):
        right, seeds = expected.get(item, {}), found.get(item, {})
        if right != seeds:
            scene.tally.seed_sets += 1
            scene.problem(f"item {item[:20]!r}: {len(right)} seeds expected of a part, {len(seeds)} found")


@fault("centroids-deleted")
def centroids_deleted(scene: Scene) -> None:
    """The centroids topic loses its messages under the flow: it ends in words, and the next start sends all again."""
    scene.busy()
    scene.settle()
    topic = f"{scene.settings.topic_prefix}{scene.settings.topic_centroids}"
    admin = AdminClient({"bootstrap.servers": scene.settings.bootstrap_servers})
    _clean_by(admin, topic, "delete")  # a broker deletes nothing from a topic that is compacted
    partitions = admin.list_topics(topic, timeout=15).topics[topic].partitions
    for done in admin.delete_records([TopicPartition(topic, each, OFFSET_END) for each in partitions]).values():
        done.result(timeout=20)
    _clean_by(admin, topic, "compact")
    until = time.monotonic() + scene.limits.settle
    while not scene.cluster.has_ended() and time.monotonic() < until:
        time.sleep(0.2)
    ended = scene.cluster.collect()
    if not ended.in_words or "were deleted while the flow ran" not in ended.words:
        scene.bad_end(f"it did not end when its centroids were deleted: {ended}")
    else:
        scene.tally.stops.append(f"{scene.name}, {scene.fault}: {ended}")
    scene.read_on()
    scene.journal.last.clear()
    scene.start()
    scene.settle()


def _clean_by(admin: AdminClient, topic: str, policy: str) -> None:
    entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(timeout=20)


def _refused(scene: Scene, why: str) -> None:
    """The start is refused in words and leaves nothing."""
    ended = scene.cluster.start()
    if ended is None or why not in ended.words or "--rebuild partial" not in ended.words or not ended.in_words:
        scene.bad_end(f"what is lost was not refused: {ended}")
    else:
        scene.tally.refusals.append(f"{scene.name}, {scene.fault}: {ended}")
    scene.cluster.kill()


def _aside(scene: Scene) -> Path:
    return scene.home / f"aside-{time.monotonic_ns()}"


def _put_back(aside: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)


@contextmanager
def _partial(scene: Scene) -> Iterator[None]:
    """Accept what is lost, for once."""
    scene.cluster.environment = _PARTIAL
    try:
        yield
    finally:
        scene.cluster.environment = {}
