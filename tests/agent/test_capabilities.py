"""A host whose programs lack something: another way, or a refusal that names it before anything is touched."""

import pytest

from agent import capabilities, compose
from agent.validate import STAGE, units_verdict
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import AVATAR_UNIT, applied, bigger, release, serving, world_for
from tests.support import ROOT

UNITS = f"{STAGE}/etc/systemd/system"


def without(*names: str) -> FakeWorld:
    made = serving(release())
    made.installed -= set(names)
    return made


def plugin_only(folder: str = compose.FOLDERS[0]) -> FakeWorld:
    made = without("docker-compose")
    made.there.add(f"{folder}/docker-compose")
    return made


def at_version(version: str) -> FakeWorld:
    made = serving(release())
    made.compose_version = version
    return made


def without_option(option: str) -> FakeWorld:
    made = serving(release())
    made.lacks.add(option)
    return made


def with_a_new_unit(data) -> None:
    """The avatar uploader's unit and its compose file change."""
    bigger(data)
    next(s for s in data["services"] if s["name"] == "avatar-uploader")["purpose"] = "another one"


# What a host lacks → how the next release ends there, and what its line says
LACKS = {
    "nothing": (lambda: serving(release()), "applied", ""),
    "verify --recursive-errors (systemd 247 to 249)": (lambda: without_option("--recursive-errors"), "applied", ""),
    **{
        f"docker-compose, with the plugin in {folder}": (lambda folder=folder: plugin_only(folder), "applied", "")
        for folder in compose.FOLDERS
    },
    "version 2 of compose": (lambda: at_version("1.29.2"), "applied", ""),
    "compose": (lambda: without("docker-compose"), "refused", "not installed: docker-compose, as a command or as Docker's plugin"),
    "compose of after 2019": (lambda: at_version("1.25.0"), "refused", "/usr/bin/docker-compose is version 1.25.0, but a release needs at least Docker Compose 1.27"),
    "a compose that runs": (lambda: at_version("Segmentation fault"), "refused", "at least Docker Compose 1.27"),
    **{
        name: (lambda name=name: without(name), "refused", f"not installed: {name} (package {package})")
        for name, package in {**capabilities.ALWAYS, **capabilities.FOR_CERTIFICATES, **capabilities.FOR_PROXIES}.items()
        if name != "systemctl"
    },
    "systemctl": (lambda: without("systemctl"), "refused", "not installed: systemctl"),
}  # fmt: skip


@pytest.mark.parametrize("lack", LACKS)
def test_host_without_a_capability_applies_or_refuses_a_release(lack):
    make, outcome, words = LACKS[lack]
    world = make()
    before = world.seen_by_programs()
    ended = applied(world, release(with_a_new_unit))
    assert ended.outcome == outcome and words in ended.line, ended.line
    if outcome == "refused":
        assert world.seen_by_programs() == before


def test_every_missing_program_is_named_at_once():
    line = applied(without("ss", "openssl", "nginx"), release(bigger)).line
    assert "not installed: nginx, ss (package iproute2), openssl (package openssl). Install them" in line


def test_capabilities_of_programs_are_asked_once_per_job():
    world = serving(release())
    applied(world, release(with_a_new_unit))
    assert len(world.commands("systemd-analyze --help")) == 1
    assert len(world.commands("/usr/bin/docker-compose version")) == 1


def test_units_run_the_plugin_by_a_link_where_there_is_no_command():
    world = plugin_only()
    applied(world, release(bigger))
    assert world.links[compose.UNITS_RUN] == f"{compose.FOLDERS[0]}/docker-compose"
    # A second release finds the link, and lays no other
    changes = [line for line in world.ran if line.startswith("link")]
    assert applied(world, release()).outcome == "applied" and changes == []


def test_existing_compose_command_is_not_replaced():
    world = world_for(release())
    world.there.add(f"{compose.FOLDERS[0]}/docker-compose")
    applied(world, release())
    assert compose.UNITS_RUN not in world.links


