"""Every way in which a container reaches further than its network and its product's data, as a change of the catalogue."""

from typing import Any

from tests.catalogue.changes import both, setting
from tests.catalogue.containers import having, with_database

MOVING = {"repository": "docker.io/library/busybox", "tag": "latest"}

# Exception → what a service needs it for, and what the line says of that
WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "public-ports": ({"publish": ["25", "10000-10010/udp"]}, "it is public at 25/tcp, 10000-10010/udp, without the proxy"),
    "host-network": ({"network_mode": "host", "address": None}, "network_mode: host, so it shares the network of the host"),
    "host-processes": ({"pid": "host", "ipc": "host"}, "pid: host, ipc: host, so it can reach the host's processes"),
    "host-paths": ({"volumes": ["/var/log:/logs:ro"]}, "it can read /var/log of the host"),
    "docker-socket": ({"volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro"]}, "Docker's socket, by which it can become root"),
    "privileged": ({"privileged": True}, "privileged, so it has root's rights on the host"),
    "capabilities": ({"cap_add": ["CAP_SYS_ADMIN", "NET_ADMIN"]}, "cap_add: SYS_ADMIN, which give rights on the host"),
    "devices": ({"devices": ["/dev/sda:/dev/sda:r", "/dev/ttyUSB0"]}, "devices: /dev/sda:/dev/sda:r"),
    "unconfined": ({"security_opt": ["seccomp=unconfined"]}, "security_opt: seccomp=unconfined, which removes"),
    "moving-tag": ({"image": MOVING}, "image docker.io/library/busybox:latest, whose tag can change its version at any time"),
}  # fmt: skip


def needing(name: str, **more: Any):
    """The web dashboard, which needs one of them."""
    return having(**WAYS[name][0], **more)


def allowed(name: str, **more: Any):
    """The same, with a reason."""
    return needing(name, exceptions={name: "it is what it is for"}, **more)


PUBLIC = {"public-ports": "mail"}
HOST: dict[str, Any] = {"network_mode": "host", "address": None, "exceptions": {"host-network": "finds devices"}}

REPLICAS: dict[str, Any] = {"replicas": 3, "replica_ports": [8091, 8092], "address": None}


def balanced(**values: Any):
    return setting("vault-api", **REPLICAS | values)


