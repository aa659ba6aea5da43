"""A job followed from here, against a real SSH server whose agent is the test's."""

import json
import threading
from typing import Any

import pytest

from infra import deliver, delivery, notes, unfinished_jobs
from infra.errors import InfraError
from infra.init import key_pair
from infra.remote import ask
from infra.ssh import Target
from infra.supervision import WorkOutcome
from infra.unfinished_jobs import Unfinished
from tests.ssh_server import Server

REQUEST = {
    "release": "r1", "receive": "", "archive": "", "secrets": {"web": {"TOKEN": "hunter2"}}, "confirm": 60,
    "roots": [], "images": [], "owner": "infra-prod.web1",
}  # fmt: skip
APPLIED = {"result": {"outcome": "applied", "code": 0, "line": "applied on web1", "release": "r1"}}
AWAITING = {"awaiting": 60, "look_at": ["https://x/health"]}


def releases(current: str) -> dict[str, Any]:
    return {"current": current, "kept": [], "history": []}


class Agent:
    """Answers by a script: for each connection in turn what its commands say, an Exception's place for a cut."""

    def __init__(self, *scripts: list[Any]) -> None:
        self.scripts = list(scripts)
        self.asked: list[tuple[str, Any]] = []
        self.server = Server(self.answer)

    def answer(self, command, given, say):
        self.asked.append((command, json.loads(given)))
        for event in self.scripts.pop(0) if self.scripts else [{"gone": True}]:
            if event in ("cut", "dies"):
                return None if event == "cut" else 1
            say(json.dumps(event))
        return 0

    @property
    def target(self) -> Target:
        return Target("web1", "127.0.0.1", self.server.port, "root", self.server.host_public, self.server.user_private)

    def verbs(self) -> list[str]:
        return ["receive" if "receive" in command else command.split()[-1] for command, _ in self.asked]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(delivery, "RETURN", 3.0)
    monkeypatch.setattr(delivery.time, "sleep", lambda seconds: None)


def sent(agent: Agent, outside=lambda urls: None, base=None) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    return delivery.send(agent.target, REQUEST, base, outside, said.append), said


def test_delivery_uses_one_connection_from_upload_to_confirmation():
    agent = Agent([{"say": "pulling 2 images"}, {}, AWAITING], [{"say": "done"}, APPLIED])
    looked = []
    ended, said = sent(agent, lambda urls: looked.append(urls), base="r0")
    assert ended == APPLIED["result"] and agent.verbs() == ["receive", "answer"] and agent.server.logins == 1
    assert looked == [["https://x/health"]] and said == [
        "pulling 2 images",
        "checking from outside",
        "done",
    ]
    spec = agent.asked[0][1]["spec"]
    assert (spec["kind"], spec["release"], spec["base"], spec["confirm"]) == ("apply", "r1", "r0", 60)
    assert agent.asked[1][1] == {"id": spec["id"], "seen": 2, "said": {"well": True, "reason": None}}


def test_the_payload_is_on_no_command_line():
    agent = Agent([APPLIED])
    sent(agent)
    assert "hunter2" not in agent.asked[0][0] and agent.asked[0][1]["secrets"] == REQUEST["secrets"]


def test_failed_outside_check_is_reported_to_the_host():
    agent = Agent([AWAITING], [{"result": {"outcome": "rolled back", "code": 4, "line": "…"}}])
    ended, _ = sent(agent, lambda urls: "https://x/health answered 502")
    assert ended["code"] == 4
    assert agent.asked[1][1]["said"] == {"well": False, "reason": "https://x/health answered 502"}


def test_a_cut_connection_is_made_again_and_nothing_is_shown_twice():
    agent = Agent([{"say": "one"}, "cut"], [{"say": "two"}, AWAITING], [APPLIED])
    ended, said = sent(agent)
    assert ended["outcome"] == "applied" and agent.verbs() == ["receive", "follow", "answer"]
    assert agent.asked[1][1]["seen"] == 1 and agent.asked[2][1]["seen"] == 3
    assert said[0] == "one" and "the job continues there; reconnecting" in said[1] and said[2] == "two"


