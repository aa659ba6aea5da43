"""The earlier state, asked while the engine writes it."""

from types import SimpleNamespace

import pytest

from components import before

TORN = Exception("invoke of readStackResourceOutputs failed: failed to load checkpoint: EOF")
OUTPUTS = {"outputs": {"urn": {"type": "pulumi:pulumi:Stack", "outputs": {"region": "ap-northeast-1"}}}}


@pytest.fixture
def answers(monkeypatch):
    given: list = []

    def invoke(token, arguments):
        answer = given.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(value=answer)

    monkeypatch.setattr(before.pulumi.runtime, "invoke", invoke)
    monkeypatch.setattr(before.time, "sleep", lambda seconds: None)
    for name in ("get_organization", "get_project", "get_stack"):
        monkeypatch.setattr(before.pulumi, name, lambda: "x")
    return given


def test_a_state_that_is_being_written_is_read_again(answers):
    answers += [TORN, TORN, OUTPUTS]
    assert before.before().region == "ap-northeast-1"


def test_unreadable_state_is_reported_after_retries(answers):
    answers += [TORN] * before.TRIES
    with pytest.raises(Exception, match="failed to load checkpoint"):
        before.before()
    assert answers == []


def test_other_failure_is_reported_without_retries(answers):
    answers += [Exception("no such stack"), OUTPUTS]
    with pytest.raises(Exception, match="no such stack"):
        before.before()
    assert answers == [OUTPUTS]
