"""Writes what reads the metrics into a folder: rules, dashboards, consoles, runbooks, examples of configurations."""

import shutil
from collections.abc import Sequence
from pathlib import Path

_ROOM = Path(__file__).parent
_FOLDERS = ("rules", "dashboards", "consoles", "runbooks")
_EXAMPLE_TARGET = '["127.0.0.1:9464"]'
_EXAMPLE_REPOSITORY = "https://example.org/ralm-streaming/blob/main"
_RULES = ("recording.yml", "alerts.yml")


def export(folder: Path, targets: Sequence[str] = (), repository: str = "") -> list[str]:
    """Write everything into a folder.

    Args:
        folder: made if it does not exist; files of these names in it are overwritten, others stay.
        targets: host:port of the processes to scrape; by default the example's.
        repository: where the runbooks can be read: a URL without a slash at its end, before ``/monitoring/runbooks``.

    Returns:
        The files, as paths within the folder.

    Raises:
        OSError: when something cannot be written.
    """
    written = []
    for name in _FOLDERS:
        for path in sorted((_ROOM / name).iterdir()):
            if path.is_file():
                written.append(_copy(path, folder / name / path.name))
    deploy = _ROOM / "deploy"
    for path in sorted(deploy.rglob("*.yml")):
        written.append(_copy(path, folder / path.relative_to(deploy)))
    config = (_ROOM / "prometheus.yml").read_text("utf-8")
    if targets:
        config = config.replace(_EXAMPLE_TARGET, str(list(targets)).replace("'", '"'))
    if repository:
        config = config.replace(_EXAMPLE_REPOSITORY, repository.rstrip("/"))
    written.append(_write(folder / "prometheus.yml", config))
    written.append(_write(folder / "prometheusrule.yml", _kubernetes_rules()))
    return sorted(path.relative_to(folder).as_posix() for path in written)


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(source, target))


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def _kubernetes_rules() -> str:
    """Both files of rules as one object of the Prometheus operator."""
    lines = [
        "# The rules for the Prometheus operator, made by `ralm monitoring export`.",
        "apiVersion: monitoring.coreos.com/v1",
        "kind: PrometheusRule",
        "metadata:",
        "  name: ralm",
        "  labels: { app: ralm }",
        "spec:",
        "  groups:",
    ]
    for name in _RULES:
        text = (_ROOM / "rules" / name).read_text("utf-8")
        groups = text.partition("\ngroups:\n")[2]
        lines += [f"  {line}" if line else "" for line in groups.splitlines()]
    return "\n".join(lines) + "\n"
