"""What the snippets of a system may lead to. How they are read is in catalogue/proxies/."""

import re
from dataclasses import dataclass

from catalogue.rules.contents import plain
from catalogue.rules.hosts_own import OF_THE_HOST

# Directories of products, and of what is published
PUBLISHED = re.compile(r"/(?:srv|opt|mnt|media|var/www|usr/local/share|usr/share/nginx)/[^/]+")
ADDRESS = re.compile(
    r"(?:(?:https?|h2c|s?uwsgi|fastcgi|tcp)://|tcp/)?(?P<host>[^/:?#]*)(?::(?P<port>[0-9]+))?(?:[/?#].*)?"
)
# The last part of a name begins with a letter: any other is a way to write a number
HOST = re.compile(r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z][A-Za-z0-9_-]*\.?")
LOCAL = re.compile(r"|127\.0\.0\.1|(?:.*\.)?localhost(?:\.localdomain)?\.?", re.IGNORECASE)
# Other names of the host itself, and of what knows its rights
NO_SERVICE = re.compile(r"ip6-.*|instance-data(?:\..*)?|metadata(?:\..*)?|host\.docker\.internal\.?", re.IGNORECASE)


@dataclass(frozen=True)
class Own:
    """What a snippet may lead to: the ports of the services on its hosts, and its system's directories."""

    ports: frozenset[int] = frozenset()
    directories: tuple[str, ...] = ()

    def has(self, path: str) -> bool:
        place = plain(path)
        below = any(f"{place}/".startswith(f"{plain(directory)}/") for directory in self.directories)
        return path.startswith("/") and bool(below or PUBLISHED.match(place)) and not OF_THE_HOST.match(place)

    def is_service(self, address: str) -> bool:
        """Whether one of the host's services answers there, or another machine by its name."""
        parts = ADDRESS.fullmatch(address)
        if not parts or NO_SERVICE.fullmatch(parts["host"]):
            return False
        if LOCAL.fullmatch(parts["host"]):
            return int(parts["port"] or 0) in self.ports
        return bool(HOST.fullmatch(parts["host"]))
