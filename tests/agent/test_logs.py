"""What a host says of its services' logs."""

import json

import pytest

from agent import managers, store
from agent.logs import Excerpt, logs, units_of
from agent.outcome import Refused
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.native import release as native_release
from tests.agent.native import serving as native_serving
from tests.agent.releases import applied, bigger, release, serving, world_for
from tests.support import service


def entry(message, **fields) -> str:
    return json.dumps({"__REALTIME_TIMESTAMP": "1795566697500000", "MESSAGE": message, **fields})


def logged(world: FakeWorld, name: str, lines: list[str | None], follow: bool = False, **which):
    """The events, and the command that they came from."""
    commands = []

    def stream(*argv, pause=5.0):
        commands.append(" ".join(argv))
        return iter(lines)

    world.stream = stream  # type: ignore[method-assign]
    return list(logs(world, name, Excerpt(which.pop("count", 20), follow, **which))), commands[0]


def test_lines_of_a_container_are_shown_under_its_unit():
    said = [entry("hello", CONTAINER_NAME="ast-api"), None, entry("Started.", _SYSTEMD_UNIT="init.scope"), "no json"]
    events, command = logged(serving(release()), "ast-api", said)
    assert events == [
        {"at": 1795566697.5, "from": "ast-api", "line": "hello"},
        {},
        {"at": 1795566697.5, "from": "init.scope", "line": "Started."},
    ]
    assert command.startswith("journalctl -u watchme-ast-api.service -n 20 -o json") and not command.endswith("-f")
    assert logged(serving(release()), "ast-api", [], follow=True)[1].endswith(" -f")


def test_last_lines_that_match_the_pattern_are_shown():
    said = [entry("error 1"), entry("fine"), None, entry("error 2"), entry("ERROR 3"), entry("error 4")]
    events, command = logged(serving(release()), "ast-api", said, count=2, grep="error [0-9]")
    assert [event.get("line") for event in events] == [None, "error 2", "error 4"]
    # More must be looked at than are shown
    assert " -n 20000 " in command
    events, _ = logged(serving(release()), "ast-api", said, follow=True, count=2, grep="error [0-9]")
    assert [event.get("line") for event in events] == ["error 1", None, "error 2", "error 4"]


def test_lines_since_a_time_are_requested():
    world = serving(release())
    _, command = logged(world, "ast-api", [], since=60.0)
    assert f" --since=@{int(world.wall() - 60)} " in command


def test_undecodable_lines_are_shown_with_replacements():
    events, _ = logged(serving(release()), "ast-api", [entry([104, 105, 255]), entry(None)])
    assert [event["line"] for event in events] == ["hi\ufffd", "[not text]"]


def test_logs_include_user_units_and_instances():
    _, command = logged(native_serving(native_release("home")), "vocoder", [])
    assert "_SYSTEMD_USER_UNIT=vocoder.service _UID=" in command and " -u " not in command
    instances = units_of(native_release("home").manifest, "vocoder-mode")
    assert instances == [] or all(unit.startswith("ice/") for unit in instances)


def test_a_releases_lines_are_for_people():
    said = [
        entry('{"say": "switching 3 files"}'),
        entry('{"awaiting": 60}'),
        entry('{"result": {"line": "applied on w"}}'),
        entry("Traceback"),
    ]
    events, _ = logged(serving(release()), "releases", said)
    assert [event.get("line") for event in events] == ["switching 3 files", None, "applied on w", "Traceback"]


def test_secrets_are_masked():
    def with_secret(data):
        service(data, "avatar-uploader")["secrets"] = ["TOKEN"]

    def set_secret(config):
        config["infra:secrets"] = {"avatar-uploader": {"TOKEN": "hunter2-planted"}}

    world = serving(release())
    made = release(with_secret, set_secret)
    assert applied(world, made, {"avatar-uploader": {"TOKEN": "hunter2-planted"}}).outcome == "applied"
    events, _ = logged(world, "avatar-uploader", [entry("TOKEN is hunter2-planted")])
    assert events[0]["line"] == "TOKEN is [secret]"


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("nginx", "-u nginx.service"), ("monitor", "-u infra-monitor.service"), ("releases", "-t infra")],
)
def test_logs_of_host_programs_are_found_by_their_names(name, wanted):
    assert wanted in logged(serving(release()), name, [])[1]


def test_a_service_that_does_not_run_here():
    with pytest.raises(Refused, match="this host runs no whisper-backend"):
        list(logs(serving(release()), "whisper-backend", Excerpt(20)))


def test_rolled_back_service_has_a_log():
    world = world_for(release())
    world.web = lambda url: 503
    assert applied(world, release()).outcome == "rolled back"
    assert "-u watchme-ast-api.service" in logged(world, "ast-api", [])[1]


def test_a_damaged_copy_of_the_release_that_serves_hides_no_log():
    world = serving(release(), release(bigger))
    world.files[f"{store.RELEASES}/{store.current_id(world)}/manifest.json"] = (b"{", 0o600, "root", "root")
    assert "-u watchme-ast-api.service" in logged(world, "ast-api", [])[1]


WORDS = [
    ("journalctl OBJECT_SYSTEMD_UNIT=a.service _UID=0 -n 5 -o cat --no-pager -q --since=@9", "of its container"),
    ("journalctl _SYSTEMD_UNIT=a.service -n 5 -o cat --no-pager -q --since=@9", "of its processes"),
    ("journalctl UNIT=a.service _PID=1 -n 5 -o cat --no-pager -q --since=@9", "of its manager"),
]


@pytest.mark.parametrize("first", range(3))
def test_last_lines_are_the_services_own_if_any(first):
    world = world_for(release())
    world.answers |= {command: CommandResult(0, text) for command, text in WORDS[first:]}
    world.answers |= {command: CommandResult(0, "") for command, _ in WORDS[:first]}
    assert managers.last_words(world, "a.service", 5, 9.0).output == WORDS[first][1]
