"""The bundle: whole or refused, and never half of one."""

import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ralm.scoring import AttentionWeights
from state.atomic_file import file_sha256
from state.bundle import bundle as bundles
from state.bundle.bundle import Bundle, BundleError, write_bundle
from state.bundle.manifest import FILES, MANIFEST
from state.user_keys import user_keys

IDS = [f"user-{number}" for number in range(30)]


def write(path: Path, rng_seed: int = 0, **more: object) -> str:
    rng, h = np.random.default_rng(rng_seed), 8
    given = {
        "towers": AttentionWeights(
            rng.normal(size=(h, h)).astype("f4"), rng.normal(size=(3, h)).astype("f4"), rng.normal(size=3).astype("f4")
        ),
        "user_tower": {"mlp": np.ones((2, 2), np.float32)},
        "lookalike": {"fc": np.ones((2, 2), np.float32)},
        "keys": user_keys(IDS),
        "vectors": rng.normal(size=(30, h)).astype("f4"),
        "details": {"figures": {"auc": 0.7}},
    }
    return write_bundle(path, **{**given, **more})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 8)).astype("f4")
    version = write(tmp_path / "b", vectors=vectors)
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.version == version
    assert len(version) == 16
    assert bundle.manifest["figures"] == {"auc": 0.7}
    rows = bundle.vectors.rows(user_keys([*IDS[::-1], "stranger"]))
    assert rows[-1] == -1
    np.testing.assert_array_equal(bundle.vectors.gather(rows[:-1]), vectors[::-1])
    assert isinstance(bundle.vectors.vectors, np.memmap)
    assert bundle.weights("user_tower")["mlp"].shape == (2, 2)


def test_the_version_is_that_of_the_content(tmp_path: Path) -> None:
    same = {write(tmp_path / name, details={"made": name}) for name in ("a", "b")}
    assert len(same) == 1
    assert write(tmp_path / "c", rng_seed=1) not in same


def test_an_older_bundle_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "b")
    version = write(tmp_path / "b", rng_seed=1)
    assert Bundle.open(tmp_path / "b").version == version
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("fails", ["write_bytes", "sync", "rename"])
def test_a_full_disk_leaves_the_older_bundle_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    version, rename = write(tmp_path / "b"), Path.rename

    def full(path: Path, *target: Path) -> Path:
        if fails == "rename" and path.name in ("b", ".b-old"):
            return rename(path, *target)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bundles if fails == "sync" else Path, fails, full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "b", rng_seed=1)
    assert Bundle.open(tmp_path / "b").version == version
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    "file", ["keys.u64", "vectors.f32", "towers.safetensors", "user_tower.safetensors", "lookalike.safetensors"]
)
def test_a_damaged_cut_or_missing_file_is_refused_by_name(tmp_path: Path, file: str) -> None:
    write(tmp_path / "b")
    path = tmp_path / "b" / file
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(BundleError, match=rf"{file} is damaged.*[Tt]rain again"):
        Bundle.open(tmp_path / "b")
    path.write_bytes(whole[:-4])
    with pytest.raises(BundleError, match=rf"{file} has \d+ bytes"):
        Bundle.open(tmp_path / "b", verify=False)
    path.unlink()
    with pytest.raises(BundleError, match=f"{file} is missing"):
        Bundle.open(tmp_path / "b")


def test_doubled_users_and_diverged_vectors_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="share a key"):
        write(tmp_path / "b", keys=user_keys(["a"] * 30))
    with pytest.raises(BundleError, match="not finite"):
        write(tmp_path / "b", vectors=np.full((30, 8), np.nan, np.float32))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("keys.u64", np.arange(30, 0, -1, dtype="<u8").tobytes(), "not ascending"),
        ("keys.u64", np.ones(30, "<u8").tobytes(), "not ascending"),
        ("towers.safetensors", None, "not finite"),
    ],
)
def test_what_its_writer_would_not_write_is_refused_though_its_hash_fits(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    path = tmp_path / "b"
    write(path)
    if content is None:
        towers = load_file(path / name)
        towers["v_global"][0] = np.nan
        save_file(towers, path / name)
    else:
        (path / name).write_bytes(content)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": (path / name).stat().st_size, "sha256": file_sha256(path / name)}
    manifest["version"] = bundles._version(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=message):
        Bundle.open(path)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_who_may_read_a_bundle_is_what_the_umask_says(
    tmp_path: Path, under: Callable[[int], object], umask: int
) -> None:
    under(umask)
    write(tmp_path / "b")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o777 & ~umask
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "b").iterdir()} == {0o666 & ~umask}


@pytest.mark.parametrize("name", sorted({*FILES, MANIFEST}))
@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE])
def test_a_file_that_may_not_be_read_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    write(tmp_path / "b")
    opened = io.open

    def refused(file: Any, *args: Any, **more: Any) -> Any:
        if Path(str(file)).name == name:
            raise OSError(number, os.strerror(number), str(file))
        return opened(file, *args, **more)

    monkeypatch.setattr(io, "open", refused)
    with pytest.raises(BundleError, match=f"{name} cannot be read: {os.strerror(number)}. It may be whole") as caught:
        Bundle.open(tmp_path / "b")
    assert ("let this user read" in str(caught.value)) == (number == errno.EACCES)
