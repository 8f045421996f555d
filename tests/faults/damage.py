"""Faults that damage files: of the stores, of the bundle.

Right is: refused in words, with nothing overwritten, and exact once the advice is followed; or healed by itself, and
exact. Which of the two ways out is followed, the backup or a rebuild from the topic, is the rng's choice.
"""

import hashlib
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from state.store.seed_store import StoreError

from .checks import read_store, wrong_seed_sets
from .cluster import Ended
from .registry import fault
from .scene import Scene

Damage = Callable[[Path, Scene], None]
_ADVICE = re.compile(r"restore|remove|move|put .* back|train again|copy|start again", re.IGNORECASE)
_PASSING = re.compile(r"(LOG(\.old.*)?|LOCK|.*\.lock|OPTIONS-.*|IDENTITY|.*\.dbtmp)")
"""Files that hold no state, and that a mere attempt to open may write."""
_WAL, _SST, _MANIFEST = "seeds/*/*.log", "seeds/*/*.sst", "seeds/*/MANIFEST-*"


@fault("wal-cut")
def wal_cut(scene: Scene) -> None:
    """A write-ahead log is cut short."""
    _damaged_state(scene, _WAL, cut)


@fault("wal-flip")
def wal_flip(scene: Scene) -> None:
    """A bit of a write-ahead log is flipped."""
    _damaged_state(scene, _WAL, flip)


@fault("sst-cut")
def sst_cut(scene: Scene) -> None:
    """A table file is cut short."""
    _damaged_state(scene, _SST, cut)


@fault("sst-flip")
def sst_flip(scene: Scene) -> None:
    """A bit of a table file is flipped."""
    _damaged_state(scene, _SST, flip)


@fault("manifest-cut")
def manifest_cut(scene: Scene) -> None:
    """A manifest is cut short."""
    _damaged_state(scene, _MANIFEST, cut)


@fault("manifest-flip")
def manifest_flip(scene: Scene) -> None:
    """A bit of a manifest is flipped."""
    _damaged_state(scene, _MANIFEST, flip)


@fault("store-lost")
def store_lost(scene: Scene) -> None:
    """The store of a partition is gone."""
    _damaged_state(scene, "seeds/*", lambda path, _: shutil.rmtree(path))


@fault("bundle")
def bundle(scene: Scene) -> None:
    """A file of the bundle is damaged: refused before anything is touched."""
    scene.busy()
    scene.drain()
    good = scene.world.bundle
    backup = scene.world.folder / "bundle-backup"
    shutil.copytree(good, backup, dirs_exist_ok=True)
    target = scene.rng.choice([path for path in sorted(good.iterdir()) if path.stat().st_size])
    scene.rng.choice([cut, flip])(target, scene)
    before = fingerprint(scene.state)
    scene.portion()
    ended = scene.cluster.start()
    shutil.rmtree(good)
    shutil.copytree(backup, good)
    if ended is None:
        scene.problem(f"it started with a damaged bundle ({target.name})")
        scene.tally.wordless.append(f"{scene.name}, {scene.fault}: started with a damaged {target.name}")
        scene.cluster.kill()
    else:
        _refused(scene, ended, f"bundle {target.name}")
        changed = changes(before, fingerprint(scene.state))
        if changed:
            scene.bad_end(f"a refused bundle changed {changed}")
    scene.start()
    scene.settle()


def cut(path: Path, scene: Scene) -> None:
    """Cut a file short at a random place."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(scene.rng.randrange(size))


def flip(path: Path, scene: Scene) -> None:
    """Flip one random bit of a file."""
    place = scene.rng.randrange(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << scene.rng.randrange(8)]))


def fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that holds state, by its path below the folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not _PASSING.fullmatch(path.name))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def changes(before: dict[str, str], after: dict[str, str], below: str = "") -> list[str]:
    """Files of before that are gone or have other contents, those whose path begins with ``below``."""
    return [path for path, told in before.items() if path.startswith(below) and after.get(path) != told]


def _damaged_state(scene: Scene, pattern: str, how: Damage) -> None:
    found: list[Path] = []
    while not found:  # there are no table files before the first restart
        scene.busy()
        # A drained store has nothing in its log: it goes to a table file when the store is closed.
        scene.end(drained=pattern != _WAL and scene.rng.random() < 0.5)
        found = [path for path in sorted(scene.state.glob(pattern)) if path.is_dir() or path.stat().st_size]
        if not found:
            scene.start()
            scene.settle()
    backup = scene.home / "backup"
    shutil.rmtree(backup, ignore_errors=True)
    shutil.copytree(scene.state, backup)
    target = scene.rng.choice(found)
    where = str(target.relative_to(scene.state))
    how(target, scene)
    before = fingerprint(scene.state)
    scene.portion()
    ended = scene.cluster.start()
    ran = ended is None
    ended = ended or scene.wait_exact()
    if ended is None:
        scene.tally.healed += 1
        return
    _refused(scene, ended, where)
    _nothing_lost(scene, where, before, ran=ran)
    _follow_the_advice(scene, ended, where, backup)
    scene.start()
    scene.settle()


def _follow_the_advice(scene: Scene, ended: Ended, where: str, backup: Path) -> None:
    """Put the backup back, or have it rebuilt from the topic: the whole state, or one store if the message says so."""
    ways = ["backup", "state"]
    if where.startswith("seeds/") and "that directory away" in ended.words:
        ways.append("store")
    way = scene.rng.choice(ways)
    if way == "store":
        scene.move_away(scene.state / _store_of(where))
    elif way == "state":
        scene.move_away(scene.state)
    else:
        shutil.rmtree(scene.state)
        shutil.copytree(backup, scene.state)


def _store_of(where: str) -> str:
    return "/".join(where.split("/")[:2])


def _refused(scene: Scene, ended: Ended, where: str) -> None:
    told = f"{scene.name}, {scene.fault} ({where}): {ended}"
    if ended.in_words and _ADVICE.search(ended.words):
        scene.tally.refusals.append(told)
    else:
        scene.bad_end(f"{where}: {ended}")


def _nothing_lost(scene: Scene, where: str, before: dict[str, str], *, ran: bool) -> None:
    """What is damaged was left as it was; the other stores may have gone on, and are exact at their positions.

    Bits within a table are met when their block is read. A flow that had worked until then has written to that store.
    """
    below = f"{_store_of(where)}/" if where.startswith("seeds/") else where
    overwritten = changes(before, fingerprint(scene.state), where if ran else below)
    if overwritten:
        scene.bad_end(f"refused, and yet it overwrote {', '.join(overwritten)}")
    scene.read_on()
    for path in sorted((scene.state / "seeds").iterdir()) if (scene.state / "seeds").is_dir() else []:
        if below != f"seeds/{path.name}/":
            _exact(scene, path)


def _exact(scene: Scene, path: Path) -> None:
    try:
        stored = read_store(path)
    except StoreError as error:
        scene.bad_end(f"the undamaged store {path.name} cannot be read after the refusal: {error}")
        return
    for text in wrong_seed_sets(stored, scene.oracle):
        scene.tally.seed_sets += 1
        scene.problem(f"the undamaged store {path.name} after the refusal: {text}")
