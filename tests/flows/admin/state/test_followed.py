"""What messages about a state directory say to do, done to the letter: nothing that was still there is lost."""

import errno
import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from state_maker import make_state, verified
from store_history import N, open_store

from flows.admin.state.backup import backup, restore
from flows.cli.commands.state import command
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.state_facts import open_state_dir
from flows.support.errors import RalmError
from state.owner_lock import OwnedElsewhereError, OwnerLock
from state.store.keys import META_KEY, WORK_KEY, item_key
from state.store.seed_store import SeedStore, StoreError

Read = Callable[[SeedStore], object]
ITEM = "item-1"


def nothing(_: str) -> None:
    pass


def contents(path: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def ralm(state: Path, said: str) -> Result:
    """Run what a message says: a command of ``ralm state``."""
    arguments = shlex.split(said.removeprefix("ralm state "))
    return CliRunner().invoke(command, arguments, env={"RALM_STATE_DIR": str(state), "RALM_MAX_SEEDS": str(N)})


def move_what_it_holds(state: Path) -> Path:
    """Move what a directory holds to another place; the directory may be a disk's, which cannot be moved."""
    aside = state.with_name(f"{state.name}-aside")
    aside.mkdir()
    for path in list(state.iterdir()):
        path.rename(aside / path.name)
    return aside


@pytest.fixture
def backed_up(state: Path, tmp_path: Path) -> Path:
    """A backup of the state."""
    backup(state, tmp_path / "backup", N, nothing)
    return tmp_path / "backup"


@pytest.mark.parametrize(
    ("key", "read"),
    [
        (META_KEY, lambda store: store),
        (WORK_KEY, OpenWork.of),
        (item_key(b"I", ITEM), lambda store: list(store.items())),
        (item_key(b"L", ITEM), lambda store: list(store.candidates())),
        (item_key(b"B", ITEM), lambda store: store.seeds(ITEM)),
        (item_key(b"D", ITEM) + bytes(8), lambda store: store.seeds(ITEM)),
        (item_key(b"O", ITEM) + bytes(24), lambda store: store.open_windows(ITEM)),
        (item_key(b"G", ITEM), lambda store: store.seeds(ITEM)),
    ],
    ids=["meta", "work", "record", "candidate", "base", "delta", "window", "since"],
)
def test_each_damaged_value_names_its_store_which_alone_is_moved_away_and_put_back(
    state: Path, backed_up: Path, key: bytes, read: Read
) -> None:
    path = state / "seeds" / "00003"
    store = open_store(path)
    store._db.put(key, b"x")
    store.close()
    other, before = contents(state / "seeds" / "00000"), verified(backed_up)[0][1].as_json()

    def look() -> None:
        with closing(SeedStore.inspect(path, N)) as opened:
            read(opened)

    with pytest.raises(StoreError) as refused:
        look()
    said = re.search(
        r"the store in (\S+).*Move that directory away: .*from a backup: `(ralm state restore .*?)`", str(refused.value)
    )
    assert said is not None, str(refused.value)
    full = said[2].replace("BACKUP", str(backed_up)).replace(" N", " 3")
    done = ralm(state, full)
    assert isinstance(done.exception, RalmError), "it is still there"
    assert f"{path} is there: move that directory away first" in str(done.exception)
    Path(said[1]).rename(state.parent / "aside")
    done = ralm(state, full)
    assert done.exit_code == 0, done.output
    look()
    open_state_dir(state)
    assert verified(state)[0][1].as_json() == before
    assert contents(state / "seeds" / "00000") == other
    assert sorted(each.name for each in (state / "seeds").iterdir()) == ["00000", "00003"]


def test_a_store_that_the_backup_lacks_or_has_damaged_is_not_put_back(state: Path, backed_up: Path) -> None:
    shutil.rmtree(state / "seeds" / "00003")
    before = contents(state)
    done = ralm(state, f"ralm state restore {backed_up} --partition 1")
    assert "has no store of partition 1" in str(done.exception)
    table = next((backed_up / "seeds" / "00003").glob("*.sst"))
    table.write_bytes(table.read_bytes()[:-50])
    done = ralm(state, f"ralm state restore {backed_up} --partition 3")
    assert "is damaged, and nothing was restored" in str(done.exception)
    with OwnerLock(state, 0, "look-alike"):
        done = ralm(state, f"ralm state restore {backed_up} --partition 3")
        assert "a flow is running on" in str(done.exception)
    (state / "process-0.lock").unlink()
    assert contents(state) == before


def test_what_lies_in_the_way_of_a_restore_is_moved_and_kept(state: Path, backed_up: Path) -> None:
    (state / "process-0.drains").write_text("3")
    (state / "lost+found").mkdir()
    before = contents(state)
    done = ralm(state, f"ralm state restore {backed_up}")
    assert "move what it holds to another place first" in str(done.exception)
    assert contents(state) == before
    aside = move_what_it_holds(state)
    (state / "lost+found").mkdir()
    (state / "process-0.lock").touch()
    done = ralm(state, f"ralm state restore {backed_up}")
    assert done.exit_code == 0, done.output
    assert contents(aside) == before
    assert [each.as_json() for each in verified(state)[0]] == [each.as_json() for each in verified(aside)[0]]


def test_a_newer_state_is_moved_and_the_backup_from_before_it_restored(state: Path, backed_up: Path) -> None:
    (state / "format.json").write_text('{"format": 99, "what": "a newer version wrote"}')
    before = contents(state)
    with pytest.raises(RalmError) as refused:
        open_state_dir(state)
    said = re.search(
        r"move what the state directory holds .* before it: `(ralm state restore BACKUP)`", str(refused.value)
    )
    assert said is not None
    aside = move_what_it_holds(state)
    assert ralm(state, said[1].replace("BACKUP", str(backed_up))).exit_code == 0
    open_state_dir(state)
    assert contents(aside) == before


def test_a_note_that_is_copied_from_a_backup_serves(state: Path, backed_up: Path) -> None:
    stores = contents(state / "seeds")
    (state / "format.json").write_text("torn")
    with pytest.raises(RalmError, match=r"Copy it from a backup \(BACKUP/format\.json\)"):
        open_state_dir(state)
    shutil.copy(backed_up / "format.json", state / "format.json")
    assert open_state_dir(state).partitions == 4
    assert contents(state / "seeds") == stores


def test_a_backup_of_another_topic_is_put_aside_and_ones_own_put_in_place(state: Path, tmp_path: Path) -> None:
    make_state(tmp_path / "other", 7)
    foreign = tmp_path / "foreign"
    backup(tmp_path / "other", foreign, N, nothing)
    own = tmp_path / "own"
    restore(foreign, own, N, nothing)
    facts = open_state_dir(own)
    assert facts.of_another("clicks", 0) == ""
    said = facts.of_another("ralm.clicks", 0)
    assert f"{own / 'seeds' / '00000'} has the seeds of topic 'clicks', partition 0, and not of 'ralm.clicks'" in said
    assert "set it back" in said
    move_what_it_holds(own)
    restore(state, own, N, nothing)
    assert [each.as_json() for each in verified(own)[0]] == [each.as_json() for each in verified(state)[0]]


def test_two_stores_that_were_mixed_up_go_back_to_where_they_were(state: Path) -> None:
    first, other = state / "seeds" / "00000", state / "seeds" / "00003"
    before = [each.as_json() for each in verified(state)[0]]
    for one, to in ((first, "x"), (other, "00000"), (first.with_name("x"), "00003")):
        one.rename(one.with_name(to))
    said = open_state_dir(state).of_another("clicks", 0)
    assert "if stores were mixed up, put each where it was" in said
    with pytest.raises(StoreError, match="put each where it was"):
        open_store(first, partition=0)
    for one, to in ((first, "x"), (other, "00000"), (first.with_name("x"), "00003")):
        one.rename(one.with_name(to))
    assert [each.as_json() for each in verified(state)[0]] == before


def test_of_two_processes_on_a_directory_the_second_goes_elsewhere_or_waits(state: Path, tmp_path: Path) -> None:
    with OwnerLock(state, 0, "look-alike"):
        with pytest.raises(
            OwnedElsewhereError, match=r"Stop that process first.*--process-id.*--state-dir and a --group-id"
        ):
            OwnerLock(state, 0, "seeds").__enter__()
        with OwnerLock(state, 1, "seeds"), OwnerLock(tmp_path / "own", 0, "seeds"):
            pass
    with OwnerLock(state, 0, "seeds"):
        pass


def test_a_backup_goes_into_a_new_directory_beside_the_state(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for target, words in ((state / "b", "choose a place outside it"), (tmp_path, "choose a new directory")):
        with pytest.raises(RalmError, match=words):
            backup(state, target, N, nothing)
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda self: self.name == "disk")
    with pytest.raises(RalmError, match="name a new directory on it"):
        backup(state, tmp_path / "disk", N, nothing)
    backup(state, tmp_path / "disk" / "new", N, nothing)
    with pytest.raises(RalmError, match=r"is not a backup: it has no stores"):
        restore(tmp_path / "disk", tmp_path / "elsewhere", N, nothing)
    with pytest.raises(RalmError, match="restore to another place"):
        restore(tmp_path / "disk" / "new", tmp_path / "disk" / "new" / "within", N, nothing)
    restore(tmp_path / "disk" / "new", tmp_path / "elsewhere", N, nothing)


def test_a_store_that_is_not_put_back_whole_is_not_there(
    state: Path, backed_up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state / "seeds" / "00003"
    path.rename(state.parent / "aside")

    def full(_: object, target: Path) -> None:
        target.mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", full)
        done = ralm(state, f"ralm state restore {backed_up} --partition 3")
    assert "No space left on device. Once that is fixed, restore again" in str(done.exception)
    assert [each.name for each in (state / "seeds").iterdir()] == ["00000"]
    assert ralm(state, f"ralm state restore {backed_up} --partition 3").exit_code == 0
    assert len(verified(state)[0]) == 2
