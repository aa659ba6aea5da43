"""A host in memory: files, units, images, and commands that only remember that they ran. It runs on every Python that
the agent runs on; see tests/pythons.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from agent import capabilities, compose
from agent.places import Entry
from agent.world import Account, CommandResult, Usage, World
from tests.agent import certbot
from tests.agent.docker import Docker

INSTALLED = (
    "docker", "docker-compose", "docker-credential-ecr-login", "ip", "nginx", "caddy", "certbot", "systemctl",
    *capabilities.ALWAYS, *capabilities.FOR_ACCOUNTS, *capabilities.FOR_MANAGERS, *capabilities.FOR_CERTIFICATES,
    *capabilities.FOR_PROXIES,
)  # fmt: skip
# Commands of which what they print depends on the host's versions: what is not in `lacks`
OPTIONS = {"systemd-analyze": ("--recursive-errors",)}
LOOKS = (
    "docker image inspect", "systemd-analyze --help", *(f"{path} version" for path in compose.PLACES), "docker info",
    "docker ps", "iptables", "nginx -T", "systemctl is-", "systemctl list-units", "journalctl", "ss ", "systemctl show",
    "runuser -u ice -- env systemctl --user is-", "runuser -u ice -- env systemctl --user show",
)  # fmt: skip


class Killed(BaseException):
    """The agent's end by SIGKILL, or the host's by a loss of power: nothing in the agent can catch it."""


@dataclass
class FakeWorld(World):
    """`answers` maps a command's beginning to its result; statuses are asked of `web`.

    Everything that changes the host counts; `kill_at` ends the agent right before that change, `break_at` makes it
    fail as a full disk does.
    """

    files: dict[str, tuple[bytes, int, str, str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    registry: set[str] = field(default_factory=set)
    active: set[str] = field(default_factory=lambda: {"nginx.service"})
    enabled: set[str] = field(default_factory=lambda: {"nginx.service"})
    installed: set[str] = field(default_factory=lambda: set(INSTALLED))
    listening: dict[int, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    # This host owns the public name: what has a single instance anywhere runs here
    there: set[str] = field(default_factory=lambda: {"/run/infra/single/scheduler", "/bin/sh", "/bin/bash"})
    directories: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    others: dict[str, Entry] = field(default_factory=dict)
    links_of_users: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    certificates: dict[str, tuple[float, str]] = field(default_factory=dict)
    answers: dict[str, CommandResult] = field(default_factory=dict)
    web: Callable[[str], int] = lambda url: 200
    lacks: set[str] = field(default_factory=set)  # options that its programs do not have
    compose_version: str = "2.40.3"
    machine: str = "x86_64"
    # Of images for another architecture than amd64
    architectures: dict[str, str] = field(default_factory=dict)
    space: int = 10 * 1024**3
    docker: Docker = field(default_factory=Docker)
    disk: Usage = field(default_factory=lambda: Usage(1, 30 * 1024**3, 20 * 1024**3, 1_000_000, 900_000))
    # Program → its processes' arguments
    processes: dict[str, list[list[str]]] = field(default_factory=dict)
    reaches: Callable[[int, str, int], bool] = lambda pid, address, port: True
    used: dict[int, int] = field(default_factory=dict)
    date: str = ""
    ran: list[str] = field(default_factory=list)
    clock: float = 0.0
    time: float = 1.8e9
    changes: int = 0
    kill_at: int | None = None
    break_at: int | None = None
    stays_full: bool = False
    certify = certbot.certify

    def _change(self, takes_space=False):
        self.changes += 1
        # Whatever unwinds after the kill changes nothing any more
        if self.kill_at is not None and self.changes >= self.kill_at:
            raise Killed
        if self.changes == self.break_at or (takes_space and self.stays_full and self.changes > (self.break_at or 0)):
            raise OSError(28, "No space left on device")

    def run(self, *argv, timeout=300, environment=None, stdin=""):
        command = " ".join(word for word in argv if not word.startswith(("XDG_", "DBUS_")))
        if not command.startswith(LOOKS):
            self._change()
        self.ran.append(command)
        for beginning, answer in self.answers.items():
            if command.startswith(beginning):
                return answer
        answered = self.docker.answer(argv)
        return self._pretend(argv) if answered is None else answered

    def _pretend(self, argv):
        if argv[0] == "runuser":
            account, words = argv[2], argv[argv.index("--user") + 1 :]
            named = [word if word.startswith("-") or "." not in word else f"{account}/{word}" for word in words[1:]]
            return self._pretend(("systemctl", words[0], *named))
        verb, names = argv[:2], argv[2:]
        if argv[0] == "useradd":
            self.accounts[argv[-1]] = argv[argv.index("--home-dir") + 1]
        elif verb == ("loginctl", "enable-linger"):
            name = argv[-1]
            self.there |= {f"/var/lib/systemd/linger/{name}", f"/run/user/{1000 + len(name)}/systemd/private"}
        elif argv[0] == "systemctl":
            return self._systemctl(argv[1], names)
        elif argv[0] == "docker":
            return self._docker(argv)
        elif argv[0] in compose.PLACES:
            return CommandResult(0, self.compose_version if "version" in argv else "")
        elif verb == ("systemd-analyze", "--help"):
            return CommandResult(0, "\n".join(f"  {option}" for option in OPTIONS[argv[0]] if option not in self.lacks))
        elif argv[0] in OPTIONS and (unknown := [word for word in argv if word.split("=")[0] in self.lacks]):
            return CommandResult(1, f"{argv[0]}: unrecognized option '{unknown[0]}'")
        elif verb in (("ss", "-Hltnp"), ("ss", "-Hlunp")):
            taken = self.listening.get(int(argv[2].rsplit(":", 1)[1]) * (1 if verb[1] == "-Hltnp" else -1))
            return CommandResult(0, f"LISTEN 0 128 127.0.0.1:80 0.0.0.0:* {taken}" if taken else "")
        elif argv[0] == "certbot":
            self.certify(argv[argv.index("--cert-name") + 1], argv[argv.index("--server") + 1])
        elif verb == ("rm", "-rf"):
            self._drop(argv[2])
        return CommandResult(0, "")

    def _systemctl(self, verb, names):
        if verb == "show" and names[:3] == ("-p", "ActiveState", "--value"):
            return CommandResult(0, "active" if names[3] in self.active else "inactive")
        if verb == "show":
            met = "no" if names[-1] in self.skipped else "yes"
            return CommandResult(0, f"ActiveState=inactive\nSubState=dead\nResult=success\nConditionResult={met}")
        if verb == "is-active":
            return CommandResult(0, "\n".join("active" if name in self.active else "inactive" for name in names))
        if verb == "is-enabled":
            names = [name for name in names if not name.startswith("-")]
            answers = ["enabled" if name in self.enabled else "disabled" for name in names]
            return CommandResult(0 if "enabled" in answers else 1, "\n".join(answers))
        if verb == "enable":
            self.enabled |= set(names)
        elif verb == "disable":
            self.enabled -= set(names)
        elif (verb, *names) == ("try-reload-or-restart", "nginx") and (missing := self._missing_upstreams()):
            return CommandResult(1, f"host not found in upstream {missing}")
        elif verb == "restart":
            started = [name for name in names if name not in self.skipped]
            self.active |= {name if "." in name else f"{name}.service" for name in started}
        elif verb == "start":
            self.active |= {name for name in names if not name.startswith("-")} - self.skipped
        elif verb == "stop":
            self.active -= set(names)
        return CommandResult(0, "")

    def _docker(self, argv):
        image = argv[-1]
        if "pull" in argv:
            if image not in self.registry:
                return CommandResult(1, "manifest unknown")
            self.images.add(image)
        elif argv[:3] == ("docker", "image", "inspect"):
            known = self.architectures.get(image, "amd64")
            return CommandResult(0, known) if image in self.images else CommandResult(1, "No such image")
        elif argv[:3] == ("docker", "image", "rm"):
            self.images.discard(image)
        elif argv[1] == "info":
            return CommandResult(0, "/var/lib/docker")
        return CommandResult(0, "")

    def _missing_upstreams(self):
        """Upstreams that a site names and no file of conf.d defines: Nginx does not start without them."""
        text = b"".join(file[0] for path, file in self.files.items() if path.startswith("/etc/nginx/sites-available/"))
        links = [target for path, target in self.links.items() if path.startswith("/etc/nginx/conf.d/")]
        defined = b"".join(self.files[target][0] for target in links if target in self.files)
        names = set(re.findall(rb"proxy_pass http://(slot_[\w-]+)", text))
        return [name for name in names if b"upstream " + name not in defined]

    def _drop(self, path):
        self.files = {name: file for name, file in self.files.items() if not name.startswith(path + "/")}
        self.links = {name: link for name, link in self.links.items() if not name.startswith(path + "/")}

    def account(self, name):
        return Account(1000 + len(name), self.accounts[name]) if name in self.accounts else None

    def architecture(self):
        return self.machine

    def exists(self, path):
        return (
            path.replace("/usr/bin/", "", 1) in self.installed
            or (path == "/proc/net/if_inet6" and "ipv6" not in self.lacks)
            or path in self.there
            or path in self.directories
            or path in self.files
            or path in self.links
            or (path.startswith("/etc/letsencrypt/") and bool(self.listing(path)))
        )

    def certificate_ends(self, name):
        return self.certificates.get(name, (self.time + 90 * 86400, ""))

    def has_command(self, name):
        return name in self.installed

    def read(self, path):
        return self.files[path][0] if path in self.files else None

    def head(self, path, size):
        return self.files[path][0][:size] if path in self.files else None

    def is_executable(self, path):
        return bool(self.files[path][1] & 0o111) if path in self.files else False

    def entry(self, path):
        # By the other methods, which a test may have replaced
        if (target := self.link_target(path)) is not None:
            return Entry("link", target=target)
        if (content := self.read(path)) is not None:
            owner, group, mode = self.owner_and_mode(path)
            return Entry("file", content, owner, group, mode)
        if path in self.directories:
            return Entry("other", what="a directory")
        return self.others.get(path, Entry("absent"))

    def directory_entry(self, path):
        owner, group, mode = self.directories.get(path, ("", "", 0))
        return Entry("directory", b"", owner, group, mode) if path in self.directories else None

    def owner_and_mode(self, path):
        _, mode, owner, group = self.files[path]
        return owner, group, mode

    def write(self, path, content, mode, owner, group):
        self._change(takes_space=True)
        self.links.pop(path, None)
        self.files[path] = (content, mode, owner, group)

    def move(self, source, path):
        self._change()
        self.links.pop(path, None)
        self.files[path] = self.files.pop(source)

    def directory(self, path, mode, owner, group):
        self._change(takes_space=path not in self.directories)
        self.directories[path] = (owner, group, mode)

    def remove_empty(self, path):
        self._change()
        if not any(name.startswith(f"{path}/") for name in (*self.files, *self.links, *self.directories, *self.there)):
            self.directories.pop(path, None)

    def why_barred(self, path):
        return next((why for place, why in self.links_of_users.items() if path.startswith(f"{place}/")), None)

    def has_group(self, name):
        return name in ("audio", "video")

    def rename_tree(self, source, path):
        self._change()
        for kept in (self.files, self.links):
            for name in [name for name in kept if f"{name}/".startswith(f"{source}/")]:
                kept[path + name[len(source) :]] = kept.pop(name)

    def link_target(self, path):
        return self.links.get(path)

    def link(self, path, target):
        self._change(takes_space=True)
        self.files.pop(path, None)
        self.links[path] = target

    def remove(self, path):
        self._change()
        self.files.pop(path, None)
        self.links.pop(path, None)

    def remove_tree(self, path):
        self._change()
        self._drop(path)

    def listing(self, path):
        folder, start = f"{path}/", len(path) + 1
        inside = {name[start:] for kept in (self.files, self.links) for name in kept if name.startswith(folder)}
        return sorted({name.split("/", 1)[0] for name in inside})

    def usage(self, path):
        return self.disk

    def memory_of(self, pid):
        return self.used.get(pid, 10 * 1024**2)

    def docker_has(self, path, timeout=10):
        return self.docker.has(path)

    def socket_has(self, place, path, timeout=5):
        return b"{}"

    def settle(self, tree):
        self._change()
        self.ran.append(f"settle {tree}")

    def arguments_of(self, program, parent=""):
        return self.processes.get(program, [])

    def reach_inside(self, asked):
        return [self.reaches(*question) for question in asked]

    def reachable_address(self, name, port):
        return "192.0.2.80"

    def resolve_inside(self, asked):
        return [self.docker.resolve(*pair) for pair in asked]

    def date_at(self, url, timeout=2):
        return self.date

    def free(self, path):
        return self.space

    def memory(self):
        return super().memory() or {"MemTotal": 8 * 1024**3, "MemAvailable": 6 * 1024**3}

    def fetch(self, url, headers, method="GET", body=None, timeout=20):
        return 0, b""

    def status_of(self, url, name=None):
        return self.web(url)

    def now(self):
        return self.clock

    def wall(self):
        return self.time

    def sleep(self, seconds):
        self.clock += seconds

    def commands(self, beginning: str) -> list[str]:
        return [command for command in self.ran if command.startswith(beginning)]

    def seen_by_programs(self) -> tuple[dict, dict, set, set, dict]:
        """What programs on the host see: not what the agent keeps for itself, nor what is only prepared."""
        own = ("/var/lib/infra/", "/run/infra/", "/etc/letsencrypt/")
        files = {path: file for path, file in self.files.items() if not path.startswith(own)}
        links = {path: target for path, target in self.links.items() if not path.startswith(own)}
        directories = {path: entry for path, entry in self.directories.items() if not f"{path}/".startswith(own)}
        return files, links, set(self.active), set(self.enabled), directories