# What is changed, and what the one line must say
EXAMPLES = {
    **{
        f"sockets below {path}": (
            having(volumes=[f"{path}:/x:ro"], exceptions={"host-paths": "logs"}), "by which it can become root of the host",
        )
        for path in ("/", "/run", "/var/run", "//var/run/docker.sock", "/run/containerd/containerd.sock", "/run/user/1000/docker.sock")
    },
    "one public port for two": (having(publish=["25:1", "25:2"], exceptions=PUBLIC), "service web: publish 25/tcp is listed twice"),
    "memory of several": (balanced(memory={"limit": "3g"}), "(3 of vault-api)"),
    "routes that nothing asks": (
        setting("web", health={"command": "true"}),
        "warning: files/systems/watchme.yaml: service web: has routes, but no health path: neither releases nor the monitor check what its users get",
    ),
    "a route without its inner path": (
        setting("scheduler", routes=[{"public": "/scheduler/"}]),
        "warning: files/systems/watchme.yaml: service scheduler: route /scheduler/ is passed on as /, but the health path is below /api/scheduler/; must be internal: /api/scheduler/ at the route",
    ),
    "replicas with an address": (balanced(address="172.27.0.19"), "service vault-api: has replicas: 3 with an address; remove it"),
    "replicas and turns": (balanced(rollout="blue-green", spare_port=8093), "replicas: 3 with rollout: blue-green; remove it"),
    "replicas of a published port": (balanced(publish=["25"], exceptions={"public-ports": "x"}), "replicas: 3 with publish"),
    "replicas of a host name": (balanced(hostname="vault"), "replicas: 3 with hostname"),
    "ports of replicas that are missing": (
        balanced(replica_ports=[8091, 8092, 8094]), "service vault-api: has replicas: 3 with 3 replica_ports; must be 2 of them, besides port",
    ),
    "ports without replicas": (balanced(replicas=1), "service vault-api: has replica_ports, but no replicas; must have both, or neither"),
    "replicas with data": (balanced(volumes=["v:/data"]), "has replicas: 3, but keeps data (/data); must have one replica"),
    "replicas of a single service": (
        setting("scheduler", replicas=2, replica_ports=[8095], address=None), "service scheduler: has replicas: 2 with single: true; must have one replica",
    ),
    "replicas without a route": (balanced(routes=[]), "service vault-api: has replicas: 3, but no route; must have a route, or one replica"),
    "a drain without a hold": (setting("vault-api", hold=0, drain=5), "service vault-api: has drain with hold: 0; set hold"),
    "a hold that its route ends": (
        setting("vault-api", hold=100), "warning: files/systems/watchme.yaml: service vault-api: hold: 100 is longer than the timeout of a request (",
    ),
    "a hold with replicas": (balanced(hold=30), "service vault-api: has hold, but several containers; remove it"),
    "a hold without a route": (setting("vault-api", hold=30, routes=[]), "service vault-api: has hold, but no route; add a route"),
    "a drain without a route": (setting("vault-api", drain=0, routes=[]), "service vault-api: has drain, but no route; add a route"),
    "a tag that its image does not have": (
        setting("web", deploy={"watch": "main"}), "service web: deploy: {watch: main} for image watchme-web:latest; must be the same tag",
    ),
    "replicas that make room": (balanced(stop_priority=1), "stop_priority: 1 with replicas: 3; must be a single container"),
    "replicas of one that has no health": (balanced(health="running"), "replicas: 3 with health running; must have a port, and health as a path, tcp or a command"),
    "a replica's port that is another's": (balanced(replica_ports=[8091, 8017]), "port 8017 is"),
    **{f"without a reason: {name}": (needing(name), f"service web: {said}") for name, (_, said) in WAYS.items()},
    "an exception that is not needed": (
        having(exceptions={"privileged": "it was"}),
        "warning: files/systems/watchme.yaml: service web: exceptions: privileged is not needed; remove it",
    ),
    "a public port of the host's": (having(publish=["22"], exceptions=PUBLIC), "service web: publish 22/tcp is used by the host (SSH)"),
    "a public port of the proxy's": (having(publish=["443/udp"], exceptions=PUBLIC), "publish 443/udp is used by the host (the proxy)"),
    "a public port that another listens on": (
        having(publish=["8017"], exceptions=PUBLIC), "service web: publish 8017/tcp is already used by ast-api on watchme; must be another port",
    ),
    "a public port of two": (
        both(with_database, having(publish=["25/udp"], exceptions=PUBLIC), setting("db", publish=["20-30/udp"], exceptions=PUBLIC)),
        "service db: publish 25/udp is already used by web on watchme",
    ),
    "a public port of one that takes turns": (
        setting("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90", publish=["25"], exceptions=PUBLIC),
        "service vault-api: has publish with rollout: blue-green; must be the default rollout",
    ),
    "one port for two of its own": (
        having(publish=["3001:25"], exceptions=PUBLIC), "publish 3001:25/tcp, but port 3001 leads to 3001; must have one of the two",
    ),
    "another port in the host's network": (
        having(**HOST, container_port=80), "service web: has container_port with network_mode: host; remove it",
    ),
    "an address in the host's network": (
        having(network_mode="host", exceptions=HOST["exceptions"]), "service web: has address with network_mode: host",
    ),
    "another name in the host's network": (having(**HOST, aliases=["www"]), "service web: has aliases with network_mode: host"),
    "settings of the host's network": (
        having(**HOST, sysctls={"net.core.somaxconn": 1}), "service web: has sysctls: net.* with network_mode: host",
    ),
    "a mapped port in the host's network": (
        having(**HOST | {"publish": ["25:2525"], "exceptions": HOST["exceptions"] | PUBLIC}),
        "service web: has publish: 25:2525/tcp with network_mode: host",
    ),
}  # fmt: skip
