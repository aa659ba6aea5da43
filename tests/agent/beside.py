"""Hosts in memory that serve a release, beside what their owners run."""

from agent import store, transaction
from agent.inventory import BOOT
from agent.world import CommandResult
from tests.agent.fake import FakeWorld
from tests.agent.releases import AVATAR, release, serving

UNITS, SHOWS = "systemctl list-units", "systemctl show --property=Id,Type"
LISTS = """\
cron.service                 loaded active running Regular background program processing daemon
infra-job-0f3a.service       loaded active running a job of the agent's own
infra-sync.service           loaded active running of another team
packagekit.service           loaded active running PackageKit Daemon
resolvconf.service           loaded active exited  has done its work
shop.timer                   loaded active waiting nightly
run-u7.service               loaded active running a backup that was begun by hand
user@1000.service            loaded active running User Manager for UID 1000
"""
PORTS = "ss -Hnltpe"
LISTENS = """\
LISTEN 0 128 0.0.0.0:22      0.0.0.0:* users:(("sshd",pid=700,fd=3)) ino:1 sk:1 <->
LISTEN 0 511 [::]:8080       [::]:*    users:(("blog",pid=701,fd=3)) ino:2 sk:2 v6only:0 <->
LISTEN 0 511 127.0.0.1:41234 0.0.0.0:* users:(("x",pid=702,fd=3)) ino:3 sk:3 <->
LISTEN 0 5   0.0.0.0:8000    0.0.0.0:* users:(("python3",pid=703,fd=3)) uid:1000 ino:4 sk:4 <->
LISTEN 0 5   127.0.0.1:6010  0.0.0.0:* users:(("sshd",pid=704,fd=9)) ino:5 sk:5 <->
LISTEN 0 128 127.0.0.1:8014  0.0.0.0:* users:(("docker-proxy",pid=705,fd=9)) ino:6 sk:6 <->
LISTEN 0 64  0.0.0.0:2049    0.0.0.0:* ino:7 sk:7 <->
"""


def unhealthy(world: FakeWorld, then=lambda: None) -> FakeWorld:
    """The release answers 500 once it has switched; `then` happens meanwhile."""
    happened = []

    def status(url: str) -> int:
        new = (world.read(AVATAR) or b"").find(b"300m") > 0 or not store.current_id(world)
        switched = transaction.load_unfinished(world) is not None and not transaction.load_unfinished(world).reason
        if switched and new and not happened:
            happened.append(then())
        return 500 if switched and new else 200

    world.web = status
    return world


def busy() -> FakeWorld:
    """A host that serves a release, beside what its owner runs."""
    world = serving(release())
    world.docker.run_by_hand("d" * 64, "blog")
    world.docker.run_by_hand("e" * 64, "nightly", AutoRemove=True)
    world.docker.networks["shop_default"] = ("172.30.0.0/16", "172.30.0.1", "shop")
    world.docker.volumes = {"shop_data", "e" * 64}
    world.answers |= {UNITS: CommandResult(0, LISTS), PORTS: CommandResult(0, LISTENS)}
    world.answers[SHOWS] = CommandResult(
        0,
        "Id=packagekit.service\nType=dbus\n\nId=run-u7.service\nTransient=yes\n\nId=cron.service\nType=simple\nTriggeredBy=\n",
    )
    world.files["/proc/704/cgroup"] = (b"0::/user.slice/user-1000.slice/session-4.scope\n", 0o444, "root", "root")
    world.enabled |= {"cron.service", "shop.timer", "resolvconf.service"}
    world.files[BOOT] = (b"boot-1\n", 0o444, "root", "root")
    return world


def without(text: str, word: str) -> CommandResult:
    return CommandResult(0, "".join(line for line in text.splitlines(True) if word not in line))
