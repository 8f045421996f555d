"""The bundle: whole or refused in one line, and never half of one."""

import errno
import io
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save
from toys import rewrite

from ralm.encoders.encoder import EncoderPart, TableEncoder
from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles, ProfileWeights
from ralm.scoring import AttentionWeights, CountedForm
from state.bundle import write as writing
from state.bundle.bundle import Bundle, BundleError
from state.bundle.manifest import INDUCTIVE, MANIFEST, SERVED, TOWERS
from state.bundle.profile_fields import ProfileFields
from state.bundle.vectors import UserSums
from state.bundle.write import BundleContent, write_bundle
from state.item_keys import item_keys
from state.user_keys import user_keys

IDS = [f"user-{number}" for number in range(30)]
FILMS = [f"film-{number}" for number in range(12)]
FIELDS = {"categorical": {"kind": ["a", "b"]}}
DIMS = (5, 3)


def profiles() -> Profiles:
    kind = np.arange(len(IDS)) % 3
    return Profiles({"kind": (kind, 3)}, {}, np.zeros((len(IDS), 0), "f4"))


def histories(rng_seed: int) -> Histories:
    rng = np.random.default_rng(rng_seed)
    return Histories.of_items([rng.permutation(len(FILMS))[: rng.integers(0, 9)] for _ in IDS])


def content(rng_seed: int = 0) -> BundleContent:
    """Of an inductive encoder with two parts, one of which knows a profile field."""
    rng = np.random.default_rng(rng_seed)
    tables = {"kind": np.concatenate([np.zeros((1, DIMS[0])), rng.normal(size=(2, DIMS[0]))]).astype("f4")}
    none = ProfileWeights.none(DIMS[0])
    known = ProfileWeights(rng.normal(size=DIMS[0]).astype("f4"), tables, {}, none.continuous, none.middle)
    parts = tuple(
        EncoderPart(rng.normal(size=(len(FILMS), dim)).astype("f4"), weights, np.eye(dim, dtype="f4")[0], power)
        for dim, weights, power in zip(DIMS, (known, ProfileWeights.none(DIMS[1])), (0.5, 0.0), strict=True)
    )
    encoder, own = TableEncoder(parts), histories(rng_seed)
    sums = encoder.sums(own)
    base = UserSums(sums.astype("f4"), encoder.profile_part(profiles()), own.items.astype("i4"), own.start.astype("u8"))
    return BundleContent(
        "both",
        CountedForm(sum(DIMS)),
        user_keys(IDS),
        encoder.encode(own, profiles()),
        own.counts,
        item_keys=item_keys(FILMS),
        titles=[f"Film Nº {n}" if n else "" for n in range(len(FILMS))],
        parts=parts,
        sums=base,
        fields=FIELDS,
    )


def paper(rng_seed: int = 0) -> BundleContent:
    rng, h = np.random.default_rng(rng_seed), 8
    shapes = ((h, h), (3, h), (3,))
    form = AttentionWeights(*(rng.normal(size=shape).astype("f4") for shape in shapes))
    vectors = rng.normal(size=(30, h)).astype("f4")
    towers = {"user_tower.mlp": np.ones((2, 2), "f4")}
    return BundleContent("paper", form, user_keys(IDS), vectors, np.ones(30, int), towers=towers)


def write(path: Path, rng_seed: int = 0, **more: object) -> str:
    return write_bundle(path, replace(content(rng_seed), **more), {"figures": {"auc": 0.7}})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = content()
    version = write(tmp_path / "b")
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.version == version
    assert len(version) == 16
    assert bundle.manifest["figures"] == {"auc": 0.7}
    rows = bundle.vectors.rows(user_keys([*IDS[::-1], "stranger"]))
    assert rows[-1] == -1
    np.testing.assert_array_equal(bundle.vectors.gather(rows[:-1]), made.vectors[::-1])
    np.testing.assert_array_equal(bundle.vectors.clicks[rows[:-1]], made.clicks[::-1])
    assert bundle.form == made.form
    assert bundle.fields == ProfileFields({"kind": ["a", "b"]}, {}, {})
    assert bundle.items.titles_of(["film-3", "film-0", "nowhere"]) == ["Film Nº 3", "", ""]
    assert bundle.towers() == {}
    arrays = [bundle.vectors.keys, bundle.vectors.vectors, bundle.vectors.clicks, bundle.items.keys]
    arrays += [bundle.items.table, bundle.items.titles]
    assert bundle.sums is not None
    arrays += [bundle.sums.sums, bundle.sums.profiles, bundle.sums.history, bundle.sums.history_start]
    assert all(isinstance(array, np.memmap) for array in arrays)


