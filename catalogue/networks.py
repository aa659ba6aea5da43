"""The networks of a stack: of its hosts, and how much of the world a list of networks is."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, collapse_addresses, ip_network

# Of a region's hosts, where the stack makes their network
HOSTS, SUBNET = IPv4Network("10.20.0.0/16"), IPv4Network("10.20.1.0/24")
# A large organisation's network, and no more: an IPv4 /8, an IPv6 /16
WIDEST = {4: 2**24, 6: 2**112}
# Of RFC 1918: Python counts also link-local, documentation and reserved addresses as private
PRIVATE = [IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
# Further that of RFC 6598, which private networks between machines use too
BETWEEN_HOSTS = [*PRIVATE, IPv4Network("100.64.0.0/10")]
FOR_CONTAINERS = "a private subnet, /8 to /29, of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, such as 172.27.0.0/16"


def is_for_containers(subnet: IPv4Network) -> bool:
    """Can containers have a subnet to themselves, with room for some."""
    return subnet.prefixlen <= 29 and any(subnet.subnet_of(private) for private in PRIVATE)


def is_between_hosts(address: IPv4Address) -> bool:
    """Can hosts have an address in a private network of theirs."""
    return any(address in network for network in BETWEEN_HOSTS)


def too_wide(cidrs: Iterable[str]) -> str:
    """What the networks are, in words, when they are no list of an operator's own networks; else "". Several that are
    much of the world only together count as it."""
    networks: list[IPv4Network | IPv6Network] = []
    for text in cidrs:
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError:
            return f"{text!r}, which is no network"
    four = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    six = collapse_addresses(network for network in networks if isinstance(network, IPv6Network))
    for version, collapsed in ((4, four), (6, six)):
        if sum(network.num_addresses for network in collapsed if not network.is_private) > WIDEST[version]:
            return "all of the internet, or almost"
    return ""