def test_cut_after_the_answer_has_arrived():
    agent = Agent([AWAITING], ["cut"], [APPLIED])
    ended, _ = sent(agent)
    assert ended["outcome"] == "applied" and agent.verbs() == ["receive", "answer", "follow"]


def test_lost_answer_is_sent_again_on_a_new_connection():
    agent = Agent([AWAITING], ["cut"], [{**AWAITING, "again": True}], [APPLIED])
    looked = []
    ended, _ = sent(agent, lambda urls: looked.append(urls))
    assert ended["outcome"] == "applied" and agent.verbs() == ["receive", "answer", "follow", "answer"]
    assert len(looked) == 2 and agent.asked[3][1]["seen"] == 1


def test_lost_connection_before_the_first_event_is_not_a_refusal():
    agent = Agent([{"started": "j"}, {}, "cut"], ["cut"], [{"say": "validating"}, APPLIED])
    ended, said = sent(agent)
    assert ended["outcome"] == "applied" and "validating" in said


def test_a_follower_that_ends_after_the_start_is_started_again():
    """Its program on the host ends by memory pressure, say; the job is a unit of its own."""
    agent = Agent([{"started": "j"}, "dies"], ["dies"], [{"say": "switching"}, APPLIED])
    ended, _ = sent(agent)
    assert ended == APPLIED["result"] and agent.verbs() == ["receive", "follow", "follow"]
    ended, _ = sent(Agent([{"started": "j"}, *["dies"]], *[["dies"]] * 50))
    assert ended["outcome"] == "unknown" and "nothing touched" not in ended["line"]


def test_delivery_that_ends_before_the_start_is_refused():
    """It is asked for the job all the same: it may have ended just after the start."""
    agent = Agent(["dies"])
    ended, _ = sent(agent)
    assert (ended["outcome"], ended["code"]) == ("refused", 3) and agent.verbs() == ["receive", *["follow"] * 3]
    assert "nothing touched: web1 (root@127.0.0.1:" in ended["line"]
    agent = Agent(["dies"], [{"started": "j"}, {"say": "validating"}, APPLIED])
    ended, _ = sent(agent)
    assert ended["outcome"] == "applied"


class Refusing(Server):
    """Ends before it has read anything, as a sudo that lets no one in."""

    def _run(self, channel, command):
        # A server answers the request before what it starts can end
        threading.Event().wait(0.2)
        channel.sendall_stderr(b"sudo: a password is required\n")
        channel.send_exit_status(1)
        channel.close()


@pytest.mark.parametrize("size", [10, 6 * 1024**2])
def test_refusal_of_sudo_is_reported_with_its_message(size):
    server = Refusing(lambda *_: 0)
    target = Target("web1", "127.0.0.1", server.port, "admin", server.host_public, server.user_private)
    with pytest.raises(InfraError, match=r"web1 .*: sudo: a password is required"):
        delivery.send(target, REQUEST | {"archive": "x" * size}, None, lambda urls: None, lambda line: None)
    server.close()


def test_job_cut_after_the_upload_is_asked_for_until_it_must_have_begun(monkeypatch):
    """The host has the whole release: it installs the agent, and begins only then."""
    monkeypatch.setattr(delivery, "SURE_AFTER_UPLOAD", 5)
    agent = Agent(["cut"])
    ended, _ = sent(agent)
    assert (ended["outcome"], ended["code"]) == ("refused", 3) and agent.verbs() == ["receive", *["follow"] * 5]
    agent = Agent(["cut"], *[[{"gone": True}]] * 4, [{"started": "j"}, APPLIED])
    assert sent(agent)[0]["outcome"] == "applied"


def test_cut_during_the_upload_touched_nothing(monkeypatch):
    monkeypatch.setattr(delivery, "SURE_AFTER_UPLOAD", 4)
    ended, _ = sent(Agent(["cut"], [{"gone": True}]))
    assert (ended["outcome"], ended["code"]) == ("refused", 3)
    assert "nothing touched: the connection was lost before the job began; run again" in ended["line"]


def test_a_host_that_does_not_come_back_is_unknown_and_no_success():
    ended, _ = sent(Agent([{"say": "switching"}, "cut"]))
    assert (ended["outcome"], ended["code"]) == ("unknown", 6)
    assert "An unconfirmed release rolls back; see infra status" in ended["line"]


