"""The steps of a move, against hosts and name servers that are not there."""

from contextlib import nullcontext

import pytest
from botocore.exceptions import ClientError

from infra.errors import InfraError
from infra.move.steps import drain, gate, images, verify

URL = "https://api.hey-watch.me/health"


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Time that passes by sleeping alone."""
    now = [0.0]
    for module in (drain, gate, verify):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def outside(monkeypatch, module, answers):
    """What is wrong at each look; the last for ever."""
    given = list(answers)
    monkeypatch.setattr(module.outside, "complaint", lambda *_, **__: given.pop(0) if len(given) > 1 else given[0])


GATE = {
    "urls": {"192.0.2.1": [URL]}, "roots": [], "deadline": 10, "resting": [], "provider": "route53",
    "zone": "hey-watch.me", "servers": ["127.0.0.1:53"], "names": ["api.hey-watch.me", "www.hey-watch.me"],
}  # fmt: skip


def test_the_gate_opens_after_three_in_a_row(monkeypatch, clock):
    outside(monkeypatch, gate, [None, None, "502", None, None, None])
    assert gate.run(GATE, lambda line: None) == {"paths": 1, "ttl": 0} and clock[0] == 5


@pytest.mark.parametrize(
    ("lives", "ttl"), [({"api.hey-watch.me": 86400, "www.hey-watch.me": 60}, 86400), ({"api.hey-watch.me": None}, 0)]
)
def test_gate_reads_the_ttl_of_external_records(monkeypatch, clock, lives, ttl):
    outside(monkeypatch, gate, [None])
    monkeypatch.setattr(gate.names, "life", lambda name, server: lives.get(name))
    assert gate.run(GATE | {"provider": "external"}, lambda line: None)["ttl"] == ttl


def test_unreadable_ttl_does_not_block_the_gate(monkeypatch, clock):
    def silent(name, server):
        raise InfraError("127.0.0.1 does not answer")

    said = []
    outside(monkeypatch, gate, [None])
    monkeypatch.setattr(gate.names, "life", silent)
    assert gate.run(GATE | {"provider": "cloudflare"}, said.append)["ttl"] == 0
    assert said[-1] == "how long resolvers cache the names is unknown: 127.0.0.1 does not answer"


def test_unreadable_ttl_of_external_records_blocks_the_gate(monkeypatch, clock):
    def silent(name, server):
        raise InfraError("127.0.0.1 does not answer")

    outside(monkeypatch, gate, [None])
    monkeypatch.setattr(gate.names, "life", silent)
    with pytest.raises(InfraError, match="does not answer: no name was switched"):
        gate.run(GATE | {"provider": "external"}, lambda line: None)


def test_closed_gate_gives_its_reason(monkeypatch):
    outside(monkeypatch, gate, ["https://api.hey-watch.me/health answered 502"])
    with pytest.raises(InfraError, match="answered 502: no name was switched"):
        gate.run(GATE, lambda line: None)


def test_services_waiting_for_data_may_rest_at_the_gate(monkeypatch):
    asked = []
    monkeypatch.setattr(gate.outside, "complaint", lambda *given: asked.append(given))
    gate.run(GATE | {"resting": [URL]}, lambda line: None)
    assert asked[0] == ("192.0.2.1", [], [URL], 0, [URL])


VERIFY = {
    "zone": "hey-watch.me", "servers": ["127.0.0.1:53"], "names": {"api.hey-watch.me": "192.0.2.1"}, "roots": [],
    "urls": {"192.0.2.1": [URL]}, "singles": {}, "check": 30, "deadline": 20, "provider": "route53", "wait": 3600,
}  # fmt: skip


@pytest.mark.parametrize(
    ("gives", "line"),
    [
        (["192.0.2.9"], r"127\.0\.0\.1 returns 192\.0\.2\.9 for api\.hey-watch\.me instead of 192\.0\.2\.1"),
        ([], "returns no address for"),
    ],
)
def test_a_server_that_gives_another_address(monkeypatch, gives, line):
    monkeypatch.setattr(verify.names, "addresses", lambda name, server: gives)
    with pytest.raises(InfraError, match=line):
        verify.run(VERIFY, lambda line: None)


def test_one_silent_name_server_is_tolerated(monkeypatch, clock):
    answers = {"127.0.0.1": InfraError("127.0.0.1 does not answer"), "127.0.0.2": ["192.0.2.1"]}

    def addresses(name, server):
        if isinstance(answers[server[0]], InfraError):
            raise answers[server[0]]
        return answers[server[0]]

    monkeypatch.setattr(verify.names, "addresses", addresses)
    monkeypatch.setattr(verify.outside, "complaint", lambda *_, **__: None)
    both = VERIFY | {"servers": ["127.0.0.1:53", "127.0.0.2:53"]}
    assert verify.run(both, lambda line: None) == {"servers": 2}
    answers["127.0.0.2"] = InfraError("127.0.0.2 does not answer")
    with pytest.raises(InfraError, match=r"127\.0\.0\.1 does not answer"):
        verify.run(both, lambda line: None)


def test_a_person_is_waited_for_and_reminded(monkeypatch, clock):
    said = []
    monkeypatch.setattr(
        verify.names, "addresses", lambda name, server: ["192.0.2.1"] if clock[0] > 150 else ["192.0.2.9"]
    )
    monkeypatch.setattr(verify.outside, "complaint", lambda *_, **__: None)
    verify.run(VERIFY | {"provider": "external"}, said.append)
    waiting = [line for line in said if line.startswith("waiting for a change by hand")]
    assert len(waiting) == 3 and "in hey-watch.me set api.hey-watch.me A 192.0.2.1" in waiting[0], said
    clock[0] = 0
    with pytest.raises(InfraError, match="the record was not changed within 30 s"):
        verify.run(VERIFY | {"provider": "external", "wait": 30}, said.append)


def test_servers_that_cannot_be_found_at_once_are_asked_for_again(monkeypatch, clock):
    found = iter([InfraError("no resolver"), [("127.0.0.1", 53)]])

    def servers(*_):
        one = next(found)
        if isinstance(one, InfraError):
            raise one
        return one

    monkeypatch.setattr(verify.names, "servers", servers)
    monkeypatch.setattr(verify.names, "addresses", lambda name, server: ["192.0.2.1"])
    monkeypatch.setattr(verify.outside, "complaint", lambda *_, **__: None)
    assert verify.run(VERIFY, lambda line: None) == {"servers": 1}


def test_single_service_is_checked_after_its_takeover_time(monkeypatch, clock):
    asked = []
    monkeypatch.setattr(verify.names, "addresses", lambda name, server: ["192.0.2.1"])
    monkeypatch.setattr(verify.outside, "complaint", lambda a, r, urls, **_: asked.append((clock[0], urls[0])))
    verify.run(VERIFY | {"singles": {"192.0.2.1": ["https://x/scheduler"]}, "deadline": 90}, lambda line: None)
    assert asked == [(0, URL), (33, "https://x/scheduler")]


TARGET = {"host": "watchme", "address": "192.0.2.9", "port": 22, "user": "u", "host_key": "k", "private_key": "p"}
DRAIN = {"hosts": [{"region": "ap-southeast-2", "target": TARGET}], "ttl": 60, "quiet": 30, "limit": 100, "program": ""}
QUIET = {"requests": 0, "clients": [], "ago": 99.0, "open": 0}
BUSY = {"requests": 3, "clients": [["198.51.100.1", 3]], "ago": 2.0, "open": 0}
LONG = QUIET | {"open": 1}


def traffic(monkeypatch, answers, serves=True):
    given = list(answers)
    monkeypatch.setattr(drain, "_traffic", lambda *_: given.pop(0) if len(given) > 1 else given[0])
    monkeypatch.setattr(drain, "_serves", lambda address: serves)


def test_region_is_retired_after_the_ttl_without_requests(monkeypatch, clock):
    traffic(monkeypatch, [BUSY, BUSY, QUIET])
    assert drain.run(DRAIN, lambda line: None) == {"seconds": 62}


def test_an_answer_that_takes_long_is_waited_for(monkeypatch, clock):
    """It is in no log before it ends."""
    said = []
    traffic(monkeypatch, [LONG] * 12 + [QUIET])
    assert drain.run(DRAIN, said.append) == {"seconds": 72}
    assert "ap-southeast-2/watchme is still answering 1 request" in said and said[-1] == "quiet after 72 s"
    assert said[1] == "resolvers may have the old addresses cached for 55 s more"


def test_remaining_clients_are_reported_and_nothing_is_deleted(monkeypatch):
    traffic(monkeypatch, [BUSY])
    with pytest.raises(InfraError, match=r"still answered 3 request.*198\.51\.100\.1 \(3\).*Nothing was deleted"):
        drain.run(DRAIN, lambda line: None)


def test_silent_serving_host_is_not_retired(monkeypatch):
    """SSH is closed to us; its users still reach it."""
    traffic(monkeypatch, [None])
    with pytest.raises(InfraError, match="ap-southeast-2/watchme does not report its requests"):
        drain.run(DRAIN, lambda line: None)


def test_a_host_on_which_nothing_serves_any_more_holds_up_nothing(monkeypatch, clock):
    traffic(monkeypatch, [None], serves=False)
    assert drain.run(DRAIN, lambda line: None)["seconds"] == 62


def test_without_quiet_only_the_names_count(monkeypatch, clock):
    traffic(monkeypatch, [BUSY])
    assert drain.run(DRAIN | {"quiet": 0}, lambda line: None) == {"seconds": 60}


REQUEST = {"images": [1, 2]}


def test_images_that_are_not_equal_are_named():
    done = [
        {"to": "r/web:latest", "digest": None, "how": "failed", "reason": "denied"},
        {"to": "r/ast:latest", "digest": None, "how": "nowhere"},
    ]
    with pytest.raises(InfraError, match=r"2 images not copied: web:latest: denied; ast:latest: is in neither region"):
        images.copy_result(REQUEST, done, lambda line: None)


def test_a_host_that_stops_in_the_middle_has_not_copied():
    with pytest.raises(InfraError, match="the host stopped before the end"):
        images.copy_result(REQUEST, [], lambda line: None)


class Sts:
    """Refuses a role that was just made as often as `refusals` says."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.asked = refusals, []

    def assume_role(self, **asked):
        self.asked.append(asked)
        if len(self.asked) <= self.refusals:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not yet"}}, "AssumeRole")
        return {"Credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "SessionToken": "t"}}


@pytest.fixture
def sts(monkeypatch):
    def begin(refusals):
        made, now = Sts(refusals), [0.0]
        monkeypatch.setattr(images.aws, "client", lambda service, region, **_: made)
        monkeypatch.setattr(images.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(images.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
        return made

    return begin


def test_a_host_gets_the_copiers_login_and_not_the_operators(sts, monkeypatch):
    made, sent = sts(2), []
    asked = lambda session, account, region: f"{session.get_credentials().access_key} {region}"  # noqa: E731
    monkeypatch.setattr(images, "login", asked)
    monkeypatch.setattr(images, "connect", lambda target: nullcontext(None))
    monkeypatch.setattr(images, "run_program", lambda transport, target, text, payload: sent.append(payload) or [])
    request = {
        "account": "1",
        "source": "ap-southeast-2",
        "region": "ap-northeast-1",
        "role": "arn:copier",
        "images": [],
    }
    images.run(request | {"target": TARGET, "newest": False, "program": ""}, lambda line: None)
    assert {entry["auth"] for entry in sent[0]["auths"].values()} == {"ASIA ap-southeast-2", "ASIA ap-northeast-1"}
    assert {asked["RoleArn"] for asked in made.asked} == {"arn:copier"} and len(made.asked) == 3


def test_a_role_that_cannot_be_assumed_is_named(sts):
    made = sts(1000)
    with pytest.raises(InfraError, match=r"the role arn:copier for copying images cannot be assumed: .*not yet"):
        images.assume_role("arn:copier", "ap-northeast-1")
    assert len(made.asked) == 22
