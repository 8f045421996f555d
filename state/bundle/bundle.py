"""The bundle: what the offline side hands to the online side, in one directory (format 2).

=========================  ==========================================================================
``manifest.json``          format, version, encoder, form and weights of the score, hyperparameters,
                           validation figures, fingerprint of the data; size and SHA-256 of every file
``weights.safetensors``    the weights of the score's form and of the encoder's profile part
``users.npy``              user keys, uint64[n], ascending
``vectors.npy``            their look-alike vectors, float32[n, h]
``clicks.npy``             distinct items that each vector was made from, uint32[n]
``items.npy``              item keys, uint64[I], ascending
``titles.npy``             display names of the items, UTF-8 one after another, uint8
``title_start.npy``        where each begins, uint64[I + 1]
``fields.json``            the values of each profile field in the order of their codes
of an inductive encoder    besides
``table.npy``              e_j, what a click adds to its user's sum, float32[I, h]
``sums.npy``               each user's sum, float32[n, h]
``profiles.npy``           P_u, the part of each user's profile, float32[n, h], or [n, 0]
``history.npy``            each user's items as rows of the table, the newest first, int32
``history_start.npy``      where each user's begin, uint64[n + 1]
of the paper's encoder     besides
``towers.safetensors``     both towers whole, to go on training
=========================  ==========================================================================

It is written beside its place, synced, and then renamed: there is a whole bundle or none. Nothing in it is pickled.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ralm.encoders.encoder import EncoderPart, TableEncoder
from ralm.scoring import COUNTED, ScoreForm
from state.atomic_file import file_sha256
from state.bundle.arrays import MOST, check_ascending, check_numbers, check_regular, check_starts, mapped
from state.bundle.items import BundleItems
from state.bundle.manifest import (
    AGAIN,
    BUNDLE_FORMAT,
    MANIFEST,
    NOT_SCORED,
    BundleError,
    Head,
    read_manifest,
    unreadable,
)
from state.bundle.profile_fields import ProfileFields
from state.bundle.vectors import UserSums, UserVectors
from state.bundle.weights import finite, form_of, parts_of
from state.nesting import json_of

__all__ = ["BUNDLE_FORMAT", "Bundle", "BundleError"]


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle.

    Attributes:
        path: its directory.
        version: content hash, 16 hexadecimal digits; centroids carry it.
        manifest: everything that the manifest says.
        form: of the scores, with its weights.
        vectors: the users' look-alike vectors.
        items: what is known of items.
        encoder: makes vectors of further histories and profiles; None where it is not inductive.
        sums: what the users' vectors were made from; None where the encoder is not inductive.
        fields: the profile fields, and what their values are coded as.
    """

    path: Path
    version: str
    manifest: Mapping[str, Any]
    form: ScoreForm
    vectors: UserVectors
    items: BundleItems
    encoder: TableEncoder | None
    sums: UserSums | None
    fields: ProfileFields

    @property
    def is_profiled(self) -> bool:
        """Whether a user's profile moves its vector."""
        return self.sums is not None and self.sums.profiles.shape[1] > 0

    @classmethod
    def open(cls, path: Path, *, verify: bool = True) -> Self:
        """Load a bundle.

        Args:
            path: its directory.
            verify: whether to hash every file and look at every number; sizes, types and shapes are checked in any
                case.

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
        manifest, head = read_manifest(path)
        for name, expected in head.files.items():
            _check_file(path / name, expected.bytes, expected.sha256, verify=verify)
        if verify and version_of(manifest) != head.version:
            msg = f"{path / MANIFEST}: the version does not belong to what it says. {AGAIN}"
            raise BundleError(msg)
        users, items, tensors = _users(path, head), _items(path, head), tensors_in(path / "weights.safetensors")
        sums = _sums(path, head) if head.parts else None
        try:
            finite(tensors, MOST)
            form, parts = form_of(head, tensors), parts_of(head.parts, tensors, items.table)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            msg = f"{path / 'weights.safetensors'} does not fit: {str(error)[:200]}. {AGAIN}"
            raise BundleError(msg) from error
        encoder = TableEncoder(parts) if parts else None
        fields = _fields(path / "fields.json", parts)
        if verify:
            _check_values(path, head, users, items, sums)
        return cls(path, head.version, manifest, form, users, items, encoder, sums, fields)

    def towers(self) -> dict[str, NDArray[np.float32]]:
        """All tensors of both towers (``user_tower.NAME``, ``lookalike.NAME``); none without the paper's encoder.

        Raises:
            BundleError: when the file cannot be read.
        """
        return tensors_in(self.path / "towers.safetensors") if "towers.safetensors" in self.manifest["files"] else {}


def version_of(manifest: Mapping[str, Any]) -> str:
    """Depends on what scores depend on, not on when or how it was trained, nor on what items are called."""
    names = ("format", "form", "alpha", "beta", "local_temperature", "parts")
    content = {name: manifest[name] for name in names}
    content["files"] = {name: value for name, value in manifest["files"].items() if name not in NOT_SCORED}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def tensors_in(file: Path) -> dict[str, NDArray[np.float32]]:
    """The tensors of a file by name.

    Raises:
        BundleError: when it cannot be read.
    """
    try:
        tensors: dict[str, NDArray[np.float32]] = load_file(file)
    except OSError as error:
        raise unreadable(file, error) from error
    except Exception as error:  # the library raises its own, and what NumPy does of a type that it does not know
        msg = f"{file} cannot be read: {str(error)[:200]}. {AGAIN}"
        raise BundleError(msg) from error
    return tensors


def _check_file(file: Path, size: int, sha256: str, *, verify: bool) -> None:
    check_regular(file)
    found = file.stat().st_size
    if found != size:
        msg = f"{file} has {found} bytes; the manifest says {size}. {AGAIN}"
        raise BundleError(msg)
    if verify and file_sha256(file) != sha256:
        msg = f"{file} is damaged: its SHA-256 is not the manifest's. {AGAIN}"
        raise BundleError(msg)


def _users(path: Path, head: Head) -> UserVectors:
    return UserVectors(
        mapped(path / "users.npy", ("<u8",), (head.users,)),
        mapped(path / "vectors.npy", ("<f4",), (head.users, head.dim)),
        mapped(path / "clicks.npy", ("<u4",), (head.users,)),
    )


def _items(path: Path, head: Head) -> BundleItems:
    nothing = np.empty((head.items, 0), np.float32)
    return BundleItems(
        mapped(path / "items.npy", ("<u8",), (head.items,)),
        mapped(path / "table.npy", ("<f4", "<f2"), (head.items, head.dim)) if head.parts else nothing,
        mapped(path / "titles.npy", ("|u1",), (head.title_bytes,)),
        mapped(path / "title_start.npy", ("<u8",), (head.items + 1,)),
    )


def _sums(path: Path, head: Head) -> UserSums:
    return UserSums(
        mapped(path / "sums.npy", ("<f4",), (head.users, head.dim)),
        mapped(path / "profiles.npy", ("<f4",), (head.users, head.dim if head.profiled else 0)),
        mapped(path / "history.npy", ("<i4",), (head.clicks,)),
        mapped(path / "history_start.npy", ("<u8",), (head.users + 1,)),
    )


def _check_values(path: Path, head: Head, users: UserVectors, items: BundleItems, sums: UserSums | None) -> None:
    """Look at every number: what passes here makes no scorer fail, and no score that is not a number."""
    check_ascending(path / "users.npy", users.keys, what="the keys")
    check_ascending(path / "items.npy", items.keys, what="the keys")
    check_numbers(path / "vectors.npy", users.vectors, unit=head.form == COUNTED)
    check_starts(path / "title_start.npy", items.title_start, head.title_bytes, "the names")
    if sums is None:
        return
    check_numbers(path / "table.npy", items.table)
    check_numbers(path / "sums.npy", sums.sums)
    check_numbers(path / "profiles.npy", sums.profiles)
    check_starts(path / "history_start.npy", sums.history_start, head.clicks, "the histories")
    history = sums.history
    if len(history) and not 0 <= int(history.min()) <= int(history.max()) < head.items:
        msg = f"{path / 'history.npy'} names an item that is not there. {AGAIN}"
        raise BundleError(msg)


def _fields(file: Path, parts: tuple[EncoderPart, ...]) -> ProfileFields:
    try:
        fields = ProfileFields.of_json(json_of(file.read_bytes()))
        fields.check(parts)
    except (ValueError, TypeError) as error:
        msg = f"{file} cannot be read ({type(error).__name__}: {str(error)[:200]}). {AGAIN}"
        raise BundleError(msg) from error
    return fields
