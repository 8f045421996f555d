"""The rules of a game day are the rules, and one scene is played."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from .__main__ import play
from .quick_rules import quick_rules
from .scenes import SCENES

RULES = Path(__file__).parents[2] / "monitoring" / "rules"


@pytest.mark.parametrize("name", ["recording.yml", "alerts.yml"])
def test_quick_rules_are_the_same_but_for_times(name: str, tmp_path: Path) -> None:
    text = (RULES / name).read_text()
    quick = quick_rules(text, 12)
    assert quick_rules(text, 1).replace("s]", "]").count("\n") == text.count("\n")
    before, after = (yaml.safe_load(each)["groups"][0]["rules"] for each in (text, quick))
    assert [rule.get("alert") or rule["record"] for rule in before] == [
        rule.get("alert") or rule["record"] for rule in after
    ]
    for rule in after:
        assert not any(f"[{long}]" in rule["expr"] for long in ("5m", "30m", "1h", "6h", "3d", "1d")), rule
        assert "m" not in rule.get("for", ""), rule
    promtool = shutil.which("promtool")
    if promtool is not None:
        (tmp_path / name).write_text(quick)
        done = subprocess.run(
            [promtool, "check", "rules", tmp_path / name], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_ages_are_quick_too() -> None:
    quick = quick_rules((RULES / "alerts.yml").read_text() + (RULES / "recording.yml").read_text(), 10)
    for words in (
        "(ralm_heartbeat_timestamp_seconds > 0) > 6\n",
        "(ralm_snapshot_last_success_timestamp_seconds > 0) > 12\n",
        "ralm_kafka_lag_seconds:max > 30\n",
        "> bool 30\n",
        "> 2\n",
        "increase1h > 20\n",
    ):
        assert words in quick, words


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_one_scene(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("Prometheus is not installed, so no scene was played (Debian: apt-get install prometheus)")
    wrong, after, made = play(SCENES["strangers"], tmp_path, 12)
    assert wrong == []
    assert after is not None
    assert set(made.fired) == {"RalmUsersUnknown"}
