"""What a preview says of a machine that exists: container by container, as its first release will decide."""

import copy
import hmac
import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from agent.wording import Speaker
from infra.errors import InfraError
from infra.preview import existing, live
from infra.preview.compare import NOTHING
from infra.preview.formats import as_json, markdown, page, terminal
from infra.preview.hosts import HostChange
from infra.preview.japanese import TEXTS
from infra.preview.report import Report, StackReport
from infra.ssh import Target
from rendering.host import render
from tests.agent.handmade import IMAGE, described
from tests.agent.releases import AVATAR, AVATAR_UNIT, release
from tests.support import catalogue, digests

TARGET = Target("watchme", "192.0.2.1", 22, "root", "", "")
KEY = b"k" * 32
MANIFEST = release().manifest
CONTAINERS = {entry["name"]: entry for entry in MANIFEST["containers"]}
NAME = next(name for name, entry in CONTAINERS.items() if entry["unit"] == AVATAR_UNIT)
DETAILS = described(release(), NAME)


def texts():
    made = catalogue()
    return existing._texts(render(made, "watchme", digests()), MANIFEST, made.stack.secrets)


def facts(**more):
    """As the program on the host reports: one container of the release's, and one that is not in it."""
    details = copy.deepcopy(DETAILS)
    details["Config"]["Env"] = [hashed(line) for line in details["Config"]["Env"]]
    image = {
        "Id": details["Image"], "RepoDigests": [f"x@{CONTAINERS[NAME]['image'].partition('@')[2]}"],
        "Config": {**IMAGE, "Env": [hashed(line) for line in IMAGE["Env"]]},
    }  # fmt: skip
    port = next(entry["port"] for entry in MANIFEST["ports"] if entry["container"] == NAME)
    ours = {"name": NAME, "running": True, "addresses": ["172.27.0.9"], "ports": [f"{port}/tcp"], "details": details}
    other = {"name": "cache", "running": True, "addresses": [], "ports": []}
    return {
        "containers": [ours, other], "images": {details["Image"]: image}, "listening": {}, "paths": {}, "units": [],
        "sites": [], **more,
    }  # fmt: skip


def hashed(line: str) -> str:
    name, _, value = line.partition("=")
    return f"{name}={hmac.new(KEY, value.encode(), 'sha256').hexdigest()}"


def judged(**more):
    return existing.judge(MANIFEST, texts(), facts(**more), KEY)


def outcomes(survey):
    return [(thing.kind, thing.name, thing.becomes) for thing in survey.things]


def test_an_equal_container_is_adopted_and_another_left_alone():
    survey = judged()
    assert outcomes(survey) == [("container", "cache", "left alone"), ("container", NAME, "adopted")]
    assert NAME in survey.ports.values() and survey.addresses == {"172.27.0.9": NAME}


def test_a_different_container_is_replaced_and_the_difference_named():
    there = facts()
    there["containers"][0]["details"]["HostConfig"]["Memory"] = 5
    there["containers"][0]["details"]["Config"]["Env"].append(hashed("TOKEN=x"))
    (thing,) = [one for one in existing.judge(MANIFEST, texts(), there, KEY).things if one.name == NAME]
    assert (thing.becomes, thing.differs) == ("replaced", ["environment", "mem_limit"])
    assert "with an interruption" in thing.line


def test_an_image_of_another_digest_differs():
    there = facts()
    there["images"][DETAILS["Image"]]["RepoDigests"] = ["x@sha256:1"]
    (thing,) = [one for one in existing.judge(MANIFEST, texts(), there, KEY).things if one.name == NAME]
    assert thing.differs == ["image"]
    there["images"][DETAILS["Image"]]["RepoDigests"] = []
    (thing,) = [one for one in existing.judge(MANIFEST, texts(), there, KEY).things if one.name == NAME]
    assert thing.differs == ["image (of no registry: the update compares it once it has the release's)"]


