"""Findings: what weighs most, what is shown, what a flow is refused with."""

import pytest

from flows.preflight.findings import Finding, Findings, Verdict, worst
from flows.support.errors import ConfigError, RalmError

GOOD = Finding("port", Verdict.OK, "free")
WARNED = Finding("topic a", Verdict.WARNING, "no broker leads partition 1")
UNCHECKED = Finding("rights", Verdict.UNCHECKED, "the broker does not say")
WRONG = Finding("topic b", Verdict.PROBLEM, "it does not exist:\n  run `ralm topics`")
AWAY = Finding("broker", Verdict.PROBLEM, "none answers", failure=True)


def test_each_finding_is_a_line_and_the_last_line_counts_them() -> None:
    assert list(Findings((GOOD, WARNED, UNCHECKED, WRONG, AWAY)).lines()) == [
        "ok         port: free",
        "warning    topic a: no broker leads partition 1",
        "unchecked  rights: the broker does not say",
        "problem    topic b: it does not exist: run `ralm topics`",
        "problem    broker: none answers",
        "before the start: 1 ok, 1 warning, 1 unchecked, 2 problems",
    ]


@pytest.mark.parametrize(
    ("seen", "verdict", "text"),
    [
        ([(Verdict.OK, "a"), (Verdict.OK, "b")], Verdict.OK, "a; b"),
        ([(Verdict.OK, "a"), (Verdict.WARNING, "b")], Verdict.WARNING, "b; a"),
        ([(Verdict.WARNING, "a"), (Verdict.UNCHECKED, "b")], Verdict.UNCHECKED, "b; a"),
        ([(Verdict.OK, "a"), (Verdict.UNCHECKED, "b"), (Verdict.PROBLEM, "c")], Verdict.PROBLEM, "c; b"),
    ],
)
def test_of_several_the_worst_counts_and_comes_first(
    seen: list[tuple[Verdict, str]], verdict: Verdict, text: str
) -> None:
    assert worst("x", seen) == Finding("x", verdict, text)


def test_without_a_problem_a_flow_starts() -> None:
    Findings((GOOD, WARNED, UNCHECKED)).refuse_problems("seeds")


def test_what_may_pass_by_itself_is_a_failure() -> None:
    with pytest.raises(RalmError, match=r"the flow seeds does not start.*\nbroker: none answers$"):
        Findings((GOOD, AWAY)).refuse_problems("seeds")


def test_what_must_be_changed_is_a_bad_configuration_whatever_else_there_is() -> None:
    with pytest.raises(ConfigError, match=r"topic b: it does not exist: run `ralm topics`\nbroker: none answers$"):
        Findings((WRONG, UNCHECKED, AWAY)).refuse_problems("seeds")
