"""``ralm state item --user``: whether a user is a seed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from store_history import N

from flows.cli.commands.state import command
from ralm.seed_set import SeedSet
from state.directory import write_format
from state.store.seed_store import Changes, ItemRecord, SeedStore
from state.user_keys import user_keys

USERS = [f"u{number}" for number in range(5)]


def item(state: Path, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(command, ["item", "i", "--state-dir", str(state), *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def test_a_user_is_a_seed_or_is_not(tmp_path: Path) -> None:
    write_format(tmp_path, partitions=[1])
    keys = user_keys(USERS)
    order = np.argsort(keys)
    times = 1_700_000_000_000 + np.arange(5)
    store = SeedStore.open(tmp_path / "seeds" / "00000", topic="clicks", partition=0, capacity=N)
    changes = Changes(items={"i": ItemRecord(int(times.max()), 5)})
    changes.seeds.append(("i", SeedSet(keys[order], times[order])))
    store.write(changes, position=5)
    store.close()
    assert "user" not in item(tmp_path)
    found = item(tmp_path, "--user", "u3")["user"]
    assert found == {
        "user_id": "u3",
        "user_key": f"{int(keys[3]):016x}",
        "is_seed": True,
        "ts": 1_700_000_000_003,
        "time": "2023-11-14T22:13:20.003+00:00",
        "newer_seeds": 1,
    }
    assert item(tmp_path, "--user", "nobody")["user"]["is_seed"] is False
