"""``ralm state backup`` and ``restore``: what comes back, what is refused, and a restore that is cut off."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from state_maker import verified
from store_history import N, uninitialised

from flows.admin.state.backup import backup, restore
from flows.cli.commands.state import command
from flows.seed_sets.state_facts import open_state_dir
from flows.support.errors import RalmError
from state.directory import backup_positions, partition_counts, write_format
from state.owner_lock import OwnerLock


def positions(path: Path) -> list[Any]:
    return [report.as_json() for report in verified(path)[0]]


def run(path: Path, *arguments: str) -> Result:
    settings = {"RALM_STATE_DIR": str(path), "RALM_MAX_SEEDS": str(N), "COLUMNS": "80"}
    return CliRunner().invoke(command, arguments, env=settings)


def refused(path: Path, words: str, *arguments: str) -> None:
    """A command of ``ralm state`` ends with words for people."""
    done = run(path, *arguments)
    assert isinstance(done.exception, RalmError), (arguments, done.output, done.exception)
    assert words in str(done.exception), arguments


def nothing(_: str) -> None:
    pass


def test_what_was_backed_up_comes_back(state: Path, tmp_path: Path) -> None:
    write_format(state, partitions=[2, 4])
    before = [report.as_json() for report in verified(state)[0]]
    backup(state, tmp_path / "b" / "one", N, nothing)
    assert sorted(file.name for file in (tmp_path / "b").iterdir()) == ["one"]
    with pytest.raises(RalmError, match="not empty"):
        backup(state, tmp_path / "b" / "one", N, nothing)
    with pytest.raises(RalmError, match="move what it holds"):
        restore(tmp_path / "b" / "one", state, N, nothing)
    shutil.rmtree(state)
    with OwnerLock(state, 1, "seeds"), pytest.raises(RalmError, match=r"a flow is running.*seeds"):
        restore(tmp_path / "b" / "one", state, N, nothing)
    restore(tmp_path / "b" / "one", state, N, nothing)
    reports, verifier = verified(state)
    after = [report.as_json() for report in reports]
    assert (partition_counts(state), backup_positions(state)) == ([2, 4], None)
    assert not verifier.damages
    assert after == before
    restore(state, tmp_path / "copy", N, nothing)  # a drained directory is a backup as it is
    assert [report.as_json() for report in verified(tmp_path / "copy")[0]] == before


def test_a_damaged_state_is_not_backed_up_and_a_damaged_backup_not_restored(state: Path, tmp_path: Path) -> None:
    backup(state, tmp_path / "good", N, nothing)
    table = next((state / "seeds" / "00003").glob("*.sst"))
    table.write_bytes(table.read_bytes()[:-50])
    with pytest.raises(RalmError, match="no backup was made"):
        backup(state, tmp_path / "bad", N, nothing)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["good", "state"]
    for number, pattern in enumerate(("seeds/00000/*.sst", "seeds/00003/*.sst", "format.json")):
        damaged = shutil.copytree(tmp_path / "good", tmp_path / f"damaged-{number}")
        file = next(damaged.glob(pattern))
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        with pytest.raises(RalmError, match=r"damaged|cannot be read"):
            restore(damaged, tmp_path / "new", N, nothing)
        assert not (tmp_path / "new").exists()


MODULE = "flows.admin.state.backup"


class KilledError(BaseException):
    """Nobody catches it."""


def killed_at(monkeypatch: pytest.MonkeyPatch, name: str, call: int) -> None:
    """End a restore in the midst of what it does."""
    made: Callable[..., Any] = getattr(import_module(MODULE), name)
    calls = []

    def die(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) > call:
            raise KilledError
        return made(*arguments, **named)

    monkeypatch.setattr(f"{MODULE}.{name}", die)


@pytest.mark.parametrize(
    ("name", "call"), [("_copy_back", 0), ("sync", 0), ("sync", 20), ("write_format", 0), ("end_restoring", 0)]
)
def test_a_restore_that_is_cut_off_is_refused_until_it_is_done_again(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    state, words = tmp_path / "state", "was cut off"
    with monkeypatch.context() as patched:
        killed_at(patched, name, call)
        with pytest.raises(KilledError):
            restore(sound, state, N, nothing)
    with pytest.raises(RalmError, match=words):
        open_state_dir(state)
    refused(state, words, "verify")
    refused(state, words, "show")
    refused(state, words, "backup", str(tmp_path / "b"))
    refused(tmp_path / "other", words, "restore", str(state))
    (state / "mine").touch()
    refused(state, "move what it holds", "restore", str(sound))
    (state / "mine").unlink()
    restore(sound, state, N, nothing)
    assert positions(state) == positions(sound)
    assert sorted(file.name for file in state.iterdir()) == ["format.json", "process-0.lock", "seeds"]
    open_state_dir(state)


def test_a_full_disk_leaves_a_restore_that_is_done_again(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", full)
        with pytest.raises(RalmError, match=r"No space left.*restored over"):
            restore(sound, tmp_path / "state", N, nothing)
    restore(sound, tmp_path / "state", N, nothing)
    assert positions(tmp_path / "state") == positions(sound)


def test_a_state_without_its_format_is_told_what_may_have_happened(state: Path) -> None:
    (state / "format.json").unlink()
    with pytest.raises(RalmError, match=r"has no format\.json.*cut short"):
        open_state_dir(state)
    refused(state, "cut short", "verify")


def test_a_directory_in_use_is_no_backup(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OwnerLock(state, 1, "look-alike"):
        refused(tmp_path / "new", "a flow is running on", "restore", str(state))
    assert not (tmp_path / "new").exists()
    lock = OwnerLock(state, 1, "look-alike")
    monkeypatch.setattr(
        "flows.admin.state.backup.begin_restoring", lambda path: (lock.__enter__(), (path / "restoring").touch())
    )
    refused(tmp_path / "new", "started meanwhile", "restore", str(state))
    lock.__exit__()
    refused(tmp_path / "new", "was cut off", "verify")


def test_a_backup_is_what_its_note_says(state: Path, tmp_path: Path) -> None:
    backup(state, tmp_path / "good", N, nothing)
    note = json.loads((tmp_path / "good" / "format.json").read_text())
    for number, (changed, words) in enumerate(
        [
            ({"backup": {"00003": "x"}}, "cannot be read"),
            ({"backup": {}}, "were written at {}"),
            ({"backup": {**note["backup"], "00003": 1}}, "3: 1"),
        ]
    ):
        bad = shutil.copytree(tmp_path / "good", tmp_path / f"bad-{number}")
        (bad / "format.json").write_text(json.dumps(note | changed))
        refused(tmp_path / "new", words, "restore", str(bad))
    shutil.rmtree(tmp_path / "good" / "seeds" / "00003")
    refused(tmp_path / "new", "damaged", "restore", str(tmp_path / "good"))
    assert not (tmp_path / "new").exists()


def test_a_backup_lies_elsewhere_than_the_state(state: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(state)
    for target in (state / "b", state / "seeds" / "b", tmp_path / "link" / "b"):
        refused(state, "is inside the state directory", "backup", str(target))
    refused(state / "new", "is inside the backup", "restore", str(state))
    assert sorted(file.name for file in state.iterdir()) == ["format.json", "seeds"]


def closed(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Have the system refuse to look into a folder, which it never does for root."""

    def guarded(made: Callable[..., Any], lists: bool) -> Callable[..., Any]:
        def call(at: Any = ".", *more: Any, **named: Any) -> Any:
            inside = not isinstance(at, int) and path in Path(at).parents
            if inside or (lists and at in (path, str(path))):
                raise PermissionError(13, "Permission denied", str(at))
            return made(at, *more, **named)

        return call

    for name in ("listdir", "scandir", "stat", "open"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name), name in ("listdir", "scandir")))


