"""A broken or hostile host fills no memory, holds up no update for ever, and ends in a line instead of a traceback."""

import contextlib
import json
import resource
import threading
import time

import pytest

from infra import answers, delivery, outside, remote
from infra.errors import InfraError
from infra.ssh import ConnectionLost, Target
from tests.ssh_server import Server, begin, target


def server(*lines: str, times: int = 1) -> Server:
    def answer(command, given, say):
        for _ in range(times):
            for line in lines:
                say(line)
        return 0

    return Server(answer)


def test_a_line_without_an_end_fills_no_memory(monkeypatch):
    monkeypatch.setattr(remote, "LONGEST", 1024**2)
    with pytest.raises(InfraError, match=r"web1 .* sent a line of more than 1 MiB"):
        remote.ask(target(server("x" * 3 * 1024**2)), "status")


def test_an_answer_without_an_end_fills_no_memory(monkeypatch):
    monkeypatch.setattr(remote, "MOST", 1024**2)
    with pytest.raises(InfraError, match=r"web1 .* sent more than 1 MiB"):
        remote.ask(target(server("y" * 1000, times=3000)), "status")


def endless(line: str, pause: float = 0.05) -> Server:
    """A host that says this again and again, until the connection is closed."""

    def answer(command, given, say):
        while True:
            time.sleep(pause)
            say(line)

    return Server(answer)


@pytest.mark.parametrize(("line", "limit"), [("{}", "QUIET"), ('{"say": "on it"}', "WHOLE")])
def test_a_host_that_only_lives_on_is_not_waited_for(monkeypatch, line, limit):
    monkeypatch.setattr(remote, limit, 0.3)
    with pytest.raises(InfraError, match=r"web1 .* responds, but did not finish 'status' within "):
        remote.ask(target(endless(line)), "status")


def test_a_line_that_comes_byte_by_byte_is_a_lost_connection(monkeypatch):
    monkeypatch.setattr(remote, "LINE", 0.3)
    with pytest.raises(ConnectionLost, match=r"web1 .*: it did not finish a line within 0 s"):
        remote.ask(target(Dribbling(lambda *_: 0)), "status")


class Dribbling(Server):
    """A host whose answer comes to no end of its first line."""

    def _run(self, channel, command):
        with contextlib.suppress(EOFError, OSError):
            begin(channel, command)
            while True:
                channel.sendall(b"x")
                time.sleep(0.05)


@pytest.mark.parametrize(
    ("check", "event"),
    [
        (answers.checked_copying, {"image": {"to": "a"}}),
        (answers.checked_copying, {"image": {"to": "a", "digest": 1, "how": "copied"}}),
        (answers.checked_copying, {"images": {"a": 1}}),
        (answers.checked_traffic, {"requests": 1}),
        (answers.checked_traffic, {"requests": -1, "open": 0, "ago": None, "clients": []}),
        (answers.checked_traffic, {"requests": 1, "open": 0, "ago": 1.0, "clients": [["a"]]}),
    ],
)
def test_malformed_answers_to_questions_of_a_move_are_refused(check, event):
    with pytest.raises(InfraError, match=r"web1: what is said of the (images|requests) has another form") as error:
        check(event, "web1")
    assert "\n" not in str(error.value)


def test_valid_answers_to_questions_of_a_move_are_accepted():
    copied = {"to": "r/a:1", "digest": None, "how": "failed", "reason": "no space"}
    for event in ({}, {"image": copied}, {"images": [copied]}):
        assert answers.checked_copying(event, "web1") == event
    seen = {"requests": 2, "open": 0, "ago": 1.5, "clients": [["192.0.2.1", 2]]}
    assert answers.checked_traffic(seen, "web1") == seen


def test_logs_that_are_followed_may_go_on_and_are_not_kept(monkeypatch):
    monkeypatch.setattr(remote, "MOST", 1024)
    line = json.dumps({"at": 1.0, "from": "web", "line": "z" * 100})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in remote.stream(target(server(line, times=100)), "logs", {"follow": True})) == 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_logs_that_are_not_followed_have_an_end(monkeypatch):
    monkeypatch.setattr(remote, "MOST", 1024**2)
    with pytest.raises(InfraError, match=r"web1 .* sent more than 1 MiB"):
        list(remote.stream(target(server("z" * 1000, times=3000)), "logs", {"follow": False}))
    monkeypatch.setattr(remote, "QUIET", 0.3)
    with pytest.raises(InfraError, match=r"web1 .* responds, but did not finish 'logs' within "):
        list(remote.stream(target(endless("{}")), "logs", {"follow": False}))


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 5000, "\x00\xff", "nonsense", "[1]", "null"])
def test_invalid_event_is_not_an_answer(text):
    with pytest.raises(InfraError, match=r"the agent did not answer 'status'"):
        remote.ask(target(server(text)), "status")