# As systemd 247 said it (Debian 11), of units staged as the agent does it, and what version 250 says with
# --recursive-errors=no: the lines of it, or nothing where it takes the unit
OLD = {
    "a good unit": ("\x1b[0;1;38;5;185mCouldn't move remaining userspace processes, ignoring: Input/output error\x1b[0m", 0, ["good.service"], ""),
    "an unknown key": (
        f"\x1b[0;1;38;5;185m{UNITS}/unknown.service:3: Unknown key name 'Foo' in section 'Service', ignoring.\x1b[0m", 0,
        ["unknown.service"], f"{UNITS}/unknown.service:3: Unknown key name 'Foo' in section 'Service', ignoring.",
    ),
    "an unknown key of another unit": (f"{UNITS}/unknown.service:3: Unknown key name 'Foo' in section 'Service', ignoring.", 0, ["baddep.service"], ""),
    "an unknown key of a drop-in": (
        f"{UNITS}/whisper.service.d/memory.conf:3: Unknown key name 'Foo' in section 'Service', ignoring.", 0,
        ["whisper.service"], f"{UNITS}/whisper.service.d/memory.conf:3: Unknown key name 'Foo' in section 'Service', ignoring.",
    ),
    "a program that is not there": (
        "noexec.service: Command /no/such is not executable: No such file or directory", 1,
        ["noexec.service"], "noexec.service: Command /no/such is not executable: No such file or directory",
    ),
    "a unit that is required and not there": ("needs.service: Failed to create needs.service/start: Unit nothere.service not found.", 1, ["needs.service"], ""),
    "no command": (
        "nostart.service: Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.\nUnit nostart.service has a bad unit file setting.", 1,
        ["nostart.service"], "nostart.service: Service has no ExecStart=, ExecStop=, or SuccessAction=. Refusing.\nUnit nostart.service has a bad unit file setting.",
    ),
    "no section": (
        f"{UNITS}/syntax.service:1: Invalid section header '[Service'\nUnit syntax.service failed to load properly: Bad message.", 1,
        ["syntax.service"], f"{UNITS}/syntax.service:1: Invalid section header '[Service'\nUnit syntax.service failed to load properly: Bad message.",
    ),
    "systemd-analyze itself failed": ("Failed to initialize manager: No such file or directory", 1, ["good.service"], "Failed to initialize manager: No such file or directory"),
    "an instance": (f"{UNITS}/a@.service:3: Unknown key name 'Foo' in section 'Service', ignoring.", 0, ["a@.service"], f"{UNITS}/a@.service:3: Unknown key name 'Foo' in section 'Service', ignoring."),
}  # fmt: skip


@pytest.mark.parametrize("case", OLD)
def test_verdict_of_an_older_systemd_matches_a_newer_one(case):
    output, code, names, expected = OLD[case]
    judged = units_verdict(CommandResult(code, output), names)
    assert bool(judged.code) is bool(expected)
    if expected:
        assert judged.output == expected


def test_faulty_unit_is_refused_by_an_older_systemd():
    world = without_option("--recursive-errors")
    fault = f"{UNITS}/{AVATAR_UNIT}:9: Unknown key name 'Restrat' in section 'Service', ignoring."
    world.answers["systemd-analyze verify"] = CommandResult(0, fault)
    ended = applied(world, release(with_a_new_unit))
    assert ended.outcome == "refused" and "Unknown key name 'Restrat'" in ended.line and STAGE not in ended.line


# What both generations of compose said, recorded of 1.29.2 (Debian 12) and 2.40.3
SAID = {
    "1.29.2": "The Compose file './bad.yml' is invalid because:\nUnsupported config option for services.web: 'mem_limitz'",
    "2.40.3": (
        'time="2026-11-27T12:22:23Z" level=warning msg="/a/bad.yml: the attribute `version` is obsolete, it will be ignored"\n'
        "validating /a/bad.yml: services.web additional properties 'mem_limitz' not allowed"
    ),
}


@pytest.mark.parametrize("version", SAID)
def test_a_compose_file_that_is_not_taken_is_refused_in_the_words_of_either_generation(version):
    world = at_version(version)
    world.answers["/usr/bin/docker-compose -f"] = CommandResult(1, SAID[version])
    ended = applied(world, release(bigger))
    assert ended.outcome == "refused" and "docker-compose config /home/ubuntu" in ended.line
    assert "mem_limitz" in ended.line and "level=warning" not in ended.line


def test_versions_as_programs_call_themselves():
    known = {"1.29.2": False, "1.27.0": False, "1.26.2": True, "1.25.0": True, "2.40.3": False, "v2.2.3": False,
             "2.26.1-4": False, "5.0.0": False, "": True, "unknown": True}  # fmt: skip
    assert {version: compose.Compose("x", version).is_too_old for version in known} == known


def test_preparation_and_agent_look_for_the_plugin_in_the_same_folders():
    text = (ROOT / "files/static/prepare-host.sh").read_text()
    folders = text.split('compose_folders="', 1)[1].split('"', 1)[0].split()
    assert folders == list(compose.FOLDERS)


def test_units_run_the_compose_command_that_the_agent_links():
    assert f"={compose.UNITS_RUN} -p" in (ROOT / "files/templates/compose.service.j2").read_text()
