"""The table of settings as Markdown."""

from pydantic import BaseModel

from flows.config.fields import allowed, flag, group_of, shown_value, variable


def markdown(settings: type[BaseModel]) -> str:
    """The table: flag, variable, TOML key, default, what may be given, and what it is."""
    rows = ["| flag | variable | TOML key | default | may be | what |", "| --- | --- | --- | --- | --- | --- |"]
    group = ""
    for name, field in settings.model_fields.items():
        if group_of(field) != group:
            group = group_of(field)
            rows.append(f"| **{group}** | | | | | |")
        cells = (
            f"`{flag(name)}`",
            f"`{variable(name)}`",
            f"`{name}`",
            f"`{shown_value(field, field.default)}`",
            allowed(field).partition(" such as ")[0],
            str(field.description),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)
