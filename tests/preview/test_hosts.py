"""What becomes of a host's units between two manifests, by the agent's own rule."""

import pytest

from agent import store
from infra.preview.effects import effects
from infra.preview.hosts import compare_hosts


def unit(name: str, *files: str, flag: str = ""):
    return {"name": name, "files": [f"/u/{name}", *files], "images": [], "flag": flag}


def container(unit: str, name: str):
    return {"name": name, "unit": unit, "project": "p", "network": "n", "aliases": []}


def manifest(*units, slots=(), versions=None, public=("web.service",), reactions=(), replicas=(), names=("a", "b")):
    files = sorted({path for one in units for path in one["files"]})
    return {
        "units": list(units), "slots": list(slots), "links": [], "environment_files": [], "reactions": list(reactions), "ports": [], "memory": 1,
        "replicas": list(replicas), "networks": [{"name": "n", "unit": "net.service"}],
        "containers": [container(f"web{number}.service", name) for number, name in zip(("", "-2"), names, strict=True)],
        "files": [{"path": path, "mode": 420, "owner": "root", "sha256": (versions or {}).get(path, "1")} for path in files],
        "probes": [{"unit": one["name"], "service": one["name"].split(".")[0], "public": one["name"] in public} for one in units],
    }  # fmt: skip


def slots(service: str):
    return {"service": service, "choices": [{"unit": f"{service}-{c}.service"} for c in ("blue", "green")]}


def effects_of(old, new, drifted=frozenset()):
    return [(effect.service, effect.how) for effect in effects(old, new, drifted)]