def test_delivery_is_refused_for_another_host_key():
    agent = Agent([APPLIED])
    wrong = Target(**{**vars(agent.target), "host_key": key_pair("other")[1]})
    with pytest.raises(InfraError, match=r"has the host key SHA256:\S+, but SHA256:\S+ is pinned"):
        delivery.send(wrong, REQUEST, None, lambda urls: None, print)
    assert agent.server.logins == 0 and not agent.asked


def test_unreachable_host_is_a_refusal_in_one_line(monkeypatch):
    target = {**vars(Agent().target), "port": 9}
    ended = deliver.Delivery().deliver({**REQUEST, "target": target}, print)
    assert ended["code"] == 3 and ended["line"].startswith("refused on web1, nothing touched: web1 (root@127.0.0.1:9)")
    assert "does not answer" in ended["line"]


@pytest.mark.parametrize(("text", "base"), [('{"release": "r0"}', "r0"), ("", None), ("no JSON", None), ("{}", None)])
def test_base_release_is_read_from_pulumi(text, base, monkeypatch):
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", text)
    assert deliver.previous_output("release") == base


def settling(
    monkeypatch, tmp_path, agent: Agent, base: str | None, left: Unfinished
) -> tuple[dict[str, Any], list[str]]:
    """A delivery after one that was interrupted; Pulumi remembers `base`."""
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    monkeypatch.setenv("PULUMI_COMMAND_STDOUT", json.dumps({"release": base}))
    unfinished_jobs.remember(agent.target, left)
    said: list[str] = []
    ended = deliver.Delivery().deliver({**REQUEST, "target": vars(agent.target)}, said.append)
    return ended, said


def test_job_of_an_interrupted_update_is_followed_first(monkeypatch, tmp_path):
    unchanged = {"result": {"outcome": "unchanged", "code": 0, "line": "unchanged on web1", "release": "r1"}}
    agent = Agent([{"say": "switching"}, APPLIED], [releases("r1")], [unchanged])
    ended, said = settling(monkeypatch, tmp_path, agent, "r0", Unfinished("j1", "r1", "r0"))
    assert ended["outcome"] == "unchanged" and agent.verbs() == ["follow", "releases", "receive"]
    assert said == [
        "an interrupted update left job j1 on web1: following it to its end", "switching", "job j1: applied on web1",
    ]  # fmt: skip
    assert unfinished_jobs.read_job(agent.target) is None


def test_awaiting_job_of_an_interrupted_update_is_confirmed(monkeypatch, tmp_path):
    monkeypatch.setattr(deliver.outside, "complaint", lambda *_: None)
    agent = Agent([{**AWAITING, "again": True}], [APPLIED], [releases("r1")], [APPLIED])
    settling(monkeypatch, tmp_path, agent, "r0", Unfinished("j1", "r1", "r0"))
    assert agent.verbs() == ["follow", "answer", "releases", "receive"]
    assert agent.asked[1][1]["said"] == {"well": True, "reason": None}


@pytest.mark.parametrize(
    ("remembered", "current", "base"),
    [("r0", "r9", "r9"), ("r0", "r0", "r0"), ("r0", "r5", "r0"), ("r7", "r9", "r7"), (None, "r9", "r9")],
    ids=["applied", "rolled back", "another's since", "Pulumi knows of a later one", "the first release"],
)
def test_next_update_is_planned_from_the_release_on_the_host(monkeypatch, tmp_path, remembered, current, base):
    """What was interrupted and applied was this project's own update: the next one, with other files, is no conflict."""
    agent = Agent([{"gone": True}], [{"gone": True}], [{"gone": True}], [releases(current)], [APPLIED])
    left = Unfinished("j1", "r9", None if remembered is None else "r0")
    settling(monkeypatch, tmp_path, agent, remembered, left)
    assert agent.verbs()[-1] == "receive" and agent.asked[-1][1]["spec"]["base"] == base