STATUS = {
    "release": "r1", "brought": None, "unfinished": None, "holder": None, "units": {"a.service": True}, "services": {"a": 200},
    "certificates": [["api.hey-watch.me", 60, ""]], "alerts": [], "last_job": None,
}  # fmt: skip
GOOD = {
    "status": STATUS,
    "drift": {"release": None, "drift": [{"path": "/a", "found": "differs", "diff": "-a\n+b\n"}]},
    "releases": {"current": None, "kept": [], "history": []},
    "prune": {"freed": 0},
    "boot-times": {"milestones": [{"name": "a", "unit": "a.service", "seconds": None, "within": 10}]},
    "contents": {"release": None},
    "logs": {"at": 1.5, "from": "a", "line": "x"},
    "restore": {"brought": {"/opt/a": {"files": 1, "bytes": 2, "kept": 0}}, "absent": []},
}


def spoilt(value, place=""):
    """(what was done, the value) with each of its parts in turn replaced by a list, and each of its fields left out."""
    if isinstance(value, dict):
        for key in value:
            yield f"without {place}{key}", {name: item for name, item in value.items() if name != key}
            for what, other in spoilt(value[key], f"{place}{key}."):
                yield what, value | {key: other}
    elif isinstance(value, list) and value:
        for what, other in spoilt(value[0], f"{place}0."):
            yield what, [other, *value[1:]]
    else:
        yield f"a list for {place}", [["no"]]


# What an agent may leave out, and mappings whose keys are names
OPTIONAL = {"without drift.0.diff", "without units.a.service", "without services.a", "without brought./opt/a"}
SPOILT = {
    f"{verb}: {what}": (verb, event) for verb in GOOD for what, event in spoilt(GOOD[verb]) if what not in OPTIONAL
}


@pytest.mark.parametrize("verb", GOOD)
def test_answers_of_the_right_form_pass(verb):
    assert answers.check_answer(verb, GOOD[verb], "web1") == GOOD[verb]
    assert answers.check_answer(verb, GOOD[verb] | {"what a newer agent says": 1}, "web1")
    assert answers.check_answer(verb, {"say": "waiting"}, "web1")


def test_every_verb_has_a_form():
    from agent.main import VERBS

    # These are followed as jobs
    assert set(answers.FORMS) == set(VERBS) - {"follow", "answer", "rollback", "restart", "recover"}


@pytest.mark.parametrize(("verb", "event"), SPOILT.values(), ids=SPOILT)
def test_answers_of_another_form_are_refused_in_a_line(verb, event):
    with pytest.raises(InfraError) as error:
        answers.check_answer(verb, event, "web1")
    assert str(error.value).startswith(f"web1: the answer to {verb!r} has another form than this program knows (")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "event",
    [
        {"release": "r1"},
        STATUS | {"units": None},
        STATUS | {"services": {"a": "200"}},
        STATUS | {"certificates": [["a"]]},
        STATUS | {"repairs": [{"alert": "a", "repair": "b", "worked": True, "said": "c", "at": 1e30}]},
        STATUS | {"release": "r" * 200_000},
        STATUS | {"units": {str(n): True for n in range(20_000)}},
    ],
)
def test_a_status_of_another_form_is_refused(event):
    with pytest.raises(
        InfraError, match=r"web1 .*: the answer to 'status' has another form than this program knows \("
    ):
        remote.ask(target(server(json.dumps(event))), "status")


REQUEST = {"release": "r", "confirm": 1, "receive": "", "archive": "", "secrets": {}}
TARGET = Target("web1", "127.0.0.1", 22, "root", "", "")


