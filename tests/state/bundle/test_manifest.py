"""A manifest is checked before anything else of the bundle is believed."""

import json
from pathlib import Path

import pytest
from toys import toy_bundle

from state.bundle.bundle import Bundle
from state.bundle.manifest import FILES, BundleError

IDS = [f"user-{number}" for number in range(30)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "bundle format 2"),
        ({"alpha": 0.9}, "the version does not belong"),
        ({"dim": 9}, "numbers need"),
        ({"users": 31}, "numbers need"),
        ({"files": {}}, "does not name all files"),
        ({"version": None, "files": None}, "does not name all files"),
        ({"version": 7}, "Expected `str`"),
        ({"users": "many"}, "Expected `int`"),
        ({"users": -1}, "Expected `int` >= 0"),
        ({"dim": 2**62}, "Expected `int` <="),
        ({"alpha": float("nan")}, "must be finite"),
        ({"beta": 10**400}, "manifest.json cannot be read"),
        ({"files": dict.fromkeys(FILES, 5)}, "Expected `object`"),
        ({"local_temperature": 0}, "Expected `float` > 0"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    toy_bundle(tmp_path / "b", IDS)
    manifest = tmp_path / "b" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}))
    with pytest.raises(BundleError, match=message):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("name", ["../secret", "../b/keys.u64", "/etc/keys.u64"])
def test_a_manifest_cannot_lead_out_of_the_bundle(tmp_path: Path, name: str) -> None:
    toy_bundle(tmp_path / "b", IDS)
    manifest = tmp_path / "b" / "manifest.json"
    found = json.loads(manifest.read_text())
    found["files"][name] = found["files"]["keys.u64"]
    manifest.write_text(json.dumps(found))
    with pytest.raises(BundleError, match="no part of a bundle"):
        Bundle.open(tmp_path / "b")


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "{}"])
def test_nonsense_instead_of_a_manifest_is_refused(tmp_path: Path, text: str) -> None:
    toy_bundle(tmp_path / "b", IDS)
    (tmp_path / "b" / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.open(tmp_path / "b")


def test_no_bundle_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="ralm train"):
        Bundle.open(tmp_path / "nothing")
