"""Writes docs/settings.md from the settings: ``python -m flows.config.reference [--check]``."""

import sys
from pathlib import Path

from flows.config.fields import allowed, flag, shown_value, variable
from flows.config.groups import GROUPS, names_of
from flows.config.settings import Settings
from monitoring.generated import write_or_check

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
_HEAD = """# Settings

Every setting can be given in four places; the first that gives it wins:

1. the flag of a command,
2. the environment variable,
3. the key in a TOML file (at the top of the file, in no table): the file that `--config` or `RALM_CONFIG` names,
   otherwise `ralm.toml` in the working folder, which is then said in the log,
4. the default.

Durations are written `250ms`, `5s`, `5m`, `1h` or `7d`; a bare number is seconds. An unknown name and a value that is
not allowed are refused with exit code 2 before anything is touched. `ralm run FLOW --check` prints the settings in
force and where each came from; `ralm run --help` shows them by what they are for. In the environment, several
`kafka_options` are joined by commas. Your shell completes commands and flags once it was told to, for bash with
`eval "$(_RALM_COMPLETE=bash_source ralm)"` in `~/.bashrc` (`zsh_source`, `fish_source` for the others).

An empty variable is taken as if it were not set (compose files render an unset variable so); a flag or a key may be
empty. Spaces and line ends around a variable's value are no part of it, of a password's only line ends. Where a
Kubernetes Service is called `ralm`, `ralm-metrics` or the like, the platform sets variables such as
`RALM_SERVICE_HOST` and `RALM_METRICS_PORT=tcp://...`; they are recognised by name and value, and passed over. What is
empty and what is passed over is said in the log. What loads code (`eval_catalogue`, `eval_rankers`, and of
`kafka_options` `plugin.library.paths`, `ssl.engine.location`, `ssl.providers` and `sasl.kerberos.kinit.cmd`) is refused
from a `ralm.toml` that was not named.

This page is made by `python -m flows.config.reference`.
"""
_COLUMNS = "| Flag | Environment variable | TOML key | Default | Allowed values | Description |"


def page() -> str:
    """The whole page, a table for each group."""
    return "\n".join([_HEAD, *(section(group) for group in GROUPS)])


def section(group: str) -> str:
    """A group's heading, what it is about, and its table."""
    rows = [_row(name) for name in names_of(group)]
    return "\n".join([f"## {group}\n", f"{GROUPS[group].__doc__}\n", _COLUMNS, "| --- " * 6 + "|", *rows, ""])


def _row(name: str) -> str:
    field = Settings.model_fields[name]
    cells = (
        f"`{flag(name)}`",
        f"`{variable(name)}`",
        f"`{name}`",
        f"`{shown_value(field, field.default)}`",
        allowed(field).replace(" such as 250ms, 5s, 5m, 1h or 7d (a bare number is seconds)", ""),
        str(field.description),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(write_or_check(PAGE, page(), sys.argv[1:], "flows.config.reference"))
