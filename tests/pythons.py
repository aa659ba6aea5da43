"""`python -m tests.pythons`: the agent on the Pythons of the hosts that people have, each the real one of a Debian
release, in a root that debootstrap makes and that is kept for the next time. As root; about two minutes a new root.

Every root imports the agent, takes a host in memory through releases, and is sent the programs that go to a host by
themselves: what happens there must be what happens on this machine's own Python.
"""

import base64
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from agent import program, receive_source
from agent.proxies import signs_of_traffic
from infra import remote
from infra.adopt.host.reading import program as reading
from lab import root as superuser
from lab.root import KEPT_PREFIXES
from rendering.archive import build
from rendering.host import render
from tests.agent.releases import bigger, release
from tests.support import ROOT, digests, whole

# A suite of Debian, the Python that it must have at least, and its systemd
SUITES = {"bullseye": ((3, 9), 247), "trixie": ((3, 13), 257), "sid": ((3, 14), 260)}
MIRROR = "http://deb.debian.org/debian"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "watchme-infra" / "pythons"
ON_HOST = [
    "tests/__init__.py",
    "tests/agent/__init__.py",
    *(f"tests/agent/{n}.py" for n in ("fake", "certbot", "docker", "on_a_host")),
]
# Of the program's own pure tests, those that need nothing but Python and git
PROGRAM_SUITES = ("trixie", "sid")
PROGRAM_TESTS = [
    "adopt",
    "agent",
    "catalogue",
    "cli",
    "components",
    "move",
    "orphans",
    "policy",
    "preview",
    "rendering",
]
PACKAGES = "python3,python3-venv,systemd,iproute2,ca-certificates,git,make"
UNIT = "[Service]\nExecStart=/bin/true\n{line}\n[Install]\nWantedBy=multi-user.target\n"


def spec() -> dict[str, Any]:
    """What tests/agent/on_a_host.py reads."""
    watched = build(render(whole(), "watchme", digests()))
    made = {"first": release(), "second": release(bigger), "watched": watched}
    return {"releases": {n: {"id": r.id, "archive": base64.b64encode(r.archive).decode()} for n, r in made.items()}}


def root_of(suite: str) -> Path:
    """The root of a Debian release, made when it is not there. Ends the program with debootstrap's last words when it cannot be."""
    place = CACHE / suite
    done = place / ".done"
    if not done.exists() or done.read_text() != PACKAGES:
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        print(f"· {suite}: making its root in {place}", flush=True)
        command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(place), MIRROR]
        made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
        if made.returncode:
            raise SystemExit(f"debootstrap {suite}: {made.stdout.strip().splitlines()[-1]}")
        done.write_text(PACKAGES)
    return place


