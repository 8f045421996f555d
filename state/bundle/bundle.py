"""The bundle: what the offline side hands to the online side, in one directory.

=========================  ==========================================================================
``manifest.json``          format, version, dimensions, alpha, beta, hyperparameters, figures, fingerprint
                           of the data, and size and SHA-256 of every other file
``towers.safetensors``     the look-alike towers' attention weights, which serving needs
``lookalike.safetensors``  the look-alike towers whole, to go on training or to transform new users
``user_tower.safetensors`` the user tower
``keys.u64``               user keys, little-endian uint64, ascending
``vectors.f32``            their look-alike vectors, little-endian float32, row by row
=========================  ==========================================================================

It is written beside its place, synced, and then renamed: there is a whole bundle or none. Nothing in it is pickled.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ralm.scoring import AttentionWeights
from state.atomic_file import file_sha256, sync, unused_name
from state.bundle.manifest import AGAIN, BUNDLE_FORMAT, MANIFEST, BundleError, read_manifest, unreadable
from state.bundle.vectors import UserVectors

__all__ = ["BUNDLE_FORMAT", "Bundle", "BundleError", "write_bundle"]

_TOWERS = ("w_local", "w_global", "v_global")


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Attributes:
        path: its directory.
        version: content hash, 16 hexadecimal digits; centroids carry it.
        manifest: everything that the manifest says.
        towers: the attention weights.
        vectors: the users' look-alike vectors.
    """

    path: Path
    version: str
    manifest: Mapping[str, Any]
    towers: AttentionWeights
    vectors: UserVectors

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> Self:
        """Load a bundle.

        Args:
            path: its directory.
            verify: whether to hash every file; sizes and dimensions are checked in any case.

        Raises:
            BundleError: when something is missing, damaged, of another format or of the wrong dimension, or may not be
                read.
        """
        try:
            return cls._open(path, verify=verify)
        except OSError as error:
            raise unreadable(path, error) from error

    @classmethod
    def _open(cls, path: Path, *, verify: bool) -> Self:
        manifest = read_manifest(path)
        for name, expected in manifest["files"].items():
            _check_file(path / name, expected, verify=verify)
        if verify and _version(manifest) != manifest["version"]:
            msg = f"{path / MANIFEST}: the version does not belong to what it says. {AGAIN}"
            raise BundleError(msg)
        users, dim = manifest["users"], manifest["dim"]
        keys = _array(path / "keys.u64", "<u8", (users,))
        if verify and not (keys[1:] > keys[:-1]).all():
            msg = f"{path / 'keys.u64'}: the keys are not ascending and distinct. {AGAIN}"
            raise BundleError(msg)
        vectors = _array(path / "vectors.f32", "<f4", (users, dim))
        towers = _towers(path, manifest)
        if towers.dim != dim:
            msg = f"{path}: the towers have {towers.dim} dimensions, the vectors {dim}. {AGAIN}"
            raise BundleError(msg)
        return cls(path, manifest["version"], manifest, towers, UserVectors(keys, vectors))

    def weights(self, name: str) -> dict[str, NDArray[np.float32]]:
        """All tensors of ``user_tower`` or ``lookalike``.

        Raises:
            BundleError: when the file cannot be read.
        """
        return _tensors(self.path / f"{name}.safetensors")


