"""Writes a bundle: whole beside its place, synced, then renamed; what is not fit to be served is not written."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from ralm.encoders.encoder import EncoderPart
from ralm.scoring import ScoreForm
from state.atomic_file import file_sha256, remove_left_behind, sync, unused_name, unused_names
from state.bundle.bundle import version_of
from state.bundle.items import joined_titles
from state.bundle.manifest import BUNDLE_FORMAT, MANIFEST, BundleError
from state.bundle.vectors import UserSums
from state.bundle.weights import head_of, tensors_of


@dataclass(frozen=True)
class BundleContent:
    """What a bundle is made of; users and items in any order.

    Attributes:
        encoder: its name.
        form: of the scores.
        user_keys: uint64[n], distinct.
        vectors: float32[n, h].
        clicks: distinct items that each vector was made from, int[n].
        item_keys: uint64[I], distinct.
        titles: of each item, empty where it has none; None: of none.
        parts: of an inductive encoder, with the item tables.
        sums: of an inductive encoder; histories name items by their place in ``item_keys``.
        towers: tensors of the paper's encoder.
        fields: the values of each profile field in the order of their codes.
    """

    encoder: str
    form: ScoreForm
    user_keys: NDArray[np.uint64]
    vectors: NDArray[np.float32]
    clicks: NDArray[Any]
    item_keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    titles: Sequence[str] | None = None
    parts: tuple[EncoderPart, ...] = ()
    sums: UserSums | None = None
    towers: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


def write_bundle(path: Path, content: BundleContent, details: Mapping[str, Any]) -> str:
    """Write a bundle; an older one in the same place is replaced, and stays if the new one cannot be written.

    Args:
        path: its directory.
        content: what is in it.
        details: hyperparameters, figures, fingerprint of the data and the like, for the manifest.

    Returns:
        The version.

    Raises:
        BundleError: when keys repeat or a vector is not finite.
    """
    content = _ordered(content)
    if not np.isfinite(content.vectors).all():
        msg = "a user's vector is not finite: training has diverged; try a smaller learning rate"
        raise BundleError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(path.parent, unused_names(path))
    work = unused_name(path)
    work.mkdir()
    try:
        _write_files(work, content)
        manifest = _manifest(work, content, details)
        (work / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        _put_in_place(work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return str(manifest["version"])


def _ordered(content: BundleContent) -> BundleContent:
    """The same with users and items in the order of their keys.

    Raises:
        BundleError: when two share a key.
    """
    users, items = np.argsort(content.user_keys), np.argsort(content.item_keys)
    for what, keys in (("users", content.user_keys[users]), ("items", content.item_keys[items])):
        if len(keys) > 1 and not (keys[1:] > keys[:-1]).all():
            msg = f"two {what} share a key: an identifier is there twice, or two of them collide in 64 bits"
            raise BundleError(msg)
    sums = content.sums
    if sums is not None:
        row_of = np.empty(len(items), np.int32)
        row_of[items] = np.arange(len(items))
        taken = sums.take(users)
        sums = replace(taken, history=row_of[taken.history])
    return replace(
        content,
        user_keys=content.user_keys[users],
        vectors=content.vectors[users],
        clicks=content.clicks[users],
        item_keys=content.item_keys[items],
        titles=None if content.titles is None else [content.titles[item] for item in items.tolist()],
        parts=tuple(replace(part, table=part.table[items]) for part in content.parts),
        sums=sums,
    )


def _write_files(work: Path, content: BundleContent) -> None:
    titles, title_start = joined_titles(content.titles or [""] * len(content.item_keys))
    arrays: dict[str, tuple[Any, str]] = {
        "users": (content.user_keys, "<u8"),
        "vectors": (content.vectors, "<f4"),
        "clicks": (content.clicks, "<u4"),
        "items": (content.item_keys, "<u8"),
        "titles": (titles, "|u1"),
        "title_start": (title_start, "<u8"),
    }
    if content.parts and content.sums is not None:
        sums = content.sums
        arrays |= {
            "table": (np.concatenate([part.table for part in content.parts], axis=1), "<f4"),
            "sums": (sums.sums, "<f4"),
            "profiles": (sums.profiles, "<f4"),
            "history": (sums.history, "<i4"),
            "history_start": (sums.history_start, "<u8"),
        }
    for name, (array, kind) in arrays.items():
        np.save(work / f"{name}.npy", np.ascontiguousarray(array, kind), allow_pickle=False)
    tensors = {"weights": tensors_of(content.form, content.parts), "towers": content.towers}
    for name, named in tensors.items():
        if named or name == "weights":
            # save_file of the library would make a file for its owner alone, whatever the umask
            (work / f"{name}.safetensors").write_bytes(save(dict(named)))
    (work / "fields.json").write_text(json.dumps(content.fields, ensure_ascii=False) + "\n")


def _manifest(work: Path, content: BundleContent, details: Mapping[str, Any]) -> dict[str, Any]:
    titles = sum(len(title.encode()) for title in content.titles or ())
    manifest: dict[str, Any] = {
        "format": BUNDLE_FORMAT,
        "encoder": content.encoder,
        **head_of(content.form, content.parts),
        "users": len(content.user_keys),
        "items": len(content.item_keys),
        "clicks": 0 if content.sums is None else len(content.sums.history),
        "title_bytes": titles,
        "profiled": content.sums is not None and content.sums.profiles.shape[1] > 0,
        **details,
        "files": {
            file.name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)} for file in sorted(work.iterdir())
        },
    }
    manifest["version"] = version_of(manifest)
    return manifest


def _put_in_place(work: Path, path: Path) -> None:
    for file in work.iterdir():
        sync(file)
    sync(work)
    old = path.with_name(f".{path.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        work.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)
