"""The faults that strike processes and the broker; each is a function that leaves the flow working and checked."""

import signal
import time

from .registry import fault
from .scene import Scene

_BROKER_WORKS_OFF_S = 1.0
"""What the broker gets to work off what waits in its connections."""


@fault("kill")
def kill(scene: Scene) -> None:
    """SIGKILL of one process or all, at work, while they start, or while they drain."""
    rng, cluster = scene.rng, scene.cluster
    moment = rng.choice(["work", "work", "start", "drain"])
    scene.busy()
    if moment == "start":
        _kill(scene)
        scene.portion()
        cluster.launch()
        time.sleep(rng.uniform(0.3, 4.0))
    elif moment == "drain":
        cluster.send(signal.SIGTERM)
        time.sleep(rng.uniform(0.0, 0.4))
    _kill(scene, met=moment != "start")
    if rng.random() < 0.5:
        scene.check_positions()
    scene.portion()
    scene.start()
    scene.settle()


def _kill(scene: Scene, *, met: bool = True) -> None:
    """Kill all processes or one; its peers end with it, unless they had not met yet and still wait for it."""
    cluster = scene.cluster
    scene.tally.kills += 1
    one = scene.rng.randrange(cluster.count)
    if cluster.count == 1 or scene.rng.random() < 0.5:
        cluster.kill()
    elif not met:
        cluster.processes[one].kill()
        cluster.kill()
    elif None in (ended := cluster.kill_one(one)).codes:
        scene.bad_end(f"a process outlived its peer by a minute: {ended}")


@fault("term")
def term(scene: Scene) -> None:
    """SIGTERM: it drains, exits with 0, and goes on after it."""
    scene.busy()
    scene.drain()
    scene.portion()
    scene.start()
    scene.settle()


@fault("term-outage")
def term_outage(scene: Scene) -> None:
    """SIGTERM while the broker says nothing: it ends all the same, in 0 or in words."""
    scene.busy()
    scene.world.broker.pause()
    try:
        ended = scene.cluster.terminate()
    finally:
        scene.world.broker.resume()
    if not set(ended.codes) <= {0, 1} or (1 in ended.codes and not ended.in_words):
        scene.bad_end(f"SIGTERM did not end it: {ended}")
    scene.check_positions()
    scene.portion()
    scene.start()
    scene.settle()


@fault("stop")
def stop(scene: Scene) -> None:
    """SIGSTOP of one process or all for a while."""
    which = scene.rng.choice([None, scene.rng.randrange(scene.cluster.count)])
    scene.busy()
    scene.cluster.send(signal.SIGSTOP, which)
    scene.busy(scene.limits.pause, scene.limits.pause)
    scene.cluster.send(signal.SIGCONT, which)
    scene.settle()


@fault("broker-pause")
def broker_pause(scene: Scene) -> None:
    """The broker answers nothing for a while."""
    scene.busy()
    scene.world.broker.pause()
    try:
        scene.busy(scene.limits.pause / 4, scene.limits.pause)
    finally:
        scene.world.broker.resume()
    scene.settle()


@fault("broker-stop")
def broker_stop(scene: Scene) -> None:
    """The broker is stopped with SIGTERM and comes back with what it had.

    The embedded broker goes on confirming while it saves, and forgets what it confirmed then. So nothing is on its way.
    """
    scene.busy()
    scene.cluster.send(signal.SIGSTOP)
    time.sleep(_BROKER_WORKS_OFF_S)
    try:
        scene.world.broker.stop()
    finally:
        scene.cluster.send(signal.SIGCONT)
    try:
        scene.busy(0.5, scene.limits.pause / 2)
    finally:
        scene.world.broker.start()
    scene.settle()


@fault("rescale")
def rescale(scene: Scene) -> None:
    """One, two, three and one process, between runs that drain or are killed."""
    before = scene.cluster.count
    for count in (1, 2, 3, 1):
        scene.busy(0.1, 0.8)
        scene.end(drained=scene.rng.random() < 0.7)
        scene.portion()
        scene.start(count)
    scene.settle()
    scene.drain()
    scene.start(before)
    scene.settle()


@fault("backlog")
def backlog(scene: Scene) -> None:
    """A restart after two hours: the traffic of two hours came while nothing ran."""
    hours = 2 * 3_600_000
    scene.busy()
    scene.drain()
    start = int(time.time() * 1000) + scene.traffic.shift - hours
    steps = 120
    for step in range(steps):
        scene.traffic.some(scene.limits.portion, 1, at=start + hours * step // steps)
    scene.start()
    scene.busy()
    scene.settle()
