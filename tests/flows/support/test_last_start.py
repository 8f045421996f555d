"""Where the last start began, if it crashed."""

from pathlib import Path

import pytest

from flows.support.last_start import LastStart


def test_only_what_begins_where_it_began_before_an_end_without_a_word_is_suspect(tmp_path: Path) -> None:
    first = LastStart(tmp_path, 2)
    assert not first.began_at("clicks", 0, 7)
    assert not first.began_at("clicks", 1, 8)
    assert [path.name for path in tmp_path.iterdir()] == ["process-2.reading"]
    second = LastStart(tmp_path, 2)
    assert second.began_at("clicks", 0, 7)
    assert not second.began_at("clicks", 1, 9)
    assert not second.began_at("requests", 0, 7)
    assert not LastStart(tmp_path, 3).began_at("clicks", 0, 7)
    third = LastStart(tmp_path, 2)
    assert third.began_at("clicks", 1, 9)


def test_within_one_process_it_is_asked_once(tmp_path: Path) -> None:
    """A flow that begins anew since the clock was set back has not ended."""
    LastStart(tmp_path).began_at("clicks", 0, 7)
    start = LastStart(tmp_path)
    assert start.began_at("clicks", 0, 7)
    assert not start.began_at("clicks", 0, 7)


def test_an_end_by_itself_leaves_nothing(tmp_path: Path) -> None:
    start = LastStart(tmp_path)
    start.began_at("clicks", 0, 7)
    start.ended()
    assert not list(tmp_path.iterdir())
    assert not LastStart(tmp_path).began_at("clicks", 0, 7)


def test_what_would_end_the_next_start_too_is_known_to_it(tmp_path: Path) -> None:
    start = LastStart(tmp_path)
    start.began_at("clicks", 0, 7)
    start.began_at("clicks", 1, 8)
    start.ends_again("clicks", 1, 10)
    start.ended()
    for offset, suspect in ((8, True), (9, True), (10, True), (11, False), (7, False)):
        assert LastStart(tmp_path)._before == {"clicks/1": (8, 10)}
        following = LastStart(tmp_path)
        following._write = lambda: None  # type: ignore[method-assign]
        assert not following.began_at("clicks", 0, 7)
        assert following.began_at("clicks", 1, offset) is suspect


@pytest.mark.parametrize("damage", [b"", b"\xff", b"[1]", b'{"clicks/0": "7"}', b'{"clicks/0": [7]}', b"[" * 100_000])
def test_a_damaged_file_is_none(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "process-0.reading").write_bytes(damage)
    assert not LastStart(tmp_path).began_at("clicks", 0, 7)


def test_what_cannot_be_written_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "process-0.reading").mkdir()
    start = LastStart(tmp_path)
    assert not start.began_at("clicks", 0, 7)
    start.ended()
    said = "".join(capsys.readouterr())
    assert "could not record" in said
    assert "will mistake this end for a crash" in said


def test_without_a_directory_nothing_is_kept() -> None:
    start = LastStart(None)
    assert not start.began_at("clicks", 0, 7)
    start.ended()
