"""A host in memory: files, units, images, and commands that only remember that they ran."""

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.world import Ran, World


@dataclass
class FakeWorld(World):
    """`answers` maps a command's beginning to its result; statuses are asked of `web`."""

    files: dict[str, tuple[bytes, int, str, str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    registry: dict[str, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    enabled: set[str] = field(default_factory=set)
    installed: set[str] = field(default_factory=lambda: {"docker", "docker-compose", "nginx", "certbot", "systemctl"})
    answers: dict[str, Ran] = field(default_factory=dict)
    web: Callable[[str], int] = lambda url: 200
    ran: list[str] = field(default_factory=list)
    clock: float = 0.0

    def run(self, *argv, timeout=300, environment=None):
        command = " ".join(argv)
        self.ran.append(command)
        for beginning, answer in self.answers.items():
            if command.startswith(beginning):
                return answer
        return self._pretend(argv)

    def _pretend(self, argv):
        match argv:
            case ("docker", "pull", _, image):
                if image not in self.registry:
                    return Ran(1, "manifest unknown")
                self.images[image] = self.registry[image]
            case ("docker", "image", "inspect", *_, image):
                return Ran(0, self.images[image]) if image in self.images else Ran(1, "No such image")
            case ("systemctl", "is-active", *names):
                return Ran(0, "\n".join("active" if name in self.active else "inactive" for name in names))
            case ("systemctl", "is-enabled", *names):
                return Ran(0, "\n".join("enabled" if name in self.enabled else "disabled" for name in names))
            case ("systemctl", "enable", *names):
                self.enabled |= set(names)
            case ("systemctl", "restart", *names):
                self.active |= set(names)
            case ("systemctl", "disable", "--now", name):
                self.active.discard(name)
                self.enabled.discard(name)
            case ("systemctl", "stop", *names):
                self.active -= set(names)
            case ("certbot", *rest):
                name = rest[rest.index("--cert-name") + 1]
                server = f"server = {rest[rest.index('--server') + 1]}\n".encode()
                self.files[f"/etc/letsencrypt/live/{name}/fullchain.pem"] = (b"chain", 0o644, "root", "root")
                self.files[f"/etc/letsencrypt/renewal/{name}.conf"] = (server, 0o644, "root", "root")
            case ("rm", "-rf", path):
                self.files = {name: file for name, file in self.files.items() if not name.startswith(path + "/")}
                self.links = {name: link for name, link in self.links.items() if not name.startswith(path + "/")}
        return Ran(0, "")

    def has_command(self, name):
        return name in self.installed

    def read(self, path):
        return self.files[path][0] if path in self.files else None

    def owner_and_mode(self, path):
        _, mode, owner, group = self.files[path]
        return owner, group, mode

    def write(self, path, content, mode, owner, group):
        self.files[path] = (content, mode, owner, group)

    def directory(self, path, mode, owner, group):
        pass

    def link_target(self, path):
        return self.links.get(path)

    def link(self, path, target):
        self.links[path] = target

    def remove(self, path):
        self.files.pop(path, None)
        self.links.pop(path, None)

    def status_of(self, url, name=None):
        return self.web(url)

    def now(self):
        return self.clock

    def sleep(self, seconds):
        self.clock += seconds

    def commands(self, beginning: str) -> list[str]:
        return [command for command in self.ran if command.startswith(beginning)]