def sent(monkeypatch, events) -> tuple[dict, list[str]]:
    """How a job ends whose host says these, each time it is asked; and what was said meanwhile."""
    said: list[str] = []
    monkeypatch.setattr(delivery, "RETURN", 0.0)
    monkeypatch.setattr(delivery.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(delivery.Job, "_conversation", lambda job: iter(events()))
    return delivery.send(TARGET, REQUEST, None, lambda urls: None, said.append), said


def test_signs_of_life_alone_hold_up_nothing(monkeypatch):
    def events():
        yield {"started": "j"}
        while True:
            yield {}

    ended, _ = sent(monkeypatch, events)
    assert ended["outcome"] == "unknown" and "responds, but no longer reports job" in ended["line"]


def test_a_new_connection_is_no_news(monkeypatch):
    """Of a host that goes on showing signs of life, each time it is asked again."""
    monkeypatch.setattr(delivery, "SIGNS", 20)
    rounds = iter([[{"started": "j"}, {}, {}, {}]] * 100)
    said: list[str] = []
    monkeypatch.setattr(delivery.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(delivery.Job, "_conversation", lambda job: iter(next(rounds)))
    assert delivery.send(TARGET, REQUEST, None, lambda urls: None, said.append)["outcome"] == "unknown"


@pytest.mark.parametrize("result", [5, {}, {"line": 5}, {"outcome": "refused", "code": 3}])
def test_a_refusal_of_another_form_is_a_line(result):
    with pytest.raises(InfraError, match=r"web1 .*: what is said of the job has another form"):
        remote.ask(target(server(json.dumps({"result": result}))), "status")


def test_terminal_controls_in_a_refusal_are_escaped():
    refused = {"result": {"outcome": "refused", "code": 3, "line": "\x1b]0;owned\x07\nx"}}
    with pytest.raises(InfraError) as error:
        remote.ask(target(server(json.dumps(refused))), "contents")
    assert str(error.value) == "web1: \\x1b]0;owned\\x07\\nx"


def test_a_command_that_does_not_end_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(remote, "SILENCE", 1.0)
    enough = threading.Event()

    class Endless(Server):
        def _run(self, channel, command):
            mark, _ = begin(channel, command)
            channel.sendall(f'{mark} {{"freed": 1}}\n'.encode())
            channel.shutdown_write()
            enough.wait(60)

    try:
        with pytest.raises(ConnectionLost):
            remote.ask(target(Endless(lambda *_: 0)), "prune")
    finally:
        enough.set()


@pytest.mark.parametrize("verb", ["prune", "status", "drift"])
def test_progress_message_is_not_an_answer(verb):
    with pytest.raises(InfraError, match=r"the agent did not answer"):
        remote.ask(target(server('{"say": "waiting"}')), verb)


@pytest.mark.parametrize("deep", ["[" * 900 + "]" * 900, '{"a":' * 400 + "1" + "}" * 400])
def test_too_deeply_nested_answer_is_refused(deep):
    with pytest.raises(InfraError, match=r"the agent did not answer"):
        remote.ask(target(server('{"say": "x", "d": ' + deep + "}")), "status")


@pytest.mark.parametrize(
    "event",
    [
        {"release": "a"},
        {"release": "a", "manifest": {}, "files": {}},
        {"release": "a", "manifest": {"memory": 1}, "files": {}},
        {"release": "a", "manifest": {"memory": 1, "units": [{}], "environment_files": []}, "files": {}},
    ],
)
def test_incomplete_contents_are_refused(event):
    with pytest.raises(InfraError, match=r"the answer to 'contents' has another form"):
        answers.check_answer("contents", event, "web1")


@pytest.mark.parametrize(
    "result",
    [
        {"code": 0},
        "x",
        {"outcome": "applied", "code": "0", "line": "l"},
        {"outcome": "applied", "code": 999, "line": ""},
        [],
    ],
)
def test_a_result_of_another_form_is_unknown_and_never_a_success(monkeypatch, result):
    ended, said = sent(monkeypatch, lambda: [{"started": "j"}, {"result": result}])
    assert ended["outcome"] == "unknown" and ended["code"] == 6
    assert any("what is said of the job has another form than this program knows (result" in line for line in said)


def test_terminal_controls_of_a_host_are_escaped(monkeypatch):
    result = {"outcome": "applied", "code": 0, "line": "applied\x1b[2K"}
    ended, said = sent(monkeypatch, lambda: [{"say": "\x1b]0;owned\x07"}, {"result": result}])
    assert said == ["\\x1b]0;owned\\x07"] and ended["line"] == "applied\\x1b[2K"


URLS = {
    "https://x:99999/": "Port out of range",
    "https://[x/": "Invalid IPv6 URL",
    "https://x/a b\r\nHost: y": "is not the address of a public name",
    "https://x/\u202e": "is not the address of a public name",
    "http://x/": "is not the address of a public name",
    "file:///etc/passwd": "is not the address of a public name",
    "https:///": "is not the address of a public name",
    "": "is not the address of a public name",
}


@pytest.mark.parametrize(("url", "said"), URLS.items(), ids=map(repr, URLS))
def test_invalid_url_of_a_host_is_reported(url, said):
    assert said in (outside.complaint("127.0.0.1", [], [url], patience=0) or "")


@pytest.mark.parametrize("look_at", [["x" * 3000], [f"https://x/{n}" for n in range(600)], "https://x/", [1]])
def test_number_of_urls_to_check_is_bounded(look_at):
    with pytest.raises(InfraError, match=r"has another form than this program knows \(look_at"):
        answers.checked_job_event({"awaiting": 60, "look_at": look_at}, "web1")


NUMBERS = [-1, 10**12, 10**30, 10**400, 1.5, "1", None, [], True]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_invalid_time_of_a_host_is_refused(number):
    event = {"release": "a", "drift": [], "maintenance": {"shop": {"since": 0, "until": number, "who": "x"}}}
    with pytest.raises(InfraError, match="the answer to 'drift' has another form"):
        answers.check_answer("drift", event, "web1")


@pytest.mark.parametrize("restarted", [5, [5], {"a": 1}, "a", None])
def test_job_with_an_invalid_restarted_name_is_refused(restarted):
    job = {"release": "a", "began": "b", "who": "w", "kind": "restart", "changed": [], "outcome": "applied", "code": 0}
    event = {"current": "a", "kept": [], "history": [{**job, "line": "l", "restarted": restarted}]}
    with pytest.raises(InfraError, match="the answer to 'releases' has another form"):
        answers.check_answer("releases", event, "web1")
