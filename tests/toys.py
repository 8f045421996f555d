"""Toy bundles: random weights, random vectors; and bundles whose manifest fits what should not be in them."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ralm.encoders.encoder import EncoderPart, unit
from ralm.encoders.profiles import ProfileWeights
from ralm.scoring import AttentionWeights, CountedForm, ScoreForm
from state.atomic_file import file_sha256
from state.bundle.bundle import Bundle, version_of
from state.bundle.vectors import UserSums
from state.bundle.write import BundleContent, write_bundle
from state.item_keys import item_keys
from state.user_keys import user_keys


def toy_bundle(
    path: Path,
    users: Sequence[str],
    *,
    dim: int = 8,
    scale: float = 1.0,
    paper: bool = False,
    titles: dict[str, str] | None = None,
    histories: Mapping[str, Sequence[str]] | None = None,
    rng_seed: int = 0,
) -> Bundle:
    """Write a bundle in which these users have vectors, and open it.

    Args:
        path: its directory.
        users: their identifiers.
        dim: h, of the vectors.
        scale: of the paper's attention weights.
        paper: whether scores have the paper's form.
        titles: of some items.
        histories: of each user its items, the newest first; then the encoder is inductive.
        rng_seed: fixes all numbers.
    """
    rng, attention = np.random.default_rng(rng_seed), 4
    form: ScoreForm = CountedForm(dim)
    if paper:
        shapes = ((dim, dim), (attention, dim), (attention,))
        form = AttentionWeights(*(rng.normal(scale=scale, size=s).astype("f4") for s in shapes))
    vectors = rng.normal(size=(len(users), dim)).astype("f4")
    named = titles or {}
    inductive = _inductive(histories, list(users), dim, rng) if histories is not None else {}
    content = BundleContent(
        "toy",
        form,
        user_keys(list(users)),
        vectors if paper else unit(vectors),
        np.arange(len(users)),
        **{"item_keys": item_keys(list(named)), "titles": list(named.values()), **inductive},
    )
    write_bundle(path, content, {})
    return Bundle.open(path)


def _inductive(
    histories: Mapping[str, Sequence[str]], users: Sequence[str], dim: int, rng: np.random.Generator
) -> dict[str, Any]:
    """An item table and what users' vectors were made from; the vectors themselves are others."""
    items = sorted({item for mine in histories.values() for item in mine})
    table, start = rng.normal(size=(len(items), dim)).astype("f4"), np.cumsum([0, *(len(histories[u]) for u in users)])
    history = np.array([items.index(item) for user in users for item in histories[user]], np.int32)
    part = EncoderPart(table, ProfileWeights.none(dim), unit(np.ones((1, dim)))[0])
    sums = np.array([table[history[a:b]].sum(axis=0) for a, b in pairwise(start.tolist())], np.float32)
    kept = UserSums(sums, np.zeros((len(users), 0), np.float32), history, start.astype(np.uint64))
    return {"item_keys": item_keys(items), "titles": None, "parts": (part,), "sums": kept}


def rewrite(path: Path, **changes: object) -> None:
    """Change a bundle's manifest, and have it fit what the bundle's files are now."""
    manifest = {**json.loads((path / "manifest.json").read_text()), **changes}
    for name in manifest["files"]:
        if (path / name).is_file():
            size = (path / name).stat().st_size
            manifest["files"][name] = {"bytes": size, "sha256": file_sha256(path / name)}
    manifest["version"] = version_of(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
