"""The common layout: what is missing from a folder, and cuts that leave nothing."""

import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.offline.datasets.layout import Dataset, check, load, save
from flows.support.errors import RalmError


def small() -> Dataset:
    users, items = np.array(["u0", "u1"]), np.array(["i0", "i1"])
    fields = {"kind": ("categorical", np.array(["a", "b"]))}
    return check(Dataset("small", users, items, np.array([0, 1000]), users, fields, items, np.array(["p|q", ""])))


def test_a_folder_without_a_data_set_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RalmError, match="bring one with `ralm data NAME`"):
        load(tmp_path)
    save(small(), tmp_path)
    assert load(tmp_path).fingerprint() == small().fingerprint()
    np.savez(tmp_path / "users.npz", id=np.array(["u0", "u1"]))
    with pytest.raises(RalmError, match="KeyError"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [("fields.json", b"[1]"), ("fields.json", b"[" * 5000), ("fields.json", b'{"name": "a", "fields": 3}')]
    + [("users.npz", content) for content in (b"", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), b"\x93NUMPY")],
)
def test_a_damaged_folder_is_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    save(small(), tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RalmError, match="bring one with `ralm data NAME`"):
        load(tmp_path)


def test_a_folder_that_was_cut_off_over_an_older_one_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new clicks beside the old users would be other users' clicks."""
    save(small(), tmp_path)
    written = np.savez

    def full(path: Path, **columns: np.ndarray) -> None:
        if path.name == "users.npz":
            raise OSError(errno.ENOSPC, "No space left on device")
        written(path, **columns)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*test_a_folder"):
        save(small(), tmp_path)
    with pytest.raises(RalmError, match="bring one with `ralm data NAME`"):
        load(tmp_path)


def test_clicks_of_one_moment_are_not_said_to_be_too_few() -> None:
    data = small()
    data = replace(data, event_times=np.full(2, 1_732_440_000_000))
    with pytest.raises(RalmError, match="the first 2 of 2 clicks have the same time, 1732440000000 ms"):
        data.time_at(0.9)


def test_an_empty_side_of_a_cut_is_refused() -> None:
    with pytest.raises(RalmError, match="leaves one side empty"):
        small().time_at(1.0)


def test_what_the_system_refuses_to_read_is_not_taken_for_another_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, *_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(PermissionError):
        load(tmp_path)
