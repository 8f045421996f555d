"""What a dataflow's process makes before the engine starts."""

from pathlib import Path

import pytest

from flows import run as runner
from state.directory import recovery_folders


def test_recovery_data_that_is_still_being_made_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def make(folder: str, _: int) -> None:
        (Path(folder) / "part-0.sqlite3").touch()
        seen.append((Path(folder).parent, recovery_folders(tmp_path)))

    monkeypatch.setattr(runner, "init_db_dir", make)
    path = tmp_path / "recovery" / "look-alike"
    runner._prepare_recovery(path, 1)
    assert seen == [(path.parent, [])]
    assert recovery_folders(tmp_path) == [path]
