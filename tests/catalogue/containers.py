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
    "containers that a compose file holds apart": (
        lambda data: data.update(compose={"file": "x/compose.yml", "apart": ["proxy and db"]}),
        "compose: proxy and db share no network in x/compose.yml, but can reach each other here; put them into systems",
    ),
    "a setting of a machine": (
        having(unresolved=["its volumes: /data is an anonymous volume"]),
        "service web: 'its volumes: /data is an anonymous volume' was found on the machine; must be written in the",
    ),
    "a job of a machine": (
        lambda data: data.update(unresolved=["/etc/cron.d/shop: x"]),
        "unresolved: '/etc/cron.d/shop: x' was found on the machine; must be written in the catalogue's words",
    ),
    "container_port alone": (
        both(with_database, setting("worker", container_port=80)),
        "service worker: container_port 80 with neither a port nor a route; port:",
    ),
    "health by HTTP without a port": (
        both(with_database, setting("worker", health="/health")),
        "service worker: health '/health' of a container without a port; give it a port, or use health: {command",
    ),
    "health by TCP without a port": (
        both(with_database, setting("worker", health="tcp")), "health 'tcp' of a container without a port",
    ),
    "a database whose files are taken": (
        both(with_database, setting("db", backup={})),
        "service db: backup: would copy the files of a running database, which cannot be restored; must have dump and load: commands in",
    ),
    "a backup of nothing": (having(backup={}), "service web: backup: has nothing to back up: the service keeps no data"),
    "a backup of a container's paths": (
        both(with_database, setting("worker", backup={"paths": ["/srv/x"]})),
        "service worker: backup: has paths, but is a container; remove it: its volumes and directories are backed up",
    ),
    "a backup of one that takes turns": (
        setting("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90", backup={}),
        "service vault-api: backup: has data that two containers of a rollout would write at once",
    ),
    "a backup without a region": (
        both(with_database, setting("worker", backup={})),
        "infra:backupRegion: is not set, but these services have a backup: worker; must be the region that keeps the backups",
    ),
    "a backup without a password": (
        both(with_database, setting("worker", backup={})),
        "infra:secrets.backup.RESTIC_PASSWORD: is not set; create it: uv run infra init --stack prod",
    ),
    "two release steps of one name": (
        having(release=[{"command": ["a"]}, {"command": ["b"]}]),
        "service web: 2 release steps are called release; must be a different name for each",
    ),
    "a release step beyond the memory": (
        having(memory={"limit": "300m"}, release={"command": "migrate"}),
        "memory limits add up to 7432 MiB, plus a release step; at most 7168 MiB",
    ),
    "a container called as a step's": (
        having(container="infra-step-web-release"), "container or volume infra-step-web-release; must be another name:",
    ),
    "waits for nothing that is there": (
        having(depends_on=["wen"]), "service web: depends_on 'wen'; other services of the system:",
    ),
    "waits for itself": (having(depends_on=["web"]), "service web: depends_on 'web'"),
    "waits in a circle": (
        both(with_database, setting("db", depends_on=["worker"])),
        "service db: depends_on itself through db → worker → db; remove one of these dependencies",
    ),
    "waits for one that takes turns": (
        both(
            setting("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90"),
            having(depends_on={"vault-api": {"condition": "service_healthy"}}),
        ),
        "service web: depends_on vault-api with service_healthy, but vault-api alternates between two containers",
    ),
    "waits in one file for what Docker does not ask": (
        both(
            with_database,
            setting("db", health="running", directory="/opt/worker", unit="worker.service"),
        ),
        "service worker: depends_on db with service_healthy, but db is in the same compose file, where only Docker's own health check counts",
    ),
    "Docker's socket": (
        having(volumes=["/var/run/docker.sock:/var/run/docker.sock"]),
        "service web: Docker's socket, by which it can become root of the host; must not be mounted; or give the reason: exceptions",
    ),
    "the host's files": (having(volumes=["/etc/:/host"]), "volumes: /etc does not belong to the product; must be below /srv/NAME"),
    "a person's home": (having(volumes=["/home/ubuntu:/x"]), "volumes: /home/ubuntu does not belong to the product"),
    "Docker's settings": (having(volumes=["/etc/docker:/x"]), "volumes: /etc/docker does not belong to the product"),
    "a system's own hook": (having(volumes=["/etc/udev/rules.d:/x"]), "volumes: /etc/udev/rules.d does not belong to the product"),
    "its own compose file": (
        both(with_database, setting("worker", volumes=["/opt/worker:/x"])),
        "volumes: /opt/worker has the compose file of worker, which systemd starts as root; must be a directory below it",
    ),
    "another one's variables": (
        both(with_database, setting("worker", volumes=["/opt/db/db.env:/x:ro"])), "/opt/db/db.env has the compose file of db",
    ),
    "all compose files": (both(with_database, setting("worker", volumes=["/opt:/x"])), "volumes: /opt does not belong to the product"),
    "a place below another": (
        having(volumes=["/srv/app:/a", "/srv/app/sub:/b"]),
        "service web: volumes: /srv/app/sub is below /srv/app, to which web may write; must be separate directories",
    ),
    "a file below a volume": (
        having(volumes=["a:/etc/app"], files=[{"path": "/etc/app/x", "source": "whisper/config.toml"}]),
        "file /etc/app/x is below /etc/app, which is also mounted",
    ),
    "a secret's file below a volume": (
        having(volumes=["a:/run/secrets"], secrets=["KEY"], secret_files={"/run/secrets/key": "KEY"}),
        "file /run/secrets/key is below /run/secrets, which is also mounted",
    ),
    "a secret's file below another's": (
        having(secret_files={"/run/key": "KEY", "/run/key/two": "TWO"}), "file /run/key/two is below /run/key, which is also mounted",
    ),
    "a secret's file below a file": (
        having(files=[{"path": "/etc/app", "source": "whisper/config.toml"}], secret_files={"/etc/app/key": "KEY"}),
        "file /etc/app/key is below /etc/app, which is also mounted",
    ),
    "another one's name": (both(with_database, setting("worker", aliases=["postgres"])), "aliases: postgres is already used by worker"),
    "another one's host name": (both(with_database, setting("worker", hostname="db")), "hostname: db is already used by db"),
    "more reserved than allowed": (having(mem_reservation="2g"), "mem_reservation 2g is above its limit 200m"),
    "turns on one place for data": (
        setting("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90", volumes=["v:/data"]),
        "has rollout: blue-green, but keeps data (/data); must have the default rollout",
    ),
    "an address as a registry": (having(image={"repository": "127.0.0.1/x", "tag": "1"}), "image repository '127.0.0.1/x'"),
    "two in one place": (having(volumes=["a:/data", "b:/data"]), "service web: /data is mounted 2 times; must be mounted once"),
    "a memory disk over a volume": (having(volumes=["a:/data/"], tmpfs=["/data"]), "/data is mounted 2 times"),
    "a database without a volume": (
        both(with_database, setting("db", volumes=[])),
        f"service db: its image keeps data in {DATA}, which is lost with the container; "
        f"volumes: [db-data:{DATA}]; if it may be lost, tmpfs: [{DATA}]",
    ),
    "a database beside its volume": (
        both(with_database, setting("db", volumes=["db:/var/lib/postgres"])), "its image keeps data in",
    ),
    "Compose's label": (
        having(labels={"com.docker.compose.project": "x"}), "label com.docker.compose.project is reserved for Compose or this program",
    ),
    "a file that is not there": (
        having(files=[{"path": "/etc/app.conf", "source": "web/app.conf"}]),
        "service web: source 'web/app.conf': files/static/web/app.conf does not exist",
    ),
    "latest of another registry": (
        both(with_database, setting("db", image={"repository": "docker.io/library/postgres", "tag": "latest"})),
        "image docker.io/library/postgres:latest, whose tag can change its version at any time; must be a tag that names a version",
    ),
    "half of a name": (
        both(with_database, setting("db", image={"repository": "docker.io/postgres", "tag": "16"})),
        "service db: image docker.io/postgres; must be its full name: docker.io/library/postgres",
    ),
    "a region's own registry": (
        having(image={"repository": "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com/web", "tag": "1"}),
        "service web: image repository '123456789012.dkr.ecr",
    ),
    "turns without a gate": (
        setting("vault-api", rollout="blue-green", spare_port=8090, spare_address="172.27.0.90", health="running"),
        "service vault-api: has rollout: blue-green with health running; must have a port, and health as a path, tcp or a command",
    ),
}  # fmt: skip
