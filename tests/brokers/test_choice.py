"""Which broker the tests run on, and what is said about it."""

import stat
from pathlib import Path

import pytest

from brokers import choice, kafka_jars
from brokers.choice import CLUSTER, EMBEDDED, KAFKA, BadChoiceError, Choice, Report, choose, settle
from brokers.kafka_jars import KafkaUnavailableError, kafka_version


def program(folder: Path, name: str, says: str, code: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of programs; there are no jars yet."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setattr(kafka_jars, "have_jars", lambda _: False)
    return folder


def chosen(path: Path, **environment: str) -> choice.Choice:
    return choose({"PATH": str(path), **environment})


def test_kafka_where_java_and_maven_are(path: Path) -> None:
    program(path, "java", 'openjdk version "17.0.15" 2025-04-15')
    program(path, "mvn", "")
    made = chosen(path)
    assert (made.kind, made.name, made.why) == (KAFKA, f"Apache Kafka {kafka_version()}", "")
    assert Report(made).title() == f"INTEGRATION TESTS RAN ON: Apache Kafka {kafka_version()}"


@pytest.mark.parametrize(
    ("java", "why"),
    [
        (None, "Java 17 not found"),
        ('openjdk version "11.0.2" 2019-01-15', "Kafka needs Java 17, and .* is Java 11"),
        ('java version "1.8.0_201"', "Kafka needs Java 17, and .* is Java 8"),
        ("no such thing", "Kafka needs Java 17, and .* is Java 0"),
        ('openjdk version "21-ea" 2023-09-19', "Maven not found"),
    ],
)
def test_the_embedded_broker_elsewhere_with_the_reason(path: Path, java: str | None, why: str) -> None:
    if java is not None:
        program(path, "java", java)
    made = chosen(path)
    assert made.kind == EMBEDDED
    report = Report(made)
    assert report.title() == "INTEGRATION TESTS RAN ON: the EMBEDDED BROKER ONLY"
    with pytest.raises(KafkaUnavailableError, match=why):
        kafka_jars.check_kafka(environment={"PATH": str(path)})
    assert made.why in report.lines()[-1]


def test_java_home_comes_before_the_path(path: Path, tmp_path: Path) -> None:
    program(path, "java", 'openjdk version "21" 2023-09-19')
    (tmp_path / "home").mkdir()
    program(tmp_path / "home" / "bin", "java", 'openjdk version "11.0.2"')
    assert "is Java 11" in chosen(path, JAVA_HOME=str(tmp_path / "home")).why


def test_the_environment_forces(path: Path) -> None:
    assert chosen(path, RALM_TEST_BROKER="kafka").kind == KAFKA
    assert chosen(path, RALM_TEST_BROKER="embedded").why == "RALM_TEST_BROKER=embedded"
    named = chosen(path, RALM_TEST_BOOTSTRAP_SERVERS="a:1")
    assert (named.kind, named.name) == (CLUSTER, "the cluster at a:1")


@pytest.mark.parametrize(
    "environment",
    [{"RALM_TEST_BROKER": "rabbit"}, {"RALM_TEST_BROKER": "kafka", "RALM_TEST_BOOTSTRAP_SERVERS": "a:1"}],
)
def test_a_choice_that_cannot_be_is_refused(path: Path, environment: dict[str, str]) -> None:
    with pytest.raises(BadChoiceError, match="RALM_TEST_BROKER"):
        chosen(path, **environment)


def test_jars_that_do_not_come_are_a_reason_unless_kafka_was_forced(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, "java", 'openjdk version "17.0.15" 2025-04-15')
    program(path, "mvn", "[ERROR] no route to the repository", code=1)
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(choice, "bring_jars", lambda: kafka_jars.bring_jars(tmp_path / "jars"))
    made = settle(chosen(path))
    assert (made.kind, made.why) == (
        EMBEDDED,
        "Maven could not bring Kafka's jars: no route to the repository",
    )
    with pytest.raises(KafkaUnavailableError, match="no route"):
        settle(chosen(path, RALM_TEST_BROKER="kafka"))
    assert list(tmp_path.glob("jars*")) == []


def test_the_reports_of_several_processes_are_one() -> None:
    kafka, fallen_back = Choice(KAFKA, "Apache Kafka 4.4.0"), Choice(EMBEDDED, "the EMBEDDED BROKER ONLY", "no jars")
    report = Report(kafka)
    for made in (Report(kafka), Report(fallen_back, 3, 1), Report(fallen_back, 4)):
        report.add(Report.of_fields(made.fields()))
    assert report == Report(fallen_back, 7, 1)


def test_jars_count_only_when_they_are_of_this_very_pom(tmp_path: Path) -> None:
    assert not kafka_jars.have_jars(tmp_path)
    (tmp_path / "pom.xml").write_bytes(kafka_jars.POM.read_bytes() + b" ")
    assert not kafka_jars.have_jars(tmp_path)
    (tmp_path / "pom.xml").write_bytes(kafka_jars.POM.read_bytes())
    assert kafka_jars.have_jars(tmp_path)