def test_what_is_in_the_way_is_named():
    port = next(entry for entry in MANIFEST["ports"] if entry["container"] not in ("", NAME))
    name = MANIFEST["names"][0]
    survey = judged(
        listening={f"{port['port']}/tcp": "python3"},
        units=[AVATAR_UNIT],
        paths={AVATAR: "0" * 64, f"/etc/systemd/system/{AVATAR_UNIT}": "directory"},
        sites=[["/etc/nginx/conf.d/old.conf", name], ["/etc/nginx/conf.d/x.conf", "other.example"]],
    )
    assert set(outcomes(survey)) == {
        ("container", "cache", "left alone"), ("container", NAME, "replaced"), ("port", f"{port['port']}/tcp", "refused"),
        ("unit", AVATAR_UNIT, "replaced"), ("file", AVATAR, "replaced"),
        ("file", f"/etc/systemd/system/{AVATAR_UNIT}", "refused"), ("site", "/etc/nginx/conf.d/old.conf", "refused"),
    }  # fmt: skip
    assert any("is taken by python3" in thing.line for thing in survey.things)


def ports_named(**more) -> list[str]:
    return [thing.name for thing in judged(**more).things if thing.kind == "port"]


def test_a_port_that_its_own_unit_holds_is_not_taken():
    entry = next(entry for entry in MANIFEST["ports"] if entry["container"] not in ("", NAME))
    port = f"{entry['port']}/tcp"
    assert ports_named(listening={port: "docker-proxy"}) == [port]
    assert ports_named(listening={port: "docker-proxy"}, units=[entry["unit"]]) == []


def test_a_container_started_with_rm_has_the_update_refused():
    there = facts()
    there["containers"][0]["details"]["HostConfig"]["AutoRemove"] = True
    (thing,) = [one for one in existing.judge(MANIFEST, texts(), there, KEY).things if one.name == NAME]
    assert thing.becomes == "refused" and "so a stop would remove it for good" in thing.line


def test_a_single_service_is_replaced_as_by_its_first_release():
    manifest = copy.deepcopy(MANIFEST)
    next(unit for unit in manifest["units"] if unit["name"] == AVATAR_UNIT)["flag"] = "/run/infra/single/avatar"
    (thing,) = [one for one in existing.judge(manifest, texts(), facts(), KEY).things if one.name == NAME]
    assert (thing.becomes, thing.differs) == ("replaced", ["starts once this host owns the name"])


def test_compose_files_that_cannot_be_compared_have_containers_replaced():
    """As by the agent: what of the release cannot be read says nothing of the host."""
    there = existing.judge(MANIFEST, {**texts(), AVATAR: "services: [{a: 1}]"}, facts(), KEY)
    (thing,) = [one for one in there.things if one.name == NAME]
    assert thing.becomes == "replaced" and thing.differs[0].startswith("cannot be compared: ")
    assert ("container", "cache", "left alone") in outcomes(there)


def test_containers_that_docker_does_not_list_are_not_known():
    survey = judged(containers=[], docker="Cannot connect to the Docker daemon")
    assert outcomes(survey) == [("container", "", "not known")]
    assert "Cannot connect to the Docker daemon" in survey.things[0].line


def test_an_unchanged_file_is_not_named():
    same = hmac.new(KEY, texts()[AVATAR].encode(), "sha256").hexdigest()
    assert ("file", AVATAR, "replaced") not in outcomes(judged(paths={AVATAR: same}))


SPOILED = [None, 5, "x", [], {}, [5], {"a": 5}]


@pytest.mark.parametrize("part", ["Config", "HostConfig", "NetworkSettings", "Mounts", "State", "Image"])
def test_a_misshapen_container_is_replaced_or_named(part):
    for spoiled in SPOILED:
        there = facts()
        there["containers"][0]["details"][part] = spoiled
        try:
            survey = existing.judge(MANIFEST, texts(), there, KEY)
        except existing.adopting.UNREADABLE:
            continue
        assert all("\n" not in thing.line for thing in survey.things)


def report(things):
    change = HostChange("watchme", "new", existing=things)
    return Report("deployed now", "head", [StackReport("prod", hosts=[change], source="live")])


