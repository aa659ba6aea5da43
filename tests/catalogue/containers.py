"""Every rule about containers, with an example that breaks it; and a product with a database, for other tests."""

from typing import Any

from tests.catalogue.changes import both, setting

DATA = "/var/lib/postgresql/data"


def with_database(data: Any) -> None:
    """A database that only other containers reach, a worker without a port, and the web dashboard that waits for it."""
    database = {
        "name": "db", "kind": "compose", "purpose": "Database",
        "image": {"repository": "docker.io/library/postgres", "tag": "16.4"}, "memory": {"limit": "96m"},
        "volumes": [f"web-db:{DATA}"], "health": {"command": "pg_isready -U $USER"}, "secrets": ["POSTGRES_PASSWORD"],
        "shm_size": "64m", "stop_signal": "SIGINT", "stop_grace_period": "1m", "aliases": ["postgres"],
    }  # fmt: skip
    worker = {
        "name": "worker", "kind": "compose", "purpose": "Sends mail",
        "image": {"repository": "watchme-web", "tag": "latest"}, "memory": {"limit": "32m"},
        "command": ["worker", "--rate", "$RATE"], "depends_on": {"db": {"condition": "service_healthy"}},
        "volumes": ["/srv/web/outbox:/outbox", "/etc/localtime:/etc/localtime:ro"], "tmpfs": ["/tmp"], "init": True,
        "read_only": True, "cap_drop": ["ALL"], "ulimits": {"nofile": 4096}, "labels": {"team": "$web"},
        "extra_hosts": ["host.docker.internal:host-gateway"], "cpus": 0.5, "sysctls": {"net.core.somaxconn": 1024},
    }  # fmt: skip
    data["services"] += [database, worker]
    setting("web", depends_on=["db"])(data)


def having(**values: Any):
    """The web dashboard with other options."""
    return setting("web", **values)


# What is changed, and what the one line must say
EXAMPLES = {
    "container_port alone": (
        both(with_database, setting("worker", container_port=80)),
        "service worker: container_port 80 without a port; the port of the host",
    ),
    "health by HTTP without a port": (
        both(with_database, setting("worker", health="/health")),
        "service worker: health '/health' of a container without a port; give it a port, or ask its health by {command",
    ),
    "health by TCP without a port": (
        both(with_database, setting("worker", health="tcp")), "health 'tcp' of a container without a port",
    ),
    "waits for nothing that is there": (
        having(depends_on=["wen"]), "service web: depends_on 'wen'; other services of the system:",
    ),
    "waits for itself": (having(depends_on=["web"]), "service web: depends_on 'web'"),
    "waits in a circle": (
        both(with_database, setting("db", depends_on=["worker"])),
        "service db: depends_on itself, by way of db → worker → db; let one of them start without the others",
    ),
    "waits for one that takes turns": (
        both(
            setting("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90"),
            having(depends_on={"vault-api": {"condition": "service_healthy"}}),
        ),
        "service web: depends_on vault-api with service_healthy, and vault-api takes turns between two containers",
    ),
    "waits in one file for what Docker does not ask": (
        both(
            with_database,
            setting("db", health="running", directory="/opt/worker", unit="worker.service"),
        ),
        "service worker: depends_on db with service_healthy, and db is in the same compose file, where only Docker asks",
    ),
    "Docker's socket": (
        having(volumes=["/var/run/docker.sock:/var/run/docker.sock"]),
        "service web: volumes: /var/run/docker.sock is the host's or the agent's own; a directory of the service's own",
    ),
    "the host's files": (having(volumes=["/etc/:/host:ro"]), "volumes: /etc is the host's or the agent's own"),
    "all files": (having(volumes=[{"type": "bind", "source": "/srv/../etc", "target": "/x"}]), "is the host's or"),
    "two in one place": (having(volumes=["a:/data", "b:/data"]), "service web: /data is mounted 2 times; each place"),
    "a memory disk over a volume": (having(volumes=["a:/data/"], tmpfs=["/data"]), "/data is mounted 2 times"),
    "a database without a volume": (
        both(with_database, setting("db", volumes=[])),
        f"service db: its image keeps data in {DATA}, and nothing there outlives the container; "
        f"volumes: [db-data:{DATA}]; where it may be lost, tmpfs: [{DATA}]",
    ),
    "a database beside its volume": (
        both(with_database, setting("db", volumes=["db:/var/lib/postgres"])), "its image keeps data in",
    ),
    "Compose's label": (
        having(labels={"com.docker.compose.project": "x"}), "label com.docker.compose.project is Compose's",
    ),
    "a file that is not there": (
        having(files=[{"path": "/etc/app.conf", "source": "web/app.conf"}]),
        "service web: source 'web/app.conf': there is no files/static/web/app.conf",
    ),
    "latest of another registry": (
        both(with_database, setting("db", image={"repository": "docker.io/library/postgres", "tag": "latest"})),
        "image docker.io/library/postgres of another registry by the tag latest; a tag that names a version",
    ),
    "half of a name": (
        both(with_database, setting("db", image={"repository": "docker.io/postgres", "tag": "16"})),
        "service db: image docker.io/postgres; its whole name: docker.io/library/postgres",
    ),
    "a region's own registry": (
        having(image={"repository": "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/web", "tag": "1"}),
        "service web: image repository '123456789012.dkr.ecr",
    ),
    "turns without a gate": (
        setting("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90", health="running"),
        "service vault-api: rollout: blue-green with health running; a path or tcp",
    ),
}  # fmt: skip
