"""Faults of state directories that lie on several hosts, and of stores that lie elsewhere."""

import shutil
import time

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from .registry import fault
from .scene import Scene

_STARTS = 10


@fault("two-hosts")
def two_hosts(scene: Scene) -> None:
    """Two processes with a state directory each start ten times, with either process on either directory."""
    _hosts(scene, 2)


@fault("three-hosts")
def three_hosts(scene: Scene) -> None:
    """The same with three."""
    _hosts(scene, 3)


def _hosts(scene: Scene, count: int) -> None:
    cluster, before = scene.cluster, scene.cluster.count
    scene.busy()
    scene.drain()
    hosts = [scene.home / f"host-{time.monotonic_ns()}-{number}" for number in range(count)]
    try:
        for _ in range(_STARTS):
            cluster.hosts = scene.rng.sample(hosts, count)
            scene.portion()
            scene.start(count)
            scene.busy(0.1, 0.8)
            if scene.rng.random() < 0.5:
                scene.settle()
            scene.end(drained=scene.rng.random() < 0.6)
            scene.check_positions()
        cluster.hosts = scene.rng.sample(hosts, count)
        scene.start(count)
        scene.settle()
        scene.drain()
    finally:
        cluster.hosts = []
    # What was left on the disk before is older, and goes on from where it is.
    scene.start(before)
    scene.settle()


@fault("store-elsewhere")
def store_elsewhere(scene: Scene) -> None:
    """A partition's store lies elsewhere: it is rebuilt if the topic has all of it, else refused, saying so."""
    scene.busy()
    scene.settle()
    scene.drain()
    stores = sorted((scene.state / "seeds").iterdir())
    scene.move_away(scene.rng.choice(stores))
    scene.start()
    scene.settle()
    scene.drain()
    chosen = scene.rng.choice(stores)
    partition, aside = int(chosen.name), scene.home / "elsewhere"
    forget(scene, partition)
    shutil.move(chosen, aside)
    ended = scene.cluster.start()
    if ended is None or "its store is not in this state directory" not in ended.words or not ended.in_words:
        scene.bad_end(f"a store that cannot be rebuilt was not refused: {ended}")
    else:
        scene.tally.refusals.append(f"{scene.name}, {scene.fault}: {ended}")
    scene.cluster.kill()
    shutil.rmtree(chosen, ignore_errors=True)
    shutil.move(aside, chosen)
    scene.start()
    scene.settle()
    scene.over = True  # what is rebuilt after this would lack what the topic has no more


@fault("store-older")
def store_older(scene: Scene) -> None:
    """Stores are put back from copies of before, as from a backup: what was read and said since comes again."""
    scene.busy()
    for _ in range(2):
        scene.drain()
        copy = scene.home / f"copy-{time.monotonic_ns()}"
        shutil.copytree(scene.state / "seeds", copy)
        scene.start()
        scene.busy()
        if scene.rng.random() < 0.7:
            scene.settle()
        scene.end(drained=scene.rng.random() < 0.5)
        stores = sorted(copy.iterdir())
        for store in scene.rng.sample(stores, scene.rng.randrange(1, len(stores) + 1)):
            scene.move_away(scene.state / "seeds" / store.name)
            shutil.copytree(store, scene.state / "seeds" / store.name)
        scene.check_positions()
        scene.start()
        if scene.rng.random() < 0.5:
            scene.busy()
            scene.end(drained=False)
            scene.start()
        scene.settle()


def forget(scene: Scene, partition: int) -> None:
    """The topic forgets the first half of what a partition's store holds."""
    scene.read_on()
    end = scene.oracle.reach()[partition]
    admin = AdminClient({"bootstrap.servers": scene.settings.bootstrap_servers})
    topic = f"{scene.settings.topic_prefix}{scene.settings.topic_clicks}"
    for done in admin.delete_records([TopicPartition(topic, partition, max(1, end // 2))]).values():
        done.result(timeout=20)
