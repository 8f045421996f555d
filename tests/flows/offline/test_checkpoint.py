"""What is kept of a stopped training."""

from pathlib import Path

import pytest
import torch

from flows.offline.checkpoint import FileCheckpoint

STATE = {"modules": {"w": torch.arange(3.0)}, "log": [{"stage": "user tower", "epoch": 1, "loss": 0.5}]}


def test_a_stage_is_read_back_and_cleared(tmp_path: Path) -> None:
    kept = FileCheckpoint(tmp_path / "c", "this training")
    assert kept.load("user tower") is None
    kept.save("user tower", STATE)
    found = FileCheckpoint(tmp_path / "c", "this training").load("user tower")
    assert found is not None
    assert torch.equal(found["modules"]["w"], STATE["modules"]["w"])
    assert found["log"] == STATE["log"]
    kept.clear()
    assert not (tmp_path / "c").exists()


def test_another_training_and_a_broken_file_are_not_used(tmp_path: Path) -> None:
    kept = FileCheckpoint(tmp_path, "this training")
    kept.save("user tower", STATE)
    assert FileCheckpoint(tmp_path, "another training").load("user tower") is None
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for broken in (b"", b"nonsense", whole[: len(whole) // 2]):
        file.write_bytes(broken)
        assert kept.load("user tower") is None


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = FileCheckpoint(tmp_path, "this training")
    kept.save("user tower", STATE)
    (file,) = tmp_path.iterdir()
    torch.save({"log": print}, file)
    assert kept.load("user tower") is None
