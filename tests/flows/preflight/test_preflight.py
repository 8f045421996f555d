"""Bundle, state directory, metrics port: looked at, never touched."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toys import toy_bundle

from flows.config.settings import Settings
from flows.preflight import preflight
from flows.preflight.findings import Finding, Verdict
from flows.preflight.preflight import check_clusters, look
from flows.run import FLOWS
from flows.support.errors import ConfigError
from state.directory import mark_format
from state.owner_lock import OwnerLock

SCORES = FLOWS["scores"].topics
SEEDS = FLOWS["seeds"].topics


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small good bundle."""
    path = tmp_path_factory.mktemp("bundle") / "b"
    toy_bundle(path, ["u"])
    return path


@pytest.fixture
def settings(bundle: Path, tmp_path: Path) -> Settings:
    """Settings with a good bundle, a new state directory, any port, and no broker."""
    return Settings(
        bundle=str(bundle), state_dir=str(tmp_path / "new" / "state"), metrics_port=0, bootstrap_servers="127.0.0.1:1"
    )


def found(settings: Settings, what: str) -> Finding:
    """What is found of one thing."""
    report, _ = look(SEEDS, settings, answer_s=0.1)
    (finding,) = [each for each in report.findings if each.what == what]
    return finding


def test_what_is_good_is_said_and_nothing_is_made(settings: Settings, tmp_path: Path) -> None:
    report, bundle = look(SCORES, settings, answer_s=0.1)
    assert bundle is not None
    assert {finding.what: finding.verdict for finding in report.findings} == {
        "settings": Verdict.OK,
        "bundle": Verdict.OK,
        "state directory": Verdict.OK,
        "metrics port": Verdict.OK,
        "broker": Verdict.PROBLEM,
        "topics, rights": Verdict.UNCHECKED,
    }
    assert bundle.version in report.findings[1].text
    assert list(tmp_path.iterdir()) == []


def test_settings_are_named_and_not_shown(settings: Settings) -> None:
    given = settings.model_copy(update={"kafka_options": ("sasl.oauthbearer.client.secret=canary",)})
    text = found(given, "settings").text
    assert "kafka_options" in text
    assert "canary" not in text
    assert preflight._look_at_settings(Settings()).text == "all at their defaults"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"window": "2h"}, "stale_after is below window"),
        ({"retention": "1h"}, "retention is below item_ttl"),
        ({"item_ttl": 0}, "item_ttl is 0, which keeps seeds for ever, and retention ends"),
        ({"seeds_retention": 0}, "seeds_retention is 0, which keeps seeds for ever"),
        ({"dead_letter_max_bytes": 1000}, "dead_letter_max_bytes is below max_message_bytes"),
    ],
)
def test_settings_that_are_seldom_meant_together_are_a_warning(given: dict[str, Any], words: str) -> None:
    finding = preflight._look_at_settings(Settings(**given))
    assert finding.verdict is Verdict.WARNING
    assert words in finding.text


@pytest.mark.parametrize(("limit", "verdicts"), [(64, [Verdict.PROBLEM]), (300, [Verdict.WARNING]), (1024, [])])
def test_too_few_files_are_said_before_anything_is_taken_for_damage(limit: int, verdicts: list[Verdict]) -> None:
    found = preflight._look_at_files(limit)
    assert [finding.verdict for finding in found] == verdicts
    assert all(f"may open {limit} files" in finding.text for finding in found)


@pytest.mark.parametrize(
    ("mib", "verdict"), [(None, None), (8192, None), (3072, Verdict.WARNING), (512, Verdict.PROBLEM)]
)
def test_a_flow_is_refused_where_libraries_would_end_it_for_want_of_addresses(
    monkeypatch: pytest.MonkeyPatch, mib: int | None, verdict: Verdict | None
) -> None:
    found = preflight._look_at_addresses(None if mib is None else mib << 20)
    assert [finding.verdict for finding in found] == ([] if verdict is None else [verdict])
    if verdict is Verdict.PROBLEM:
        monkeypatch.setattr(preflight, "address_space", lambda: 512 << 20)
        monkeypatch.setattr(preflight, "look_at_kafka", lambda *_, **__: pytest.fail("a client was made"))
        report, bundle = look(SCORES, Settings())
        assert bundle is None
        assert "512 MiB of address space" in "".join(report.lines())


def test_a_bundle_that_is_not_there_is_refused(settings: Settings, tmp_path: Path) -> None:
    report, bundle = look(SCORES, settings.model_copy(update={"bundle": str(tmp_path)}), answer_s=0.1)
    assert bundle is None
    assert (report.findings[1].verdict, report.findings[1].failure) == (Verdict.PROBLEM, False)
    assert str(tmp_path) in report.findings[1].text


def test_centroids_that_fit_into_no_message_are_refused_where_they_are_made(settings: Settings) -> None:
    many = settings.model_copy(update={"clusters": 1_000_000})
    assert "set clusters to" in found(many, "bundle").text
    report, _ = look(SCORES, many, answer_s=0.1)
    assert report.findings[1].verdict is Verdict.OK
    with pytest.raises(ConfigError, match="train with a smaller dim"):
        check_clusters(settings, 300_000)


def test_a_state_directory_that_another_holds_is_a_failure(settings: Settings) -> None:
    path = Path(settings.state_dir)
    with OwnerLock(path, 0, "seeds"):
        finding = found(settings, "state directory")
        assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, True)
        assert f"{path} is in use; its holder: " in finding.text
        assert str(os.getpid()) in finding.text
        beside = settings.model_copy(update={"process_id": 1, "addresses": "127.0.0.1:1,127.0.0.1:2"})
        assert found(beside, "state directory").verdict is Verdict.OK
    assert found(settings, "state directory").verdict is Verdict.OK


def test_one_of_another_format_is_a_failure(settings: Settings) -> None:
    path = Path(settings.state_dir)
    path.mkdir(parents=True)
    mark_format(path)
    assert found(settings, "state directory").text.endswith("is there, writable and free")
    (path / "format.json").write_text('{"format": 99}')
    finding = found(settings, "state directory")
    assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, True)
    assert "99" in finding.text


def test_one_that_cannot_be_made_is_a_failure(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a file")
    finding = found(settings, "state directory")
    assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, True)
    assert f"{tmp_path / 'new'} is not a folder. Choose another --state-dir." in finding.text


def test_one_that_may_not_be_written_is_a_failure(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)  # the tests may run as root
    finding = found(settings, "state directory")
    assert finding.verdict is Verdict.PROBLEM
    assert f"this user may not write to {tmp_path}" in finding.text


def test_one_on_a_read_only_file_system_is_a_failure(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    finding = found(settings, "state directory")
    assert "is on a read-only file system. Mount it so that it can be written" in finding.text


def test_a_port_that_is_taken_is_refused(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = found(settings.model_copy(update={"metrics_port": port}), "metrics port")
        followed = found(settings.model_copy(update={"metrics_port": 0}), "metrics port")
    assert (finding.verdict, finding.failure) == (Verdict.PROBLEM, False)
    assert followed.verdict is Verdict.OK
    assert f"cannot listen on 127.0.0.1:{port}" in finding.text
    assert "--metrics-port (0 takes any free port)" in finding.text
