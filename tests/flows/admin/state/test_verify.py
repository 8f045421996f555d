"""``ralm state verify`` on whole state directories, sound and damaged."""

import json
import os
import random
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from state_maker import verified
from store_history import N

from flows.cli.commands.state import command
from flows.support.errors import RalmError
from state.directory import write_format
from state.owner_lock import OwnerLock
from state.store.seed_store import Changes, SeedStore

IRRELEVANT = re.compile(r"LOG.*|LOCK|IDENTITY|OPTIONS.*|rocksdict-config.json|init.lock")


def run(path: Path, *arguments: str) -> Result:
    settings = {"RALM_STATE_DIR": str(path), "RALM_MAX_SEEDS": str(N)}
    return CliRunner().invoke(command, arguments, env=settings)


def contents(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_sound_state_is_whole_and_stays_as_it_was(state: Path) -> None:
    before = contents(state)
    done = run(state, "verify")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line.split(";")[0] for line in lines] == ["partition 0: whole", "partition 3: whole", "all is whole"]
    found = json.loads(run(state, "verify", "--json").output)
    assert found["whole"]
    assert [(p["partition"], p["whole"], p["items"] > 20) for p in found["partitions"]] == [
        (0, True, True),
        (3, True, True),
    ]
    assert contents(state) == before


def test_what_the_system_refuses_to_read_is_not_called_damage(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exists = Path.exists

    def refused(path: Path) -> bool:
        if path.match("00003/CURRENT"):
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", refused)
    done = run(state, "verify")
    assert done.exit_code == 1
    assert "partition 3: NOT READ" in done.output
    assert "Run as the user whom its files belong to" in done.output
    assert done.output.splitlines()[-1] == "NOT all could be read: 1 of 2 partitions not"
    assert "DAMAGED" not in done.output
    found = json.loads(run(state, "verify", "--json").output)
    assert [(each["whole"], each["unread"]) for each in found["partitions"]] == [(True, False), (False, True)]


def test_a_store_that_moves_is_whole_and_a_flow_on_it_is_told(state: Path) -> None:
    with OwnerLock(state, 0, "look-alike"):
        store = SeedStore.open(state / "seeds" / "00003", topic="clicks", partition=3, capacity=N)
        store.write(Changes(), position=store.position + 7, model_version="m")
        reports, verifier = verified(state)
        assert [report.whole for report in reports] == [True, True]
        assert any("running on it" in note and '"flow": "look-alike"' in note for note in verifier.notes)
        store.close()


def test_a_flow_that_has_no_store_yet_is_whole_and_an_empty_directory_is_refused(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path, "verify").exception, RalmError)
    write_format(tmp_path, partitions=[4])
    done = run(tmp_path, "verify")
    assert (done.exit_code, done.output) == (0, "all is whole\n")


def test_damages_are_told_and_the_rest_is_still_verified(state: Path) -> None:
    table = max((state / "seeds" / "00000").glob("*.sst"), key=lambda file: file.stat().st_size)
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 4
    table.write_bytes(data)
    (state / "format.json").write_text("{")
    done = run(state, "verify")
    assert done.exit_code == 1
    assert f"{table}" in done.output
    assert "partition 0: DAMAGED" in done.output
    assert "partition 3: whole" in done.output
    assert "format.json cannot be read" in done.output
    assert "ralm state restore" in done.output
    found = json.loads(run(state, "verify", "--json").output)
    assert [p["whole"] for p in found["partitions"]] == [False, True]
    assert len(found["damages"]) == 1
    (state / "seeds" / "00003" / "CURRENT").write_text("MANIFEST")
    for arguments in (("show",), ("item", "no-such-item")):
        shown = run(state, *arguments)
        assert isinstance(shown.exception, RalmError), arguments


def test_values_that_are_wrong_are_told_by_item(state: Path) -> None:
    store = SeedStore.open(state / "seeds" / "00000", topic="clicks", partition=0, capacity=N)
    store._db.put(b"B\x00\x06item-1", b"12345")
    store._db.put(b"I\x00\x06item-2", b"x")
    store._db.put(b"C\x00\x06item-4", b"no centroids")
    store._db.put(b"L\x00\x06item-5", b"y")
    store._db.put(b"B\x00\x06orphan", b"")
    store._db.put(b"C\x00\x99item-7", b"")
    store._db.put(b"W", b"nonsense")
    store.close()
    (report, _), _ = verified(state)
    told = "\n".join(report.store.damages)
    for item, what in ((1, "seeds"), (2, "record"), (4, "centroids"), (5, "candidate entry")):
        assert f"the {what} of item 'item-{item}' " in told
    assert "is not a key of this format" in told
    assert "says is still to be done cannot be read" in told
    assert len(report.store.damages) == 6
    store = SeedStore.open(state / "seeds" / "00003", topic="clicks", partition=3, capacity=N)
    store._db.put(b"B\x00\x06orphan", b"")
    store._db.put(b"I\x00\x04bare", bytes(8) + b"\x05" + bytes(7))
    store.close()
    (_, report), _ = verified(state)
    assert report.store.damages == ["item 'bare' has a record of 5 seeds and no seed set"]
    assert "orphans: 1 x base seed set of items without a record" in report.line()


@pytest.mark.parametrize("rng_seed", range(2))
def test_random_damage_is_told_and_never_a_traceback(sound: Path, tmp_path: Path, rng_seed: int) -> None:
    rng, told = random.Random(rng_seed), 0
    epochs = [report.store.meta and report.store.meta.epoch for report in verified(sound)[0]]
    path = tmp_path / "state"
    for _ in range(25):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(sound, path)
        file = rng.choice([file for file in sorted(path.rglob("*")) if file.is_file()])
        size = file.stat().st_size
        way = rng.choice(["delete", "truncate", "flip"]) if size else "delete"
        if way == "delete":
            file.unlink()
        elif way == "truncate":
            os.truncate(file, rng.randrange(size))
        else:
            data = bytearray(file.read_bytes())
            data[rng.randrange(size)] ^= 1 << rng.randrange(8)
            file.write_bytes(data)
        if file.name == "format.json":
            assert isinstance(run(path, "verify").exception, SystemExit | RalmError | None), way
            continue
        reports, verifier = verified(path)
        # A store whose last batches are gone is as it was at an earlier time, and good for that.
        same = [report.store.meta and report.store.meta.epoch for report in reports] == epochs
        whole = same and all(report.whole for report in reports) and not verifier.damages
        told += not whole
        if IRRELEVANT.fullmatch(file.name):
            assert whole, (file, way)
        elif file.suffix == ".sst" or file.name.startswith(("MANIFEST", "CURRENT")):
            assert not whole, (file, way)
    assert told > 3
