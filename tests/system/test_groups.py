"""A service that three hosts run together, under clients: it grows, is released, loses a host and shrinks."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import sleep

import pytest

from lab.run import run
from tests.system.conftest import Ran, System
from tests.system.faults import Load
from tests.system.on import until, wait_until_well
from tests.system.one_service import REPOSITORY, push

pytestmark = [pytest.mark.lab, pytest.mark.nightly, pytest.mark.timeout(900)]
FILE, SERVICE, SWARM = "files/systems/watchme.yaml", "admin", "watchme-admin-swarm_api"
PATH = "/admin/"
AGAIN = 60  # seconds within which what ran on a lost host runs elsewhere
BACK = 240  # seconds within which Docker is sure of a host that is back


@dataclass
class Group:
    """`growth` are the requests while a container became a service of three hosts."""

    system: System
    growth: Load | None = None

    def under_load(self, work: Callable[[], Ran | str], more: float = 2) -> tuple[Ran | str, Load]:
        with Load(self.system, [PATH]).going() as load:
            sleep(1)
            outcome = work()
            sleep(more)
        return outcome, load

    def places(self) -> list[str]:
        """The hosts on which one is healthy."""
        form = "{{.Node}} {{.CurrentState}}"
        ran = self.system.on_host("docker", "service", "ps", "-f", "desired-state=running", "--format", form, SWARM)
        return [line.split()[0] for line in ran.output.splitlines() if " Running " in f"{line} "]

    def copies(self) -> list[str]:
        """The ids of those that are to run."""
        words = ["docker", "service", "ps", "-q", "-f", "desired-state=running", SWARM]
        return self.system.on_host(*words).output.split()

    def nodes(self) -> list[str]:
        form = "{{.Hostname}} {{.Status}} {{.ManagerStatus}}"
        return sorted(self.system.on_host("docker", "node", "ls", "--format", form).output.splitlines())

    def is_whole(self) -> bool:
        """Three hosts that run containers, each of which has its voice among the managers."""
        states = [node.split()[1:] for node in self.nodes()]
        return len(states) == 3 and all(state in (["Ready", "Leader"], ["Ready", "Reachable"]) for state in states)


@pytest.fixture(scope="module")
def group(system: System) -> Iterator[Group]:
    """Three hosts, of which two run the service; afterwards one host has all of it again."""
    configuration = system.lab.config_file.read_text()
    text = (system.project / FILE).read_text()
    start = text.index(f"  - name: {SERVICE}\n")
    end = text.index("  - name:", start + 1)
    entry = re.sub(r"    address: .*\n", "", text[start:end]).replace(
        "kind: compose\n", "kind: compose\n    spread: 2\n"
    )
    (system.project / FILE).write_text(text[:start] + entry + text[end:])
    system.edited.add(FILE)
    system.set("infra:hosts.watchme.count", "3")
    # Room for a copy beside its own services
    system.set("infra:hosts.watchme.reserve", "900m")
    made = system.command("infra", "init", "--stack", "lab")
    assert made.code == 0, made.output
    made_group = Group(system)
    _, made_group.growth = made_group.under_load(system.must_up)
    yield made_group
    system.restore(FILE)
    system.lab.config_file.write_text(configuration)
    push(system, REPOSITORY)
    system.must_up()
    wait_until_well(system)


def test_growth_loses_no_request(group: Group) -> None:
    assert group.growth
    print(f"requests: {group.growth.count}, lost {group.growth.lost()}, the slowest {group.growth.slowest:.1f} s")
    assert not group.growth.lost()


def test_two_of_three_hosts_run_the_service(group: Group) -> None:
    assert len(set(group.places())) == 2
    assert [node.split()[1] for node in group.nodes()] == ["Ready"] * 3
    assert sum("Leader" in node or "Reachable" in node for node in group.nodes()) == 3
    assert group.system.ask("GET", PATH)[0] == 200
    assert group.system.pulumi("preview", "--expect-no-changes").code == 0
    status = group.system.command("infra", "status", "--stack", "lab")
    assert f"spread: {SERVICE}, 2 of 2 healthy" in status.output and "alert" not in status.output, status.output


def test_no_host_shows_how_the_swarm_is_joined(group: Group) -> None:
    token = group.system.on_host("docker", "swarm", "join-token", "-q", "worker").output
    assert token.startswith("SWMTKN-1-")
    state = group.system.pulumi("stack", "export").output
    assert "SWMTKN" not in state


def test_new_build_loses_no_request(group: Group) -> None:
    push(group.system, REPOSITORY, build="in a group")
    ran, load = group.under_load(group.system.up)
    print(f"requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
    assert isinstance(ran, Ran) and ran.code == 0, ran
    assert not load.lost() and len(group.places()) == 2


def test_unhealthy_build_is_taken_back_on_all_hosts(group: Group) -> None:
    before = sorted(group.places())
    push(group.system, REPOSITORY, build="bad", health="503")
    ran, load = group.under_load(group.system.up)
    assert isinstance(ran, Ran) and ran.code != 0 and "serves again" in ran.output, ran
    assert not load.lost() and len(group.places()) == len(before)
    push(group.system, REPOSITORY, build="good again")
    group.system.must_up()


def command(group: Group, *words: str) -> Ran:
    ran = group.system.command("infra", *words, "--stack", "lab")
    assert ran.code == 0, ran.output
    return ran


@pytest.mark.parametrize("stage", ["pulling", "(re)starting", "waiting for"])
def test_operator_killed_anywhere_leaves_a_group_that_the_next_update_completes(group: Group, stage: str) -> None:
    digest = push(group.system, REPOSITORY, build=f"killed at {stage}")

    def kill_and_go_on() -> str:
        group.system.up_killed_at(stage)
        return group.system.must_up()

    _, load = group.under_load(kill_and_go_on)
    print(f"requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
    form = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
    image = group.system.on_host("docker", "service", "inspect", "-f", form, SWARM).output
    assert not load.lost() and digest in image and len(group.places()) == 2, image
    assert group.system.pulumi("preview", "--expect-no-changes").code == 0


def test_deploy_and_restart_lose_no_request(group: Group) -> None:
    digest = push(group.system, REPOSITORY, build="deployed alone")
    for words in (["deploy", SERVICE], ["restart", SERVICE], ["rollback", SERVICE]):
        before = sorted(group.copies())
        ran, load = group.under_load(lambda words=words: command(group, *words))
        print(f"{' '.join(words)}: requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
        assert not load.lost() and not {*before} & {*group.copies()}, f"{ran}"
        form = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
        image = group.system.on_host("docker", "service", "inspect", "-f", form, SWARM).output
        assert (digest in image) is (words[0] != "rollback"), image
    assert group.system.pulumi("preview", "--expect-no-changes").code == 0


def test_unhealthy_deploy_leaves_the_stack_as_it_was(group: Group) -> None:
    push(group.system, REPOSITORY, build="bad alone", health="503")
    ran, load = group.under_load(lambda: group.system.command("infra", "deploy", SERVICE, "--stack", "lab"))
    assert isinstance(ran, Ran) and ran.code != 0 and "rolled back on watchme" in ran.output, ran
    assert not load.lost() and len(group.places()) == 2
    # No host of the group is left with what was to come
    assert group.system.pulumi("preview", "--expect-no-changes").code == 0
    push(group.system, REPOSITORY, build="good again")


def test_person_reaches_the_containers_wherever_they_are(group: Group) -> None:
    place = group.places()[0].removeprefix("lab-")
    assert f"{SWARM}." in command(group, "logs", SERVICE).output
    words = group.system.command(
        "infra", "exec", SERVICE, "--stack", "lab", "--host", place, "--", "/.infra/busybox", "id"
    )
    assert words.code == 0 and "uid=" in words.output, words.output


def test_reboot_of_a_host_loses_no_request(group: Group) -> None:
    host = next(place for place in group.places() if place != "lab-watchme").removeprefix("lab-")
    ran, load = group.under_load(lambda: command(group, "reboot", host, "--yes"))
    print(f"requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
    assert isinstance(ran, Ran) and f"draining {host}" in ran.output, ran
    assert not load.lost() and group.is_whole(), group.nodes()


def cut(group: Group, how: str, host: str) -> Ran:
    """A host's network, as seen from all others: nothing comes in, and nothing goes out."""
    rules = [f"iptables {how} INPUT -i eth0 -j DROP", f"iptables {how} OUTPUT -o eth0 -j DROP"]
    return group.system.on_host("sh", "-ec", "; ".join(rules), host=host)