def test_what_cannot_be_read_is_told(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, target = state / "seeds" / "00003", tmp_path / "b"
    for path in (state, state / "seeds", target):
        with monkeypatch.context() as patched:
            closed(patched, path)
            if path != target:
                refused(state, "Permission denied", "verify")
            refused(state, "Permission denied", "backup", str(target / "b"))
            if path in (state, state / "seeds"):
                refused(state, "Permission denied", "show")
    with monkeypatch.context() as patched:
        closed(patched, store)
        refused(state, f"{store} cannot be read", "show")
        refused(state, f"{store} cannot be read", "backup", str(target))
        done = run(state, "verify")
        assert isinstance(done.exception, SystemExit)
        assert "partition 0: whole" in done.output
        assert f"{store} cannot be read" in done.output
    (state / "process-0.lock").symlink_to("process-0.lock")
    assert "cannot determine" in run(state, "verify").output


def test_what_is_shown_in_a_pipe_is_whole_and_there_as_json(state: Path) -> None:
    rows = [json.loads(line) for line in run(state, "show", "--json").output.splitlines()]
    assert len(rows) == len(positions(state))
    shown = run(state, "show").output
    for row in rows:
        assert row["model_version"] in shown
        assert row["newest_click_time"] is None or row["newest_click_time"] in shown
    assert "…" not in shown


def test_what_is_no_store_is_passed_over(state: Path, tmp_path: Path) -> None:
    before = positions(state)
    shown = run(state, "show").output
    for name in ("lost+found", "00001.bak", "3", "00005", "000003"):
        (state / "seeds" / name).mkdir()
    for name in ("00001.bak", "3"):
        (state / "seeds" / name / "CURRENT").touch()
    (state / "seeds" / ".DS_Store").touch()
    (state / "seeds" / "00007").touch()
    assert run(state, "verify").exit_code == 0
    assert run(state, "show").output == shown
    assert positions(state) == before
    backup(state, tmp_path / "b", N, nothing)
    restore(tmp_path / "b", tmp_path / "again", N, nothing)
    restore(state, tmp_path / "copy", N, nothing)
    for path in (tmp_path / "b", tmp_path / "again", tmp_path / "copy"):
        assert sorted(each.name for each in (path / "seeds").iterdir()) == ["00000", "00003"]


def test_a_store_that_was_never_made_is_empty(state: Path, tmp_path: Path) -> None:
    uninitialised(state / "seeds" / "00001", 1)
    done = run(state, "verify")
    assert done.exit_code == 0, done.output
    assert "partition 1" not in done.output
    assert [run(state, *arguments).exit_code for arguments in (("show",), ("item", "item-1"))] == [0, 0]
    backup(state, tmp_path / "backup", N, nothing)
    assert sorted(path.name for path in (tmp_path / "backup" / "seeds").iterdir()) == ["00000", "00003"]


def test_where_no_lock_can_be_looked_at_verify_says_so_and_a_restore_is_refused(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with OwnerLock(state, 0, "look-alike"):
        pass
    backup(state, tmp_path / "backup", N, nothing)
    monkeypatch.setattr(fcntl, "flock", fail)
    reports, verifier = verified(state)
    assert all(report.whole for report in reports)
    assert any("cannot determine" in note for note in verifier.notes)
    backup(state, tmp_path / "another", N, nothing)  # which no lock is needed for
    with pytest.raises(RalmError, match="cannot determine"):
        restore(tmp_path / "backup", state, N, nothing)
