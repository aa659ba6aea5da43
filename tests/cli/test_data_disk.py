"""What `pulumi up` runs until a host's data disk is mounted, against a real SSH server of the test's own."""

import json

import pytest

from infra.data_disk import mount
from infra.errors import InfraError
from tests.ssh_server import Server, target

REQUEST = {
    "program": "main(payload)",
    "payload": {"volume": "vol-1", "size": 50, "mounts": ["/srv"], "device": "/dev/sdf"},
}


def mounted(*events, code=0):
    lines: list[str] = []

    def answer(command, given, say):
        for event in events:
            say(json.dumps(event))
        return code

    return mount(target(Server(answer)), REQUEST, lines.append), lines


def test_messages_and_result_of_the_host_are_passed_on():
    ended, lines = mounted({}, {"say": "mounting /dev/nvme1n1 at /srv"}, {"done": {"device": "/dev/nvme1n1"}})
    assert (ended.code, ended.result) == (0, {"host": "web1", "volume": "vol-1"})
    assert lines == ["mounting /dev/nvme1n1 at /srv"]
    assert ended.line == "the data disk of web1 (vol-1) is mounted at /srv"


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([{"refused": "/srv has files on the root disk (a)"}], "web1: /srv has files on the root disk"),
        ([{"say": "mounting"}], "web1 stopped in the middle of mounting its data disk: run again"),
        ([{"done": [1]}], "what is said of the data disk"),
    ],
    ids=["refused", "cut off", "another form"],
)
def test_failure_of_the_host_is_reported_in_one_line(events, said):
    with pytest.raises(InfraError) as failed:
        mounted(*events)
    assert said in str(failed.value) and "\n" not in str(failed.value)
