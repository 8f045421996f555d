"""All settings of a process, held to the rules between them."""

from collections.abc import Iterable, Mapping
from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from flows.config.client_options import secrets_in
from flows.config.fields import is_masked, shown_value
from flows.config.groups import GROUPS, AllSettings, names_of
from flows.config.rules import broken_rules

_ORIGIN_COLUMN = 44


class Settings(AllSettings):
    """Every setting."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        """What must hold between settings."""
        broken = list(broken_rules(self))
        if broken:
            kind = "together"
            raise PydanticCustomError(kind, "{text}", {"text": "; ".join(text for text, _ in broken), "broken": broken})
        return self

    def secrets(self) -> tuple[str, ...]:
        """Every secret, as it is: passwords, and what the options of the Kafka client may hold."""
        passwords = (self.sasl_password.get_secret_value(), self.ssl_key_password.get_secret_value())
        return tuple(
            filter(None, (*passwords, *(part for option in self.kafka_options for part in secrets_in(option))))
        )

    def shown(self, groups: Iterable[str] = tuple(GROUPS), origins: Mapping[str, str] | None = None) -> str:
        """The settings of some groups (all by default) as TOML; secrets are masked, in comments.

        Args:
            groups: the groups.
            origins: where settings came from; then each line says so.
        """
        lines = []
        for name in names_of(*groups):
            field = Settings.model_fields[name]
            line = f"{name} = {shown_value(field, getattr(self, name))}"
            line = f"# {line}" if is_masked(field) else line
            if origins is not None:
                line = f"{line:<{_ORIGIN_COLUMN}} # {origins.get(name, 'default')}"
            lines.append(line)
        return "\n".join(lines)
