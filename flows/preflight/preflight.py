"""Looks at all that a flow needs before it starts: settings, bundle, state directory, port, brokers, topics, rights."""

import os
from collections.abc import Callable
from pathlib import Path

from flows.config.rules import doubtful
from flows.config.settings import Settings
from flows.kafka.probe import ASK_TIMEOUT_S
from flows.messages.codec import MAX_VALUE_BYTES, most_clusters
from flows.preflight.findings import Finding, Findings, Verdict, worst
from flows.preflight.own_address import look_at_own_address
from flows.preflight.topics import TopicUse, look_at_kafka
from flows.seed_sets.state_facts import StateFacts, look_into_state_dir
from flows.support.errors import ConfigError, RalmError
from flows.support.logs import get_logger
from flows.support.machine import address_space, file_limit
from flows.support.text import counted
from monitoring.address import host_port
from monitoring.health_server import check_address
from state.bundle.bundle import Bundle, BundleError
from state.directory import check_format
from state.owner_lock import OwnedElsewhereError, in_use, owners
from state.store.layout import StoreError

log = get_logger(__name__)

_LEAST_FILES = 256
"""Files and connections that a flow may have open besides its stores."""
_FILES_OF_PARTITION = 128
"""Files that a partition's store may have open."""
_LEAST_ADDRESSES, _GOOD_ADDRESSES = 2 << 30, 4 << 30
"""Bytes of addresses: threads have stacks, and stores and bundle are mapped, of which little is ever in memory. Where
they do not suffice the Kafka client and RocksDB end the process themselves, with no message of ours."""
_GOOD_FILES = _LEAST_FILES + 4 * _FILES_OF_PARTITION


def look(
    use: TopicUse,
    settings: Settings,
    *,
    stopped: Callable[[], bool] = lambda: False,
    answer_s: float = ASK_TIMEOUT_S,
    stores: bool = False,
) -> tuple[Findings, Bundle | None]:
    """Look at all that a flow needs; takes, makes and changes nothing.

    Args:
        use: the topics that the flow reads and writes.
        settings: the settings.
        stopped: says not to wait any longer.
        answer_s: how long to wait for an answer of a broker.
        stores: look into the stores too, and compare the topics with what they know; a start does that by itself.

    Returns:
        What was found, and the bundle if it is good.
    """
    room = _look_at_addresses(address_space())
    if any(finding.verdict is Verdict.PROBLEM for finding in room):
        return Findings(tuple(room)), None
    bundle, at_bundle = _look_at_bundle(settings, clusters="centroids" in use.writes)
    state, at_state = _look_into_state(settings) if stores else (None, _look_at_state(settings))
    findings = [_look_at_settings(settings), at_bundle, at_state, _look_at_port(settings)]
    findings += room + _look_at_files(file_limit())
    findings += look_at_own_address(settings, stopped=stopped, wait_s=answer_s)
    findings += look_at_kafka(use, settings, waiting=_say_wait, stopped=stopped, answer_s=answer_s, state=state)
    return Findings(tuple(findings)), bundle


def check_clusters(s: Settings, dim: int) -> None:
    """See that an item's centroids fit into a message, once a bundle has said how many numbers (``dim``) a vector has.

    Raises:
        ConfigError: when they do not.
    """
    most = most_clusters(dim)
    if s.clusters > most:
        msg = (
            f"clusters = {s.clusters} with the bundle's vectors of {dim} numbers could make messages of centroids that "
            f"are longer than {MAX_VALUE_BYTES} bytes, which no broker would take: set clusters to {most} or fewer"
            if most
            else f"a bundle whose vectors have {dim} numbers cannot be served, since not even one centroid fits into a "
            f"message of {MAX_VALUE_BYTES} bytes: train with a smaller dim"
        )
        raise ConfigError(msg)


def _look_at_settings(settings: Settings) -> Finding:
    given = [name for name, field in Settings.model_fields.items() if getattr(settings, name) != field.default]
    said = counted(len(given), "is not at its default", "are not at their defaults")
    text = f"{said} ({', '.join(given)})" if given else "all at their defaults"
    doubts = [(Verdict.WARNING, each) for each in doubtful(settings)]
    return worst("settings", [(Verdict.OK, text), *doubts])