@pytest.mark.parametrize("host", ["watchme-2", "watchme-3"])
def test_lost_host_loses_no_request(group: Group, host: str) -> None:
    _, load = group.under_load(lambda: cut(group, "-I", host), AGAIN)
    print(f"requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
    try:
        assert not load.lost()
        assert len(group.places()) == 2 and f"lab-{host}" not in group.places()
    finally:
        cut(group, "-D", host)
    until("the group is whole", group.is_whole, BACK)


def test_power_loss_of_all_hosts_ends_by_itself(group: Group) -> None:
    containers = [group.system.container_of(host) for host in ("watchme", "watchme-2", "watchme-3")]
    run("docker", "kill", *containers)
    for container in containers:
        run("docker", "start", container)
    until("all hosts manage again", group.is_whole, BACK)
    until("two run", lambda: len(group.places()) == 2, BACK)
    until("it answers", lambda: group.system.ask("GET", PATH)[0] == 200, AGAIN)
    wait_until_well(group.system, BACK)
    failed = group.system.on_host("systemctl", "list-units", "--failed", "-q", "--plain", "infra-*", "watchme-*")
    assert failed.output == "" and group.system.pulumi("preview", "--expect-no-changes").code == 0, failed.output


def test_quorum_that_is_lost_is_recovered(group: Group) -> None:
    """Two of three hosts are cut off: what runs serves on, one host manages alone, and they come back."""
    for host in ("watchme-2", "watchme-3"):
        cut(group, "-I", host)
    until("the Swarm has no leader", lambda: group.system.on_host("docker", "node", "ls").code != 0, AGAIN)
    ran, load = group.under_load(lambda: command(group, "recover-quorum", "--yes"), AGAIN)
    print(f"requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
    assert "watchme: in one Docker Swarm again; watchme-2, watchme-3 does not answer" in f"{ran}"
    until("both run on one host", lambda: group.places() == ["lab-watchme"] * 2, AGAIN)
    assert group.system.ask("GET", PATH)[0] == 200
    for host in ("watchme-2", "watchme-3"):
        cut(group, "-D", host)
    _, load = group.under_load(lambda: command(group, "recover-quorum", "--yes"), AGAIN)
    assert not load.lost()
    until("all hosts manage again", group.is_whole, BACK)
    again = group.system.command("infra", "recover-quorum", "--yes", "--stack", "lab")
    assert again.code != 0 and "nothing to recover" in again.output, again.output
    command(group, "restart", SERVICE)
    assert len({*group.places()}) == 2


def test_hosts_that_leave_are_drained(group: Group) -> None:
    group.system.set("infra:hosts.watchme.count", "2")
    ran, load = group.under_load(group.system.up)
    print(f"requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
    assert isinstance(ran, Ran) and ran.code == 0, ran
    assert not load.lost() and len(group.nodes()) == 2 and len(group.places()) == 2


def test_way_back_to_one_host_loses_no_request(group: Group) -> None:
    group.system.restore(FILE)
    group.system.set("infra:hosts.watchme.count", "1")
    ran, load = group.under_load(group.system.up)
    print(f"requests: {load.count}, lost {load.lost()}, the slowest {load.slowest:.1f} s")
    assert isinstance(ran, Ran) and ran.code == 0, ran
    assert not load.lost() and group.system.on_host("docker", "node", "ls").code != 0