def test_every_format_lists_containers():
    shown = report(judged().things)
    terminal.show(shown, Console(file=(out := io.StringIO()), soft_wrap=True))
    for text in (out.getvalue(), markdown.whole(shown), page.text(shown), as_json.text(shown)):
        assert f"container {NAME} is adopted" in text and "container cache is left alone" in text
    (host,) = json.loads(as_json.text(shown))["stacks"][0]["hosts"]
    assert {"kind": "container", "name": NAME, "becomes": "adopted"}.items() <= host["existing"][1].items()
    japanese = replace(shown, stacks=[replace(shown.stacks[0], language="ja")])
    assert f"コンテナ{NAME}：引き継ぎ" in markdown.whole(japanese)
    assert all(Speaker(TEXTS).of(thing.line) != thing.line for thing in judged().things)


def test_ports_of_an_existing_machine_are_not_called_free():
    survey = judged()
    port = next(iter(survey.ports))
    change = HostChange("watchme", "new", ports={port: ("", "avatar"), "9": ("", "x")})
    (after,) = existing.with_existing([change], {"watchme": survey})
    assert after.ports == {port: (NAME, "avatar"), "9": ("", "x")} and after.existing


def test_a_host_that_cannot_be_asked_is_one_line(monkeypatch):
    def refuse(*_):
        raise InfraError("no route to host")

    monkeypatch.setattr(existing, "survey", refuse)
    surveys, lines = existing.survey_all(catalogue(), {"watchme": TARGET}, {})
    assert surveys == {}
    assert lines == ["watchme did not answer, so what runs there already is not known: no route to host"]


def test_a_machine_is_asked_before_the_first_update(monkeypatch):
    def nothing(_):
        raise InfraError("stack prod has no hosts yet")

    monkeypatch.setattr(live.hosts, "outputs", nothing)
    monkeypatch.setattr(live, "_existing_machines", lambda *_: {"watchme": "there"})
    assert live._hosts(catalogue()) == ({**NOTHING, "bare": {"watchme": "there"}}, [], [])


def test_the_program_for_the_host_reads_a_machine_without_docker(tmp_path):
    """It runs as it is sent: without what is not installed it reports nothing, and fails at nothing."""
    file = tmp_path / "file"
    file.write_text("x")
    request = {
        "key": KEY.hex(),
        "containers": [],
        "paths": [str(file), "/missing"],
        "units": [],
        "names": [],
        "private": [],
    }
    source = f"payload = {request!r}\n{existing.PROGRAM.read_text()}"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", source], capture_output=True, text=True, timeout=60, env={"PATH": str(tmp_path)}
    )
    there = json.loads(ran.stdout)["facts"]
    assert there["containers"] == [] and there["paths"] == {
        str(file): hmac.new(KEY, b"x", "sha256").hexdigest(), "/missing": "",
    }  # fmt: skip
    existing.FactsForm.model_validate(there)


def asked(tmp_path, docker: str, ss: str = "", private=()):
    """The facts of a machine with these programs, by their text for a shell."""
    for name, text in {"docker": docker, "ss": ss}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    request = {"key": KEY.hex(), "containers": [], "paths": [], "units": [], "names": [], "private": [*private]}
    source = f"payload = {request!r}\n{existing.PROGRAM.read_text()}"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", source], capture_output=True, text=True, timeout=60,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    return json.loads(ran.stdout)["facts"]


def test_a_container_that_ends_meanwhile_hides_no_other_one(tmp_path):
    entry = json.dumps([{**DETAILS, "Name": "/cache"}])
    (tmp_path / "answer").write_text(entry)
    there = asked(tmp_path, f"case $1 in ps) echo a b;; *) cat {tmp_path}/answer; echo gone >&2; exit 1;; esac")
    assert [one["name"] for one in there["containers"]] == ["cache"] and there["docker"] == ""


def test_a_docker_that_does_not_answer_is_said(tmp_path):
    assert asked(tmp_path, "echo Cannot connect >&2; exit 1")["docker"] == "Cannot connect"


def test_listeners_at_a_private_address_take_no_port(tmp_path):
    lines = "[ $1 = -Hltnp ] && printf 'LISTEN 0 9 10.0.0.5:80 *:*\nLISTEN 0 9 10.0.0.5:81 *:*\n'"
    there = asked(tmp_path, "exit 0", lines, private=["10.0.0.5:80"])
    assert there["listening"] == {"81/tcp": ""}
