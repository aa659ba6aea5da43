"""The model of a soak: it finds what is wrong, and a seed draws the same again."""

from itertools import islice

import pytest

from tests.soak import Answer, Event, draw, judge

RELEASE = Event("release", 10, 20, frozenset({"1"}), frozenset({"2"}))


def answers(*entries):
    return [Answer(at, at + 0.1, status, build) for at, status, build in entries]


def test_seed_draws_the_same_events_again_and_all_of_them():
    names = ["release", "reboot", "cut"]
    drawn = list(islice(draw("7", names), 12))
    assert drawn == list(islice(draw("7", names), 12)) != list(islice(draw("8", names), 12))
    assert {*drawn[:3]} == {*names} == {*drawn[9:]}


def test_both_builds_may_answer_during_a_release():
    given = answers((5, 200, "1"), (11, 200, "1"), (19, 200, "2"), (25, 200, "2"))
    assert judge([RELEASE], given) == []


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ((15, 502, ""), "release: 1 of 1 requests failed ([502])"),
        ((15, 0, ""), "release: 1 of 1 requests failed ([0])"),
        ((15, 200, "3"), "release: build 3 answered, expected 1, 2"),
        ((25, 200, "1"), "after release: build 1 answered, expected 2"),
        ((25, 503, ""), "after release: 1 of 1 requests failed"),
    ],
)
def test_what_is_wrong_is_found(entry, complaint):
    assert judge([RELEASE], answers(entry)) == [complaint]


def test_host_that_is_away_may_lose_requests_and_nothing_else():
    reboot = Event("reboot", 10, 20, frozenset({"1"}), frozenset({"1"}), is_away=True)
    assert judge([reboot], answers((15, 502, ""))) == []
    assert judge([reboot], answers((15, 200, "2"), (21, 0, ""))) == [
        "reboot: build 2 answered, expected 1",
        "after reboot: 1 of 1 requests failed",
    ]


def test_next_event_begins_where_the_last_one_left():
    back = Event("rollback", 30, 40, frozenset({"2"}), frozenset({"1"}))
    given = answers((25, 200, "2"), (35, 200, "1"), (45, 200, "1"))
    assert judge([RELEASE, back], given) == []
    assert judge([RELEASE, back], [*given, *answers((26, 200, "1"))]) == ["after release: build 1 answered, expected 2"]
