"""Command-line options made from the table of settings."""

import os
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo

from flows.config.environment import passed_over
from flows.config.fields import PREFIX, flag, is_list, metavar, shown_value, variable
from flows.config.groups import GROUPS, group_of, names_of
from flows.config.limits import NOT_UTF8, identifier_fault
from flows.config.settings import Settings
from flows.config.sources import default_file, load_settings, origins
from flows.support.logs import get_logger, set_up_logs

log = get_logger(__name__)

ORIGINS = "ralm.origins"
"""Key of the context's ``meta`` for where each setting came from; a setting that is not in it has its default."""


_BYTES = (click.Path, type(click.UNPROCESSED))


class _Once:
    """Takes no last of two options in silence, and no text that is not UTF-8.

    Of a setting it counts, so that a script's can be overridden, and that is said; what else is given twice, such as a
    filter, is refused.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        *_, order = self.make_parser(ctx).parse_args(list(args))  # type: ignore[attr-defined]
        for option, times in Counter(order).items():
            if times > 1 and isinstance(option, click.Option) and not (option.multiple or option.is_eager):
                words = f"{option.opts[0]} is given {times} times"
                if option.name not in Settings.model_fields:
                    raise click.UsageError(f"{words}, and only one can count", ctx)
                click.echo(f"ralm: {words}: the last counts", err=True)
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        for param in self.get_params(ctx):  # type: ignore[attr-defined]
            # A path may be any bytes, as may what is taken as it is; of a setting its origin is said too.
            if not isinstance(param.type, _BYTES) and param.name not in Settings.model_fields:
                given = ctx.params.get(param.name)
                for text in given if isinstance(given, tuple) else (given,):
                    if isinstance(text, str) and identifier_fault(text) == NOT_UTF8:
                        name = param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
                        msg = f"{name} {NOT_UTF8}"
                        raise click.UsageError(msg, ctx)
        return rest


class OnceCommand(_Once, click.Command):
    """A command whose options may be given once; its help shows settings by what they are for."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options: the command's own, then each group of settings under its name."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(_section(param), []).append(record)
        for title in sorted(sections, key=_place):
            with formatter.section(title):
                formatter.write_dl(sections[title])


class OnceGroup(_Once, click.Group):
    """A group of such commands."""

    command_class = OnceCommand


def with_settings(*taken: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command some settings as options, and a first argument ``settings``.

    All other settings keep what file, environment and defaults say. ``--config``, ``--log-level`` and ``--log-format``
    come with it. For a command of the group ``kafka``, librdkafka is asked whether it can use the settings before the
    command begins.

    Args:
        taken: names of groups, or of single settings.
    """
    names = [*names_of(*taken, "logs"), *(name for name in taken if name not in GROUPS)]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(config: Path | None, **given: Any) -> None:
            flags = {name: given.pop(name) for name in names}
            file = config or default_file()
            given_flags = {name: v for name, v in flags.items() if v not in (None, ())}
            settings = load_settings(file, given_flags, unasked=config is None)
            click.get_current_context().meta[ORIGINS] = origins(file, given_flags)
            set_up_logs(settings.log_level, settings.log_format, settings.secrets())
            if file is not None and config is None:
                log.info("settings are read from a file in the working folder", file=str(file.absolute()))
            for why, variables in passed_over(os.environ).items():
                log.info(why, variables=variables)
            if "kafka" in taken:
                _check_kafka(settings)
            command(settings, **given)

        decorated: Callable[..., None] = run
        for name in reversed(names):
            decorated = _option(name, Settings.model_fields[name])(decorated)
        return click.option(
            "--config",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar=f"{PREFIX}CONFIG",
            help=f"TOML file with settings  [env: {PREFIX}CONFIG; default: ralm.toml, if the working folder has one]",
        )(decorated)

    return decorate


_OWN, _ALL = "Options", "Every command"


def _section(param: click.Parameter) -> str:
    """The heading under which the help shows an option."""
    group = group_of(param.name or "")
    if param.name == "config" or "--help" in param.opts or group == "logs":
        return _ALL
    return _OWN if group is None else _title(group)


def _title(group: str) -> str:
    return f"{group}: {(GROUPS[group].__doc__ or '').partition('.')[0]}".replace("`", "")


def _place(title: str) -> int:
    """Where a heading stands: the command's own options first, the groups as in docs/settings.md."""
    return [_OWN, *(_title(group) for group in GROUPS), _ALL].index(title)


def _check_kafka(settings: Settings) -> None:
    from flows.kafka.config import check_client  # noqa: PLC0415 (commands without Kafka do without its library)

    check_client(settings)


def _option(name: str, field: FieldInfo) -> Callable[[Callable[..., None]], Callable[..., None]]:
    default = shown_value(field, field.default)
    text = f"{field.description}  [env: {variable(name)}; toml: {name}; default: {default}]"
    return click.option(flag(name), name, help=text, metavar=metavar(field), multiple=is_list(field))