def inside(root: Path, command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a shell command in a root: its own mounts and processes, no network."""
    script = f"mount -t proc proc {root}/proc && mount -t tmpfs tmpfs {root}/run && exec chroot {root} sh -c {shlex.quote(command)}"
    command_line = ["unshare", "--mount", "--pid", "--fork", "--net", "sh", "-c", script]
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    return subprocess.run(command_line, input=stdin, capture_output=True, text=True, timeout=300, env=environment)


def brought(root: Path) -> str:
    """Puts the agent and its driver into a root; their directory there."""
    place = root / "srv/agent"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ROOT / "agent", place / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ON_HOST:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, place / name)
    return "/srv/agent"


def scenes(root: Path) -> dict[str, Any]:
    """What tests/agent/on_a_host.py says there, warnings being errors."""
    ran = inside(root, f"cd {brought(root)} && python3 -W error -B -m tests.agent.on_a_host", json.dumps(spec()))
    if ran.returncode:
        raise AssertionError(ran.stderr)
    return json.loads(ran.stdout)


def sent(root: Path, text: str, payload: Any) -> list[dict[str, Any]]:
    """What a program says that is sent to a host, as infra.remote sends it."""
    mark = hashlib.sha256(b"word").hexdigest()
    given = {"first": remote.FIRST, "name": "program", "program": text, "payload": payload}
    ran = inside(root, f"{remote.START} word program", json.dumps(given))
    if ran.returncode:
        raise AssertionError(ran.stderr)
    return [
        json.loads(line.removeprefix(f"{mark} ")) for line in ran.stdout.splitlines() if line.startswith(f"{mark} ")
    ]


def received(root: Path) -> list[dict[str, Any]]:
    """What the agent says that installs itself there. Nothing runs systemd, so that it ends with that."""
    made = spec()["releases"]["first"]
    order = {"id": "j1", "kind": "apply", "who": "a", "host": "watchme", "release": made["id"], "base": None}
    return sent(root, receive_source(), {"archive": made["archive"], "secrets": {}, "spec": order})


def checked(suite: str, expected: dict[str, Any]) -> list[str]:
    """What is wrong with the agent on a Debian release; empty where nothing is."""
    root = root_of(suite)
    python, systemd = SUITES[suite]
    wrong: list[str] = []
    done = scenes(root)
    version, found = tuple(done["version"]), inside(root, "systemctl --version").stdout.split()[1]
    print(f"  {suite}: Python {'.'.join(map(str, version))}, systemd {found}", flush=True)
    if version[:2] < python or int(found) < systemd:
        wrong.append(f"{suite} should have at least Python {python} and systemd {systemd}")
    wrong += [
        f"{name}: {done['scenes'].get(name)!r} instead of {value!r}"
        for name, value in expected.items()
        if done["scenes"].get(name) != value
    ]
    said = received(root)
    # It is unpacked and checked; what it needs next is systemd, which does not run there
    if "System has not been booted with systemd" not in said[-1].get("result", {}).get("line", ""):
        wrong.append(f"the agent that installs itself said {said}")
    facts = sent(root, reading(), {"ask": "facts"})[-1]
    if "hostname" not in facts.get("facts", {}):
        wrong.append(f"on_host.py said {facts}")
    if (copied := sent(root, program("copying"), {"images": [], "auths": {}})) != [{"images": []}]:
        wrong.append(f"copying.py said {copied}")
    if sent(root, program("traffic"), {"within": 60, **signs_of_traffic()})[-1].get("requests") != 0:
        wrong.append("traffic.py did not count")
    return wrong


def program_passes(suite: str) -> bool:
    """Do the program's own tests pass with the Python of a Debian release, and its packages out of the lock file."""
    root = root_of(suite)
    project = root / "srv/program"
    shutil.rmtree(project, ignore_errors=True)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(project)], check=True, timeout=300)
    # As it is here, what is not committed included
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).unlink(missing_ok=True)
            shutil.copy(ROOT / name, project / name, follow_symlinks=False)
    shutil.copy(os.environ.get("UV") or shutil.which("uv") or ROOT / ".tools/uv/bin/uv", root / "usr/local/bin/uv")
    for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"):
        if Path(name).exists():
            shutil.copyfile(name, root / name[1:])
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "uv"
    cache.mkdir(parents=True, exist_ok=True)
    (root / "root/.cache/uv").mkdir(parents=True, exist_ok=True)
    tests = " ".join(f"tests/{name}" for name in PROGRAM_TESTS)
    command = (
        "cd /srv/program && git config --global --add safe.directory '*' && uv sync --quiet --frozen --python /usr/bin/python3 && "
        f".venv/bin/python --version && .venv/bin/python -m pytest -q -n auto --dist worksteal -m 'not lab' {tests}"
    )
    mounts = [f"mount -t proc proc {root}/proc", f"mount -t tmpfs tmpfs {root}/run", f"mount -t tmpfs tmpfs {root}/tmp"]
    mounts += [f"mount --rbind /dev {root}/dev", f"mount --bind {cache} {root}/root/.cache/uv"]
    script = " && ".join([*mounts, f"exec chroot {root} sh -c {shlex.quote(command)}"])
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT_PREFIXES) and name != "UV"}
    environment = kept | {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    environment |= {"UV_PYTHON_DOWNLOADS": "never", "UV_LINK_MODE": "copy"}
    ran = subprocess.run(["unshare", "--mount", "--pid", "--fork", "sh", "-c", script], env=environment, timeout=1800)
    return ran.returncode == 0


def main() -> int:
    if os.geteuid() != 0 and superuser.is_possible():
        return superuser.run_as_root("tests.pythons", *sys.argv[1:])
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        print("✗ root and debootstrap are needed: sudo apt-get install debootstrap", file=sys.stderr)
        return 1
    here = subprocess.run(
        [sys.executable, "-m", "tests.agent.on_a_host"],
        input=json.dumps(spec()),
        capture_output=True,
        timeout=300,
        text=True,
        check=True,
    )
    expected = json.loads(here.stdout)["scenes"]
    failed = 0
    for suite in sys.argv[1:] or SUITES:
        print(f"· {suite}", flush=True)
        wrong = checked(suite, expected)
        failed += bool(wrong)
        print("\n".join(f"✗ {line}" for line in wrong) or f"✓ {len(expected)} scenes as on this machine", flush=True)
    for suite in [suite for suite in sys.argv[1:] or SUITES if suite in PROGRAM_SUITES]:
        print(f"· the program's tests on {suite}", flush=True)
        failed += not program_passes(suite)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