def test_the_encoder_that_is_read_makes_the_vectors_again_and_those_of_new_users(tmp_path: Path) -> None:
    made = content()
    write(tmp_path / "b")
    bundle = Bundle.open(tmp_path / "b")
    assert bundle.encoder is not None
    assert bundle.sums is not None
    again = bundle.encoder.finish(
        bundle.sums.sums.astype("f8"), bundle.vectors.clicks.astype("i8"), bundle.sums.profiles
    )
    np.testing.assert_allclose(again, bundle.vectors.vectors, atol=1e-6)
    own, row_of = histories(0), bundle.items.rows(FILMS)
    mapped = Histories(row_of[own.items], own.start)
    np.testing.assert_allclose(bundle.encoder.encode(mapped, profiles()), made.vectors, atol=1e-6)
    (row,) = bundle.vectors.rows(user_keys([IDS[5]])).tolist()
    assert bundle.sums.history_of(row).tolist() == mapped.take(np.array([5])).items.tolist()


def test_the_papers_bundle_has_its_form_and_towers_and_no_table(tmp_path: Path) -> None:
    made = paper()
    write_bundle(tmp_path / "b", made, {})
    bundle = Bundle.open(tmp_path / "b")
    assert isinstance(bundle.form, AttentionWeights)
    np.testing.assert_array_equal(bundle.form.w_local, made.form.w_local)  # type: ignore[union-attr]
    assert (bundle.encoder, bundle.sums) == (None, None)
    assert bundle.towers()["user_tower.mlp"].shape == (2, 2)
    assert bundle.items.titles_of(["any"]) == [""]


def test_the_version_is_that_of_what_scores_depend_on(tmp_path: Path) -> None:
    same = {write_bundle(tmp_path / name, content(), {"made": name}) for name in ("a", "b")}
    same.add(write(tmp_path / "c", titles=["another name"] * len(FILMS)))
    assert len(same) == 1
    others = [write(tmp_path / "d", rng_seed=1), write(tmp_path / "e", form=CountedForm(sum(DIMS), beta=0.25))]
    assert len({*same, *others}) == 3


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

    monkeypatch.setattr(writing if fails == "sync" else Path, fails, full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "b", rng_seed=1)
    assert Bundle.open(tmp_path / "b").version == version
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("file", sorted({*SERVED, *INDUCTIVE}))
def test_a_damaged_cut_missing_or_special_file_is_refused_by_name(tmp_path: Path, file: str) -> None:
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
    os.mkfifo(path)  # to open it would wait for ever
    with pytest.raises(BundleError, match=f"{file} is not a regular file"):
        Bundle.open(tmp_path / "b")
    path.unlink()
    path.mkdir()
    with pytest.raises(BundleError, match=f"{file} is not a regular file"):
        Bundle.open(tmp_path / "b")


def test_a_manifest_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / MANIFEST).unlink()
    os.mkfifo(tmp_path / "b" / MANIFEST)
    with pytest.raises(BundleError, match=r"manifest.json cannot be read .*not a regular file"):
        Bundle.open(tmp_path / "b")


def test_doubled_users_and_diverged_vectors_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="two users share a key"):
        write(tmp_path / "b", user_keys=user_keys(["a"] * 30))
    with pytest.raises(BundleError, match="two items share a key"):
        write(tmp_path / "b", item_keys=item_keys(["a"] * 12))
    with pytest.raises(BundleError, match="not finite"):
        write(tmp_path / "b", vectors=np.full((30, 8), np.nan, np.float32))
    assert not (tmp_path / "b").exists()