def _look_at_bundle(settings: Settings, *, clusters: bool) -> tuple[Bundle | None, Finding]:
    try:
        bundle = Bundle.open(Path(settings.bundle))
        if clusters:
            check_clusters(settings, bundle.form.dim)
    except (BundleError, ConfigError) as error:
        return None, Finding("bundle", Verdict.PROBLEM, str(error))
    text = (
        f"{settings.bundle}: model version {bundle.version}, encoder {bundle.manifest['encoder']}, "
        f"{len(bundle.vectors)} users, dim {bundle.form.dim}"
    )
    return bundle, Finding("bundle", Verdict.OK, text)


def _look_at_state(settings: Settings) -> Finding:
    path = Path(settings.state_dir)
    try:
        problem = _why_not_writable(path)
        if not problem and path.is_dir():
            check_format(path)
            held = owners(path, settings.process_id)
            problem = in_use(path, held[0]) if held else ""
    except (StoreError, OwnedElsewhereError, OSError) as error:
        problem = str(error)
    if problem:
        return Finding("state directory", Verdict.PROBLEM, problem, failure=True)
    text = "is there, writable and free" if path.is_dir() else "is made at the start"
    return Finding("state directory", Verdict.OK, f"{path} {text}")


def _look_into_state(settings: Settings) -> tuple[StateFacts | None, Finding]:
    """What the stores know, None where that cannot be read, and what is thought of the directory."""
    finding = _look_at_state(settings)
    try:
        state = look_into_state_dir(Path(settings.state_dir))
    except RalmError as error:
        text = str(error) if finding.verdict is Verdict.OK else finding.text
        return None, Finding(finding.what, Verdict.PROBLEM, text, failure=True)
    if finding.verdict is Verdict.OK and state.stores:
        finding = Finding(finding.what, Verdict.OK, f"{finding.text}; stores: {len(state.stores)}")
    return state, finding


def _why_not_writable(path: Path) -> str:
    there = next(each for each in (path.absolute(), *path.absolute().parents) if os.path.lexists(each))
    if not there.is_dir():
        return f"the state directory {path} cannot be used: {there} is not a folder. Choose another --state-dir."
    if not os.access(there, os.W_OK | os.X_OK):
        advice = "Give this user the right to, or choose another --state-dir."
        why = f"this user may not write to {there}"
        if os.statvfs(there).f_flag & os.ST_RDONLY:
            advice = "Mount it so that it can be written, or choose another --state-dir."
            why = f"{there} is on a read-only file system"
        return f"the state directory {path} cannot be used: {why}. {advice}"
    return ""


def _look_at_port(settings: Settings) -> Finding:
    host, port = settings.metrics_host, settings.metrics_port and settings.metrics_port + settings.process_id
    try:
        check_address(host, port)
    except OSError as error:
        return Finding("metrics port", Verdict.PROBLEM, str(error))
    return Finding(
        "metrics port", Verdict.OK, f"{host_port(host, port)} is free" if port else f"any free one of {host}"
    )


def _look_at_files(limit: int) -> list[Finding]:
    """Whether enough files may be open; nothing is said of it where they may."""
    if limit >= _GOOD_FILES:
        return []
    text = (
        f"this process may open {limit} files; a flow needs {_LEAST_FILES}, and {_FILES_OF_PARTITION} for each of its "
        "partitions of clicks besides: raise the limit (ulimit -n, LimitNOFILE)"
    )
    return [Finding("open files", Verdict.PROBLEM if limit < _LEAST_FILES else Verdict.WARNING, text)]


def _look_at_addresses(limit: int | None) -> list[Finding]:
    if limit is None or limit >= _GOOD_ADDRESSES:
        return []
    text = (
        f"this process may have {limit >> 20} MiB of address space; a flow needs {_LEAST_ADDRESSES >> 20} and with "
        f"several partitions {_GOOD_ADDRESSES >> 20}: raise the limit (ulimit -v, LimitAS), and limit its memory "
        "by a cgroup"
    )
    return [Finding("addresses", Verdict.PROBLEM if limit < _LEAST_ADDRESSES else Verdict.WARNING, text)]


def _say_wait(topics: list[str]) -> None:
    log.info("waiting for topics that the broker does not know yet, or that have no leader", topics=topics)
