"""Faults of a clicks topic that grows: under the flow or while it stands still, with kills while items are moved."""

import signal
import time

from confluent_kafka.admin import AdminClient, NewPartitions

from .cluster import CONSOLE
from .die_at_step import STEP
from .faults import kill
from .registry import fault
from .scene import Scene

_GROWN = ("clicks", "candidates", "requests")
_MOST_STEP = 60
"""Of bringing sixty items home, about: with the second growth there are fewer to be moved."""
_DIES = "tests.faults.die_at_step"


@fault("grow")
def grow(scene: Scene) -> None:
    """The topics grow twice, under the flow or while it stands still; killed before, while items are moved, and after.

    Producers learn of the new partitions at once, or only later.
    """
    for _ in range(2):
        _grow_once(scene)
    kill(scene)
    scene.over = True  # other faults expect that a lost store can be made of the topic


def _grow_once(scene: Scene) -> None:
    rng = scene.rng
    scene.busy()
    early = rng.random() < 0.4
    late_producers = early and rng.random() < 0.5
    if early:  # against the advice: not all was read, and the flow works on what the old partitions have
        grow_topics(scene, late_producers=late_producers)
        scene.busy()
    else:
        scene.settle()
    scene.end(drained=rng.random() < 0.5)
    if not early:
        grow_topics(scene)
    scene.portion()
    for _ in range(rng.randrange(1, 4)):
        kill_while_moving(scene)
        scene.check_positions()
    scene.start()
    if early:  # clicks that had not been read lie where their items were: the next start brings them home
        if late_producers:
            scene.portion()
            scene.traffic.begin_anew()
        scene.take_in()
        scene.end(drained=rng.random() < 0.5)
        kill_while_moving(scene)
        scene.check_positions()
        scene.start()
    scene.settle()


def grow_topics(scene: Scene, *, late_producers: bool = False) -> None:
    """Give the topics that must have as many partitions one to three more; who reads them knows of it, and who writes.

    Args:
        scene: the round.
        late_producers: those who write do not know of it yet.
    """
    scene.read_on()
    admin = AdminClient({"bootstrap.servers": scene.settings.bootstrap_servers})
    names = [scene.settings.topic_prefix + kind for kind in _GROWN]
    scene.partitions += scene.rng.randrange(1, 4)
    for done in admin.create_partitions([NewPartitions(name, scene.partitions) for name in names]).values():
        done.result(timeout=20)
    until = time.monotonic() + scene.limits.settle
    while any(len(admin.list_topics(timeout=15).topics[name].partitions) < scene.partitions for name in names):
        if time.monotonic() > until:
            msg = f"the broker does not show {scene.partitions} partitions of {names}"
            raise TimeoutError(msg)
        time.sleep(0.1)
    scene.journal.look_for_partitions()
    if not late_producers:
        scene.traffic.begin_anew()


def kill_while_moving(scene: Scene) -> None:
    """Start the flow and kill it: at a step of bringing items home, or at some moment of the start."""
    cluster, rng = scene.cluster, scene.rng
    at_step = rng.random() < 0.6
    if at_step:
        cluster.program, cluster.environment = _DIES, {STEP: str(rng.randrange(1, _MOST_STEP))}
    try:
        cluster.launch()
        if at_step:
            cluster.wait_begun()
        else:
            time.sleep(rng.uniform(0.5, 4.0))
    finally:
        cluster.program, cluster.environment = CONSOLE, {}
    met = cluster.codes()
    if -signal.SIGKILL not in met and set(met) != {None} and not cluster.port_was_taken():
        scene.bad_end(f"it ended by itself while it was to be killed: {cluster.collect()}")
    scene.tally.moves_killed += -signal.SIGKILL in met
    scene.tally.kills += 1
    cluster.kill()