def spoilt(name: str, place: tuple[int, ...], value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("users", lambda a: a[::-1], "not ascending"),
        ("users", np.zeros_like, "not ascending"),
        ("items", lambda a: a[::-1], "not ascending"),
        ("users", lambda a: a.astype(">u8"), "type >u8; it must be <u8"),
        ("vectors", lambda a: a.astype(">f4"), "type >f4; it must be <f4"),
        ("vectors", lambda a: a.astype("f8"), "type <f8; it must be <f4"),
        ("table", lambda a: a.astype("i4"), "type <i4; it must be <f4 or <f2"),
        ("vectors", lambda a: a[:-1], "has the shape"),
        ("vectors", np.asfortranarray, "row by row"),
        ("clicks", lambda a: a.astype("i8"), "type <i8"),
        ("vectors", spoilt("vectors", (3, 2), np.nan), "row 3 has a number that is not finite"),
        ("vectors", lambda a: a * 2, "row 0 does not have length 1"),
        ("table", spoilt("table", (1, 0), -np.inf), "row 1 has a number that is not finite"),
        ("sums", spoilt("sums", (29, 0), 1e30), "row 29 has a number that is not finite, or beyond"),
        ("profiles", spoilt("profiles", (0, 0), np.nan), "row 0 has a number"),
        ("history", spoilt("history", (0,), 12), "names an item that is not there"),
        ("history", spoilt("history", (0,), -1), "names an item that is not there"),
        ("history_start", lambda a: a[::-1], "not ascending"),
        ("history_start", spoilt("history_start", (0,), 1), "do not lead from 0"),
        ("title_start", spoilt("title_start", (12,), 2**60), "do not lead from 0"),
    ],
)
def test_what_its_writer_would_not_write_is_refused_though_its_hash_fits(
    tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    path = tmp_path / "b"
    write(path)
    file = path / f"{name}.npy"
    np.save(file, change(np.load(file)))
    rewrite(path)
    with pytest.raises(BundleError, match=message) as refused:
        Bundle.open(path)
    assert f"{name}.npy" in str(refused.value)
    assert "\n" not in str(refused.value)


def objects() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([{}, 1], object), allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize("made", [b"", b"\x93NUMPY", b"PK\x03\x04" * 9, pickle.dumps([1]), objects()])
def test_a_file_that_is_no_array_is_refused(tmp_path: Path, made: bytes) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / "sums.npy").write_bytes(made)
    rewrite(tmp_path / "b")
    with pytest.raises(BundleError, match=r"sums.npy cannot be read as an array"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("part0.bias", lambda a: a * np.nan, "not finite"),
        ("part0.categorical.kind", lambda a: a + 1e9, "beyond"),
        ("part1.nobody", lambda a: a.astype("f8"), "float64"),
        ("part0.bias", lambda a: a[:-1], "other lengths"),
        ("part0.categorical.kind", lambda a: a[:, 1:], "columns"),
        ("part0.bias", None, "bias"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tmp_path: Path, name: str, change: Callable[[np.ndarray], np.ndarray] | None, message: str, verify: bool
) -> None:
    write(tmp_path / "b")
    file = tmp_path / "b" / "weights.safetensors"
    tensors = load_file(file)
    tensor = tensors.pop(name)
    file.write_bytes(save({**tensors, **({} if change is None else {name: change(tensor)})}))
    rewrite(tmp_path / "b")
    with pytest.raises(BundleError, match=f"weights.safetensors does not fit: .*{message}"):
        Bundle.open(tmp_path / "b", verify=verify)


OTHERS = ['{"categorical": {}}', '{"categorical": {"kind": ["a"]}}', '{"categorical": {"kind": ["a", "a"]}}']


@pytest.mark.parametrize("text", ["", "[", "[]", '"x"', "[" * 100_000, *OTHERS])
def test_fields_that_are_none_or_those_of_another_encoder_are_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path / "b")
    (tmp_path / "b" / "fields.json").write_text(text)
    rewrite(tmp_path / "b")
    with pytest.raises(BundleError, match=r"fields.json cannot be read"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_who_may_read_a_bundle_is_what_the_umask_says(
    tmp_path: Path, under: Callable[[int], object], umask: int
) -> None:
    under(umask)
    for made in (content(), paper()):
        write_bundle(tmp_path / "b", made, {})
        assert (tmp_path / "b").stat().st_mode & 0o777 == 0o777 & ~umask
        assert {file.stat().st_mode & 0o777 for file in (tmp_path / "b").iterdir()} == {0o666 & ~umask}


@pytest.mark.parametrize("name", sorted({*SERVED, *TOWERS, MANIFEST}))
@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE])
def test_a_file_that_may_not_be_read_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    write_bundle(tmp_path / "b", paper(), {})
    opened = io.open

    def refused(file: Any, *args: Any, **more: Any) -> Any:
        if Path(str(file)).name == name:
            raise OSError(number, os.strerror(number), str(file))
        return opened(file, *args, **more)

    monkeypatch.setattr(io, "open", refused)
    with pytest.raises(BundleError, match=f"{name} cannot be read: {os.strerror(number)}. It may be whole") as caught:
        Bundle.open(tmp_path / "b")
    assert ("let this user read" in str(caught.value)) == (number == errno.EACCES)


def test_a_bundle_of_format_1_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write(tmp_path / "b")
    old = {"format": 1, "version": "0" * 16, "users": 1, "dim": 8, "files": {"keys.u64": {}}}
    (tmp_path / "b" / MANIFEST).write_text(json.dumps(old))
    with pytest.raises(BundleError, match=r"bundle format 1, this version reads 2\. Train again with this version"):
        Bundle.open(tmp_path / "b")
