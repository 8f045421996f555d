"""The machine's limits: raised as far as the process may."""

import resource

import pytest

from flows.support.machine import file_limit, raise_file_limit


@pytest.mark.parametrize(
    ("soft", "hard", "raised"), [(64, 4096, 4096), (1024, -1, 65_536), (-1, -1, None), (9, 9, None)]
)
def test_as_many_files_as_may_be_are_opened(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised: int | None
) -> None:
    limits: list[tuple[int, int]] = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, given: limits.append(given))
    raise_file_limit()
    assert limits[1:] == ([] if raised is None else [(raised, hard)])
    assert file_limit() == (raised or (65_536 if soft == -1 else soft))
