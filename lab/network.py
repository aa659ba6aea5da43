"""The hosts' network on this machine: a bridge, the registries' addresses on it, and the rules of the firewall.

All rules are in chains named after the bridge, so that they can be found and removed, and other rules stay as they are.
"""

from pathlib import Path

from lab import ports
from lab.facts import BRIDGE_FILTER
from lab.run import run, succeeds
from lab.settings import DIRECTORY_LABEL, LABEL, REGISTRIES, Lab

METADATA = "169.254.169.254"
# Table → what jumps to a chain of ours: the built-in chain, our chain's ending, and which packets
JUMPS = {
    "nat": [("OUTPUT", "out", []), ("OUTPUT", "open", []), ("PREROUTING", "in", ["-i", "{bridge}"])],
    "raw": [("PREROUTING", "guard", [])],
    "filter": [
        ("INPUT", "input", ["-i", "{bridge}"]),
        ("OUTPUT", "sg", ["-d", "{public}"]),
        ("FORWARD", "sg", ["-i", "{bridge}", "-o", "{bridge}"]),
    ],
}


def owner(lab: Lab) -> str | None:
    """The directory of the lab that has this lab's name and addresses on this machine, or None."""
    if not succeeds("docker", "network", "inspect", lab.bridge):
        return None
    form = f'{{{{index .Labels "{DIRECTORY_LABEL}"}}}}'
    return run("docker", "network", "inspect", "-f", form, lab.bridge).strip() or None


def ensure(lab: Lab) -> None:
    """The bridge, the addresses and the rules; what exists stays."""
    if not succeeds("docker", "network", "inspect", lab.bridge):
        run(
            "docker", "network", "create", "--driver", "bridge", "--subnet", lab.subnet, "--gateway", lab.gateway,
            "--label", f"{LABEL}={lab.name}", "--label", f"{DIRECTORY_LABEL}={lab.directory}",
            "-o", f"com.docker.network.bridge.name={lab.bridge}", lab.bridge,
        )  # fmt: skip
    have = run("ip", "-o", "addr", "show", "dev", lab.bridge)
    for region in REGISTRIES:
        if f" {lab.registry_address(region)}/" not in have:
            run("ip", "addr", "add", f"{lab.registry_address(region)}/32", "dev", lab.bridge)
    # What hosts send each other passes the firewall too, on this bridge alone. Docker from 27.3 on loads no such filter
    if not BRIDGE_FILTER.exists():
        succeeds("modprobe", "br_netfilter")
    filtered = Path(f"/sys/class/net/{lab.bridge}/bridge/nf_call_iptables")
    if filtered.exists():
        filtered.write_text("1\n")
    for table, lines in rules(lab).items():
        restore(table, lines)
    for table, jumps in JUMPS.items():
        for chain, ending, packets in jumps:
            jump = [word.format(bridge=lab.bridge, public=lab.public_network) for word in packets]
            jump += ["-j", f"{lab.bridge}-{ending}"]
            if not succeeds("iptables", "-w", "-t", table, "-C", chain, *jump):
                run("iptables", "-w", "-t", table, "-I", chain, *jump)


def restore(table: str, lines: list[str]) -> None:
    """Writes the named chains (`:NAME - [0:0]` creates or empties one) in one step, and leaves all others alone."""
    run("iptables-restore", "-w", "--noflush", stdin="\n".join([f"*{table}", *lines, "COMMIT", ""]))


def rules(lab: Lab) -> dict[str, list[str]]:
    """Table → lines of iptables-restore. Pure; the security groups' chains are the cloud's (lab/cloud/firewall.py)
    and let nothing through before that has started."""
    bridge, ours = lab.bridge, [lab.gateway, *(lab.registry_address(region) for region in REGISTRIES)]
    shifted = {port: port + lab.shift for port in {*ports.PUBLIC, *ports.INNER_TCP, *ports.SERVICES_TCP}}

    def lead(chain: str, address: str, port: int, kind: str = "tcp") -> str:
        to = f":{shifted[port]}"
        return f"-A {bridge}-{chain} -d {address} -p {kind} --dport {port} -j DNAT --to-destination {to}"

    nat = [f":{bridge}-{ending} - [0:0]" for ending in ("out", "open", "in")]
    nat += [lead("out", lab.public_network, port) for port in (*ports.PUBLIC, *ports.SERVICES_TCP)]
    nat += [lead("out", lab.services, port, "udp") for port in ports.UDP]
    for chain in ("out", "in"):
        nat += [lead(chain, address, port) for address in ours for port in ports.INNER_TCP]
        nat += [lead(chain, lab.gateway, port, "udp") for port in ports.UDP]
    nat.append(
        f"-A {bridge}-in -d {METADATA} -p tcp --dport {ports.HTTP} -j DNAT "
        f"--to-destination {lab.gateway}:{shifted[ports.METADATA]}"
    )
    # Nothing of a lab answers a neighbour: neither another machine nor a container of another network
    guard = [f":{bridge}-guard - [0:0]"]
    guard += [f"-A {bridge}-guard -i {interface} -j RETURN" for interface in ("lo", bridge)]
    guard += [f"-A {bridge}-guard -d {network} -j DROP" for network in (lab.subnet, lab.public_network)]
    # Hosts reach the lab's services where a machine's own firewall would refuse them
    own = [f":{bridge}-input - [0:0]", *(f"-A {bridge}-input -d {address} -j ACCEPT" for address in ours)]
    return {"nat": nat, "raw": guard, "filter": [*own, f":{bridge}-sg - [0:0]"]}


def remove(lab: Lab) -> None:
    """The rules and the bridge, those of a killed run included."""
    for table in JUMPS:
        lines = run("iptables", "-w", "-t", table, "-S").splitlines()
        ours = [line for line in lines if f" {lab.bridge}-" in line]
        jumps = [line for line in ours if line.startswith("-A ") and not line.startswith(f"-A {lab.bridge}-")]
        for line in jumps:
            run("iptables", "-w", "-t", table, *line.replace("-A ", "-D ", 1).split())
        chains = [line.split()[1] for line in ours if line.startswith("-N ")]
        for action in ("-F", "-X"):
            for chain in chains:
                run("iptables", "-w", "-t", table, action, chain)
    if succeeds("docker", "network", "inspect", lab.bridge):
        run("docker", "network", "rm", lab.bridge)


def remains(lab: Lab) -> list[str]:
    """Rules of this lab that the machine's firewall still has."""
    tables = [run("iptables", "-w", "-t", table, "-S") for table in JUMPS]
    return [
        line for text in tables for line in text.splitlines() if f"{lab.bridge}-" in line or f"{lab.bridge} " in line
    ]
