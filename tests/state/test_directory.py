"""The state's format: another one is refused with the way to migrate, and nothing is written then."""

import json
import re
from pathlib import Path

import pytest
from store_history import Crashed, N

from state.directory import check_format, mark_format, note_partition_count, partition_counts, read_format
from state.store.meta import STATE_FORMAT
from state.store.seed_store import SeedStore, StoreError


def contents(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def test_a_new_directory_is_marked_once(tmp_path: Path) -> None:
    assert read_format(tmp_path / "state") is None
    check_format(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    mark_format(tmp_path / "state")
    before = contents(tmp_path / "state")
    mark_format(tmp_path / "state")
    assert contents(tmp_path / "state") == before
    assert read_format(tmp_path / "state") == STATE_FORMAT
    assert [file.name for file in (tmp_path / "state").iterdir()] == ["format.json"]


def test_a_directory_with_state_and_no_mark_is_of_the_first_format(tmp_path: Path) -> None:
    file = tmp_path / "seeds" / "00003" / "CURRENT"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert read_format(tmp_path) == 1
    with pytest.raises(StoreError, match=r"format 1;.*Drain the flow with the version that wrote it.*move"):
        mark_format(tmp_path)
    assert list(contents(tmp_path)) == [str(file)]


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ('{"format": 4}', "newer version wrote it: run that version; or move .* restore a backup"),
        ('{"format": 1}', "Drain the flow"),
        ("", r"format\.json cannot be read"),
        ('{"format": 3, "partitions": [0]}', r"format\.json cannot be read"),
        ('{"format": 3, "partitions": 4}', r"format\.json cannot be read"),
        ('{"format": 3, "backup": 4}', r"format\.json cannot be read"),
        ('{"format": 3, "backup": {"all": 4}}', r"format\.json cannot be read"),
        ("[2]", r"format\.json cannot be read"),
        ("[" * 5000, r"format\.json cannot be read"),
        ('{"format": "2"}', r"format\.json cannot be read"),
        ("\xff", r"format\.json cannot be read"),
    ],
)
def test_another_or_an_unreadable_mark_is_refused(tmp_path: Path, mark: str, words: str) -> None:
    (tmp_path / "format.json").write_text(mark, encoding="latin-1")
    with pytest.raises(StoreError, match=words):
        mark_format(tmp_path)
    assert (tmp_path / "format.json").read_text(encoding="latin-1") == mark


def test_a_mark_that_is_written_as_the_refusal_says_keeps_the_number_of_partitions(
    crashed: Crashed, tmp_path: Path
) -> None:
    mark_format(tmp_path)
    note_partition_count(tmp_path, 4)
    crashed.copy(tmp_path / "seeds" / "00003")
    before = contents(tmp_path / "seeds")
    (tmp_path / "format.json").write_text("torn")
    with pytest.raises(StoreError) as refused:
        mark_format(tmp_path)
    said = re.search(r"write (\{.*?\}) there", str(refused.value))
    assert said is not None
    (tmp_path / "format.json").write_text(said[1].replace("N", "4"))
    mark_format(tmp_path)
    assert (partition_counts(tmp_path), contents(tmp_path / "seeds")) == ([4], before)
    assert note_partition_count(tmp_path, 6) == [4, 6], "a growth meanwhile is noticed"


def test_a_mark_that_the_system_does_not_give_is_not_to_be_written_anew(tmp_path: Path) -> None:
    (tmp_path / "format.json").mkdir()
    with pytest.raises(StoreError, match=r"Is a directory. Fix that .* start again") as refused:
        mark_format(tmp_path)
    assert "write {" not in str(refused.value)


@pytest.mark.parametrize(
    ("grown", "counts"), [(None, [4]), ("[2, 6]", [2, 4, 6]), ("[2, ", [4]), ("7", [4]), ('["2"]', [4])]
)
def test_the_format_before_is_migrated_with_its_counts_of_partitions(
    crashed: Crashed, tmp_path: Path, grown: str | None, counts: list[int]
) -> None:
    crashed.copy(tmp_path / "seeds" / "00003")
    (tmp_path / "format.json").write_text('{"format": 2}')
    if grown is not None:
        (tmp_path / "grown.json").write_text(grown)
    check_format(tmp_path)
    mark_format(tmp_path)
    assert (read_format(tmp_path), partition_counts(tmp_path)) == (STATE_FORMAT, counts)


def test_counts_of_partitions_are_noted_once_each(tmp_path: Path) -> None:
    assert partition_counts(tmp_path) == []
    assert note_partition_count(tmp_path, 4) == [4]
    assert note_partition_count(tmp_path, 6) == [4, 6]
    before = contents(tmp_path)
    assert note_partition_count(tmp_path, 4) == note_partition_count(tmp_path, 6) == partition_counts(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(("found", "words"), [(1, "Drain the flow"), (STATE_FORMAT + 1, "newer version wrote it")])
def test_a_store_of_another_format_is_refused_and_stays_as_it_was(
    crashed: Crashed, tmp_path: Path, found: int, words: str
) -> None:
    path = crashed.copy(tmp_path / "s")
    store = SeedStore.open(path, topic="clicks", partition=3, capacity=N)
    meta = {"topic": "clicks", "partition": 3, "position": 7, "model_version": "m", "format": found}
    store._db.put(b"M", json.dumps(meta).encode())
    store.close()
    before = contents(path)
    with pytest.raises(StoreError, match=words):
        SeedStore.open(path, topic="clicks", partition=3, capacity=N)
    with pytest.raises(StoreError, match=words):
        SeedStore.inspect(path)
    assert contents(path) == before


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b"\xff", b'{"format": "2"}', b'{"format": 2, "topic": 3}'])
def test_a_store_that_does_not_say_what_it_is_is_refused(crashed: Crashed, tmp_path: Path, value: bytes) -> None:
    path = crashed.copy(tmp_path / "s")
    store = SeedStore.open(path, topic="clicks", partition=3, capacity=N)
    store._db.put(b"M", value)
    store.close()
    with pytest.raises(StoreError, match="does not say what it is"):
        SeedStore.open(path, topic="clicks", partition=3, capacity=N)