def write_bundle(
    path: Path,
    *,
    towers: AttentionWeights,
    user_tower: Mapping[str, NDArray[np.float32]],
    lookalike: Mapping[str, NDArray[np.float32]],
    keys: NDArray[np.uint64],
    vectors: NDArray[np.float32],
    details: Mapping[str, Any],
) -> str:
    """Write a bundle; an older one in the same place is replaced, and stays if the new one cannot be written.

    Args:
        path: its directory.
        towers: what serving needs of the look-alike towers.
        user_tower: tensors of the user tower.
        lookalike: tensors of the look-alike towers.
        keys: user keys, uint64[n], in any order, distinct.
        vectors: their look-alike vectors, float32[n, h].
        details: hyperparameters, figures, fingerprint of the data and the like, for the manifest.

    Returns:
        The version.

    Raises:
        BundleError: when keys repeat or a vector is not finite.
    """
    order = np.argsort(keys)
    keys, vectors = keys[order], vectors[order]
    if len(keys) > 1 and not (keys[1:] > keys[:-1]).all():
        msg = "two users share a key: an identifier is there twice, or two of them collide in 64 bits"
        raise BundleError(msg)
    if not np.isfinite(vectors).all():
        msg = "a user's vector is not finite: training has diverged; try a smaller learning rate"
        raise BundleError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    work = unused_name(path)
    work.mkdir()
    try:
        served = {name: np.ascontiguousarray(getattr(towers, name)) for name in _TOWERS}
        for part, tensors in (("towers", served), ("user_tower", user_tower), ("lookalike", lookalike)):
            # save_file of the library would make a file for its owner alone, whatever the umask
            (work / f"{part}.safetensors").write_bytes(save(dict(tensors)))
        keys.astype("<u8").tofile(work / "keys.u64")
        vectors.astype("<f4").tofile(work / "vectors.f32")
        manifest = _manifest(work, towers, len(keys), details)
        (work / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        _put_in_place(work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return str(manifest["version"])


def _manifest(work: Path, towers: AttentionWeights, users: int, details: Mapping[str, Any]) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "format": BUNDLE_FORMAT,
        "users": users,
        "dim": towers.dim,
        "alpha": towers.alpha,
        "beta": towers.beta,
        "local_temperature": towers.local_temperature,
        "prior": towers.prior,
        **details,
        "files": {
            file.name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)} for file in sorted(work.iterdir())
        },
    }
    manifest["version"] = _version(manifest)
    return manifest


def _version(manifest: Mapping[str, Any]) -> str:
    """Depends on what scores depend on, not on when or how it was trained."""
    content = {name: manifest[name] for name in ("format", "alpha", "beta", "local_temperature", "prior", "files")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


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


def _check_file(file: Path, expected: Mapping[str, Any], *, verify: bool) -> None:
    if not file.is_file():
        msg = f"{file} is missing. {AGAIN}"
        raise BundleError(msg)
    size = file.stat().st_size
    if size != expected["bytes"]:
        msg = f"{file} has {size} bytes; the manifest says {expected.get('bytes')}. {AGAIN}"
        raise BundleError(msg)
    if verify and file_sha256(file) != expected["sha256"]:
        msg = f"{file} is damaged: its SHA-256 is not the manifest's. {AGAIN}"
        raise BundleError(msg)


def _array(file: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if file.stat().st_size != size:
        msg = f"{file} has {file.stat().st_size} bytes; {shape} numbers need {size}. {AGAIN}"
        raise BundleError(msg)
    return np.memmap(file, dtype, "r", shape=shape) if size else np.empty(shape, dtype)


def _tensors(file: Path) -> dict[str, NDArray[np.float32]]:
    try:
        tensors: dict[str, NDArray[np.float32]] = load_file(file)
    except OSError as error:
        raise unreadable(file, error) from error
    except SafetensorError as error:
        msg = f"{file} cannot be read: {str(error)[:200]}. {AGAIN}"
        raise BundleError(msg) from error
    return tensors


def _towers(path: Path, manifest: Mapping[str, Any]) -> AttentionWeights:
    tensors = _tensors(path / "towers.safetensors")
    try:
        if not all(np.isfinite(tensors[name]).all() for name in _TOWERS):
            msg = "a weight is not finite"
            raise ValueError(msg)
        return AttentionWeights(
            tensors["w_local"],
            tensors["w_global"],
            tensors["v_global"],
            alpha=float(manifest["alpha"]),
            beta=float(manifest["beta"]),
            local_temperature=float(manifest["local_temperature"]),
            prior=float(manifest["prior"]),
        )
    except (KeyError, ValueError, TypeError) as error:
        msg = f"{path / 'towers.safetensors'} does not fit: {str(error)[:200]}. {AGAIN}"
        raise BundleError(msg) from error
