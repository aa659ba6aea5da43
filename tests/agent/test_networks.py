"""The host's ways to networks."""

import pytest

from agent import networks
from tests.agent.fake import FakeWorld

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
# Bytes of an address in the machine's order, here the usual one: interface, destination, gateway, mask → the way
ROUTES = {
    "the default": ("eth0", "00000000", "0100080A", "00000000", None),
    "a VPN's half of everything": ("tun0", "00000000", "0100080A", "00000080", None),
    "its other half": ("tun0", "00000080", "0100080A", "00000080", None),
    "a half without a gateway": ("wg0", "00000080", "00000000", "00000080", None),
    "a quarter": ("tun0", "000000C0", "0100080A", "000000C0", None),
    "a private network": ("tun0", "0000000A", "0100080A", "000000FF", "10.0.0.0/8"),
    "a peer": ("wg0", "000010AC", "0100080A", "0000F0FF", "172.16.0.0/12"),
}


@pytest.mark.parametrize(("interface", "to", "gateway", "mask", "network"), ROUTES.values(), ids=ROUTES)
def test_default_route_is_not_a_conflicting_network(interface, to, gateway, mask, network):
    world = FakeWorld()
    line = f"{interface}\t{to}\t{gateway}\t0003\t0\t0\t0\t{mask}\t0\t0\t0\n"
    world.files[networks.ROUTES] = ((HEAD + line).encode(), 0o444, "root", "root")
    assert [str(there) for _, there, _ in networks.routes(world)] == ([network] if network else [])