WEB, DB = unit("web.service"), unit("db.service")
SINGLE = unit("cron.service", flag="/run/flag")
WATCH = unit("infra-singles.service")
SOCKET = unit("web.socket")
REPLICAS, NET = [unit("web.service", "/c"), unit("web-2.service", "/c")], unit("net.service")
TWO = [
    {
        "service": "web",
        "awaited": [],
        "members": [{"unit": one["name"], "port": 1, "link": "l", "target": "t"} for one in REPLICAS],
    }
]
BLUE = [unit("web-blue.service", "/c"), unit("web-green.service", "/c")]
CHANGED = {"/u/web.service": "2"}
CASES = {
    "nothing": (manifest(WEB), manifest(WEB), []),
    "restarted": (manifest(WEB, DB), manifest(WEB, DB, versions=CHANGED), [("web", "restarts")]),
    "for its own users": (manifest(WEB, DB), manifest(WEB, DB, versions={"/u/db.service": "2"}), [("db", "restarts for its own users")]),
    "new": (manifest(WEB), manifest(WEB, DB), [("db", "starts")]),
    "gone": (manifest(WEB, DB), manifest(WEB), [("db", "stops permanently")]),
    "a new host": (None, manifest(WEB), [("web", "starts")]),
    "behind its socket": (
        manifest(WEB, SOCKET),
        manifest(WEB, SOCKET, versions=CHANGED),
        [("web", "restarts behind its socket")],
    ),
    "its first socket": (manifest(WEB), manifest(WEB, SOCKET, versions=CHANGED), [("web", "restarts"), ("web", "starts")]),
    "the socket itself": (
        manifest(WEB, SOCKET),
        manifest(WEB, SOCKET, versions={"/u/web.socket": "2"}),
        [("web", "restarts for its own users")],
    ),
    "replicas": (
        manifest(*REPLICAS, replicas=TWO), manifest(*REPLICAS, replicas=TWO, versions={"/c": "2"}),
        [("web", "one after the other"), ("web-2", "one after the other")],
    ),
    "one replica more": (manifest(REPLICAS[0]), manifest(*REPLICAS, replicas=TWO), [("web-2", "starts")]),
    "replicas whose network changes": (
        manifest(*REPLICAS, NET, replicas=TWO), manifest(*REPLICAS, NET, replicas=TWO, versions={"/c": "2", "/u/net.service": "2"}),
        [("web", "restarts"), ("web-2", "restarts for its own users"), ("net", "restarts for its own users")],
    ),
    "a replica whose container has another name": (
        manifest(*REPLICAS, replicas=TWO, names=("a", "b")), manifest(*REPLICAS, replicas=TWO, names=("c", "b"), versions={"/c": "2"}),
        [("web", "restarts"), ("web-2", "restarts for its own users")],
    ),
    "blue-green": (manifest(*BLUE, slots=[slots("web")]), manifest(*BLUE, slots=[slots("web")], versions={"/c": "2"}), [("web", "blue-green")]),
    "blue-green from now on": (
        manifest(WEB),
        manifest(*BLUE, slots=[slots("web")]),
        [("web", "restarts")],
    ),
    "another unit of the same service": (
        manifest(WEB),
        {**manifest(unit("web-two.service")), "probes": [{"unit": "web-two.service", "service": "web", "public": True}]},
        [("web", "restarts")],
    ),
    "a single service": (
        manifest(SINGLE, WATCH),
        manifest(SINGLE, WATCH, versions={"/u/cron.service": "2"}),
        [("cron", "waits for its name")],
    ),
    "its watch": (
        manifest(SINGLE, WATCH),
        manifest(SINGLE, WATCH, versions={"/u/infra-singles.service": "2"}),
        [("cron", "waits for its name"), ("infra-singles", "restarts for its own users")],
    ),
    "asked to read again": (
        manifest(WEB),
        manifest(WEB, versions=CHANGED, reactions=[{"paths": ["/u/"], "run": ["systemctl", "reload", "x"]}]),
        [("web", "restarts"), ("systemctl reload x", "reloads")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "found"), CASES.values(), ids=CASES)
def test_effects(old, new, found):
    assert effects_of(old, new) == found


def test_release_restores_manual_changes_and_stopped_units():
    assert effects_of(manifest(WEB, DB), manifest(WEB, DB), {"/u/web.service"}) == [("web", "restarts")]
    assert effects_of(manifest(WEB, DB), manifest(WEB, DB), {"db.service"}) == [("db", "restarts for its own users")]


def host(made, kind: str = "ec2", drifted=(), files=None):
    return {
        "manifest": made, "files": files or {}, "addresses": {}, "room": 10, "spec": {"kind": kind},
        "drifted": list(drifted),
    }  # fmt: skip


def shown(before, after, was="tokyo", will="tokyo"):
    return [
        (change.host, change.how, [effect.service for effect in change.effects])
        for change in compare_hosts(before, after, was, will)
    ]


NEWER = manifest(WEB, versions=CHANGED)


def test_unchanged_release_touches_nothing_despite_hand_edits():
    hand_made = host(manifest(WEB), drifted=["/u/web.service"], files={"/u/web.service": "by hand\n"})
    assert shown({"h": hand_made}, {"h": host(manifest(WEB), files={"/u/web.service": "ours\n"})}) == [
        ("h", "same", [])
    ]


def test_moved_host_is_compared_with_its_old_machine():
    before = {"h": host(manifest(WEB)), "home": host(manifest(WEB), "ssh")}
    after = {"h": host(NEWER), "home": host(manifest(WEB), "ssh")}
    assert shown(before, after, "tokyo", "sydney") == [("h", "moved", []), ("home", "same", [])]


def test_promoted_standby_is_not_a_new_machine():
    before = {"h": host(manifest(WEB)), "h@sydney": host(manifest(WEB))}
    after = {"h": host(NEWER), "h@tokyo": host(manifest(WEB))}
    assert shown(before, after, "tokyo", "sydney") == [("h", "changed", ["web"]), ("h@tokyo", "same", [])]


def with_file(text: str, sha256: str):
    one = {"path": "/etc/a.yml", "mode": 420, "owner": "root", "sha256": sha256}
    return host(manifest() | {"files": [one]}, files={"/etc/a.yml": text})


def test_a_change_that_masking_hides_is_still_a_change():
    (change,) = compare_hosts({"h": with_file("same\n", "1")}, {"h": with_file("same\n", "2")})
    assert [(file.path, file.how, file.meta) for file in change.files] == [
        ("/etc/a.yml", "changed", "its content changes in a part that is not shown")
    ]
    (change,) = compare_hosts({"h": with_file("one\n", "1")}, {"h": with_file("two\n", "2")})
    assert [(file.added_lines, file.meta) for file in change.files] == [(1, "")]


def test_snippet_of_a_site_is_marked_as_written_by_hand():
    paths = ("/etc/nginx/by-hand/shop.example.com.conf", "/etc/caddy/by-hand/a.example.conf", "/etc/nginx/other.conf")
    after = host(manifest(WEB), files=dict.fromkeys(paths, "return 204;\n"))
    (change,) = compare_hosts({"h": host(manifest())}, {"h": after})
    assert {file.path: (file.how, file.meta) for file in change.files} == {
        paths[0]: ("new", "written by hand: the snippet of site shop.example.com"),
        paths[1]: ("new", "written by hand: the snippet of site a.example"),
        paths[2]: ("new", ""),
    }


def test_defaults_added_by_a_host_to_its_manifest_are_no_change():
    """It says of an earlier or shorter manifest what that means: the language that it is in, parts that it had not."""
    made = manifest(WEB)
    filled = {**store.LATER, **made}
    assert filled != made
    assert [change.how for change in compare_hosts({"web": host(filled)}, {"web": host(made)})] == ["same"]
