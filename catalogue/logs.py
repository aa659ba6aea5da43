"""Where the logs of a stack's hosts go besides their own journals."""

from typing import Literal

from catalogue.elsewhere import Certificates, SyslogAddress
from catalogue.fields import Model

PORTS = {"tls": 6514, "tcp": 514}


class Logs(Model):
    """A server of syslog to which each host sends its journal."""

    to: SyslogAddress | Literal[""] = ""
    """The server, such as `tls://logs.example.com:6514`; `tcp://` only to a private address."""
    ca: Certificates | Literal[""] = ""
    """Certificates (PEM) of the authority that signed the server's, where hosts do not trust it anyway."""

    @property
    def is_tls(self) -> bool:
        return self.to.startswith("tls://")

    @property
    def host(self) -> str:
        return self.to.partition("://")[2].partition(":")[0]

    @property
    def port(self) -> int:
        scheme, _, place = self.to.partition("://")
        return int(place.partition(":")[2] or PORTS[scheme])