def test_a_host_that_is_away_keeps_the_note(monkeypatch, tmp_path):
    agent = Agent()
    agent.server.close()
    left = Unfinished("j1", "r1", None)
    target = Target(**{**vars(agent.target), "port": 9})
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    unfinished_jobs.remember(target, left)
    ended = deliver.Delivery().deliver({**REQUEST, "target": vars(target)}, print)
    assert ended["outcome"] == "refused" and unfinished_jobs.read_job(target) == left


def test_a_checkout_that_cannot_be_written_to_is_no_reason_not_to_release(monkeypatch, tmp_path):
    (tmp_path / ".infra").write_text("no folder")
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    agent = Agent([APPLIED])
    ended = deliver.Delivery().deliver({**REQUEST, "target": vars(agent.target)}, print)
    assert ended["outcome"] == "applied"


ODD = ["null", "[]", "{", '{"id": "a"}', '{"id": 1, "release": "r", "base": null}', '{"id": "j", "release": [], "base": null}',
       '{"id": "j", "release": "r", "base": []}', "[" * 5000, '{"id": "j", "release": "r", "base": null, "more": 1}']  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_note_with_another_form_is_ignored(monkeypatch, tmp_path, text):
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    agent = Agent([APPLIED])
    unfinished_jobs.remember(agent.target, Unfinished("j1", "r1", None))
    (place,) = (tmp_path / unfinished_jobs.FOLDER).iterdir()
    place.write_text(text)
    assert unfinished_jobs.read_job(agent.target) is None
    ended = deliver.Delivery().deliver({**REQUEST, "target": vars(agent.target)}, print)
    assert ended["outcome"] == "applied" and agent.verbs() == ["receive"]


def test_interrupted_delivery_reports_whether_the_host_was_touched(monkeypatch, tmp_path):
    """Before anything was sent it ends at once; afterwards the release comes to its end, and the note of it stays."""
    monkeypatch.setattr(notes, "project_root", lambda: tmp_path)
    work = deliver.Delivery()
    assert (
        work.on_interrupt() == ""
        and "nothing touched: interrupted before anything was sent" in work.interruption_line()
    )
    agent = Agent([{"say": "switching"}, APPLIED])
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        lines.append(work.on_interrupt())

    ended = work.deliver({**REQUEST, "target": vars(agent.target)}, say)
    assert lines[1].startswith("interrupted: waiting until the release on web1 ends")
    last = work.after_interrupt(WorkOutcome(ended["code"], ended["line"]))
    assert last == "applied on web1. Pulumi was interrupted and recorded it as failed; the next pulumi up corrects that"
    assert work.after_interrupt(WorkOutcome(4, "rolled back on web1: why")) == "rolled back on web1: why (interrupted)"
    assert work.job and f"job {work.job.id} continues there" in work.interruption_line()
    left = unfinished_jobs.read_job(agent.target)
    assert left and (left.id, left.release) == (work.job.id, "r1")


@pytest.mark.parametrize(
    "much",
    [{"line": f"applied {'x' * 300_000}"}, {"line": "applied", "changed": ["x" * 100_000]}],
    ids=["line", "list"],
)
def test_an_outcome_of_any_length_is_kept_in_short(much):
    """A success must not become a failure because a host has much to say about it."""
    found = deliver.limit_outcome({"outcome": "applied", "code": 0, "release": "r1", **much})
    assert len(json.dumps(found)) < 8000 and found["line"].startswith("applied") and found["release"] == "r1"


def test_going_back_names_the_release_and_takes_nothing_along():
    agent = Agent([AWAITING], [APPLIED])
    ended = delivery.go_back(agent.target, "abc", 60, lambda urls: None, lambda line: None)
    assert ended["outcome"] == "applied" and agent.verbs() == ["rollback", "answer"]
    assert set(agent.asked[0][1]) == {"release", "spec"} and agent.asked[0][1]["release"] == "abc"


def test_question_gets_one_answer_or_a_refusal():
    unchanged = {"release": "r1", "drift": []}
    assert ask(Agent([unchanged]).target, "drift") == unchanged
    with pytest.raises(InfraError, match="web1: refused, nothing touched: no"):
        refused = {"result": {"outcome": "refused", "code": 3, "line": "refused, nothing touched: no"}}
        ask(Agent([refused]).target, "rollback")
