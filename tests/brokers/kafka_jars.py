"""Apache Kafka's jars: which version, the Java that runs them, and Maven, which brings them once.

``python -m tests.brokers.kafka_jars`` (``make kafka``) brings them, or says plainly why it cannot.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
JARS = Path(__file__).parents[2] / ".ralm" / "kafka"
"""Git ignores this folder, and ``make clean`` leaves it."""

LEAST_JAVA = 17
_BRING_TIMEOUT_S = 300.0
_ASK_TIMEOUT_S = 30.0


class KafkaUnavailableError(Exception):
    """Apache Kafka cannot run here; the message says why."""


def kafka_version() -> str:
    """The version that the pom asks for."""
    found = re.search(r"<kafka.version>([^<]+)</kafka.version>", POM.read_text(encoding="utf-8"))
    assert found is not None, f"{POM} names no kafka.version"
    return found[1]


def find_java(environment: Mapping[str, str] = os.environ) -> str:
    """The program that runs Kafka: that of JAVA_HOME, otherwise the first on the path.

    Raises:
        KafkaUnavailableError: when there is none, or an older one than Kafka needs.
    """
    home, path = environment.get("JAVA_HOME"), environment.get("PATH", "")
    java = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java", path=path)
    if java is None:
        msg = f"Java {LEAST_JAVA} not found" + (f" in JAVA_HOME={home}" if home else "")
        raise KafkaUnavailableError(msg)
    found = java_version(_output([java, "-version"]))
    if found < LEAST_JAVA:
        msg = f"Kafka needs Java {LEAST_JAVA}, and {java} is Java {found}"
        raise KafkaUnavailableError(msg)
    return java


def java_version(text: str) -> int:
    """The major version in what ``java -version`` prints; 0 when there is none in it."""
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found[1]) if found else 0


def have_jars(folder: Path = JARS) -> bool:
    """Whether the folder holds the jars of this very pom: its copy is written last."""
    copy = folder / POM.name
    return copy.is_file() and copy.read_bytes() == POM.read_bytes()


def check_kafka(folder: Path = JARS, environment: Mapping[str, str] = os.environ) -> None:
    """See, in a moment and without the network, that Kafka may run here.

    Raises:
        KafkaUnavailableError: when Java is missing, or neither the jars nor Maven are there.
    """
    find_java(environment)
    if not have_jars(folder) and shutil.which("mvn", path=environment.get("PATH", "")) is None:
        msg = "Maven not found, which brings Kafka's jars"
        raise KafkaUnavailableError(msg)


def bring_jars(folder: Path = JARS) -> Path:
    """Have the jars in the folder; Maven brings what is missing.

    Returns:
        The folder.

    Raises:
        KafkaUnavailableError: when they cannot be brought.
    """
    if have_jars(folder):
        return folder
    check_kafka(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as made:
        new = Path(made) / "jars"
        _maven("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={new}")
        shutil.copy(POM, new / POM.name)
        if folder.exists():
            folder.rename(Path(made) / "old")
        new.rename(folder)
    return folder


def _maven(*arguments: str) -> None:
    command = ["mvn", "-B", "-q", "-C", "-Dstyle.color=never", "-f", str(POM), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BRING_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"Maven did not bring Kafka's jars within {_BRING_TIMEOUT_S:g} s"
        raise KafkaUnavailableError(msg) from error
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")] or ["(it says nothing)"]
        msg = f"Maven could not bring Kafka's jars: {errors[0].removeprefix('[ERROR] ')}"
        raise KafkaUnavailableError(msg)


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def main() -> int:
    """Bring the jars; the exit code is 0 even without them, since the tests do without."""
    try:
        find_java()
        bring_jars()
    except KafkaUnavailableError as error:
        print(f"{error}: the integration tests will run on the EMBEDDED BROKER ONLY")  # noqa: T201 (a command)
        print("(Debian: apt-get install openjdk-17-jre-headless maven; then make kafka)")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
