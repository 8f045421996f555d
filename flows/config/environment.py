"""Which variables of the environment are settings, which only look like it, and which are a mistake.

The prefix is shared with the platform: where a Kubernetes Service is called ``ralm`` or ``ralm-metrics``, every
container of its namespace gets ``RALM_SERVICE_HOST``, ``RALM_METRICS_PORT=tcp://...`` and others, and so it is with the
links of container engines. They are recognised by name and value together, so that a setting that is misspelt is still
refused.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from flows.config.fields import PREFIX, cut_short, is_masked, nearest, variable
from flows.config.settings import Settings

_SERVICE = rf"{PREFIX}(?:[A-Z0-9_]+_)?"
_AT_PORT = rf"{_SERVICE}PORT_\d+_(?:TCP|UDP|SCTP)"
_NUMBER = re.compile(r"\d{1,5}", re.ASCII)
_PROTOCOL = re.compile(r"tcp|udp|sctp", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+:\d{1,5}", re.IGNORECASE | re.ASCII)
_INJECTED = (
    (re.compile(rf"{_SERVICE}SERVICE_PORT(?:_[A-Z0-9_]+)?|{_AT_PORT}_PORT"), _NUMBER),
    (re.compile(rf"{_SERVICE}PORT|{_AT_PORT}"), _ADDRESS),
    (re.compile(rf"{_AT_PORT}_PROTO"), _PROTOCOL),
    (re.compile(rf"{_SERVICE}NAME"), re.compile(r"/\S+/\S+")),
    (re.compile(rf"{_SERVICE}ENV_.+"), re.compile(r"(?s).*")),
)
"""The last two are of links between containers (``docker run --link``)."""
_HOST = re.compile(rf"{_SERVICE}SERVICE_HOST|{_AT_PORT}_ADDR")
_TEST = f"{PREFIX}TEST_"
_SETTINGS = {variable(name): name for name in Settings.model_fields}
_KNOWN = {*_SETTINGS, f"{PREFIX}CONFIG"}


def is_injected(name: str, value: str) -> bool:
    """Whether a platform made a variable for a Service of its own, by the variable's name and value.

    >>> is_injected("RALM_PORT", "tcp://10.96.0.12:9464"), is_injected("RALM_METRICS_PORT", "9464")
    (True, False)
    """
    if _HOST.fullmatch(name):
        return _is_ip_address(value)
    return any(names.fullmatch(name) and values.fullmatch(value) for names, values in _INJECTED)


def _is_blanked(name: str, value: str) -> bool:
    """Whether somebody has emptied a variable that a platform makes, which is how one is got rid of."""
    return not value.strip() and any(names.fullmatch(name) for names in (_HOST, *(names for names, _ in _INJECTED)))


def given_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment gives, by setting; an empty variable gives nothing.

    What files of variables and mounted secrets leave at a value's ends, a line's end above all, is not part of it; of
    a password only the line's end is taken away.
    """
    given = {
        _SETTINGS[name]: value.rstrip("\r\n") if is_masked(Settings.model_fields[_SETTINGS[name]]) else value.strip()
        for name, value in environment.items()
        if name in _SETTINGS and not is_injected(name, value)
    }
    return {name: value for name, value in given.items() if value}


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """What to say of each variable that has our prefix and is neither a setting nor a platform's."""
    for name, value in environment.items():
        ours = name.startswith(PREFIX) and not name.startswith(_TEST) and name not in _KNOWN
        if ours and not is_injected(name, value) and not _is_blanked(name, value):
            yield f"the variable {cut_short(name)} is not a setting{nearest(name, list(_SETTINGS))}"
        elif name not in _KNOWN and name.upper() in _KNOWN:
            yield f"the variable {name} is not a setting: it is written {name.upper()}"


def passed_over(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """The variables that give nothing although they have our prefix: why, and their names."""
    said: dict[str, list[str]] = {}
    for name, value in sorted(environment.items()):
        if name.startswith(PREFIX) and is_injected(name, value):
            said.setdefault("variables that the platform made for a Service are not taken as settings", []).append(name)
        elif (name in _KNOWN and not value.strip()) or _is_blanked(name, value):
            said.setdefault("empty variables are taken as if they were not set", []).append(name)
    return said


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
