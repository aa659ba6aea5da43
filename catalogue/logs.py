"""Where the logs of a stack's hosts go besides their own journals."""

from typing import Annotated, Literal

from catalogue.elsewhere import Certificates, LogServerAddress
from catalogue.fields import Model, pattern_text

PORTS = {"tls": 6514, "tcp": 514, "https": 443, "http": 80}
# Where each form is posted to, unless the address has a path
PATHS: dict[Literal["loki", "otlp"], str] = {"loki": "/loki/api/v1/push", "otlp": "/v1/logs"}
# What separates a user from the password in a login is no part of the user
LogUser = Annotated[str, pattern_text(r"^[!-9;-~]{1,200}$", "a user's name in ASCII, without blanks and without :")]


class Logs(Model):
    """A server to which each host sends its journal: of syslog, Loki, or what takes OTLP over HTTP."""

    to: LogServerAddress | Literal[""] = ""
    """The server: `tls://logs.example.com:6514` (syslog), `loki+https://logs.example.com` or
    `otlp+https://logs.example.com`; `tcp://` and `http://` only to a private address."""
    ca: Certificates | Literal[""] = ""
    """Certificates (PEM) of the authority that signed the server's, where hosts do not trust it anyway."""
    user: LogUser | Literal[""] = ""
    """Whose password the secret `logs.TOKEN` is, where Loki or OTLP asks for one; else the token is a bearer's."""

    @property
    def _scheme(self) -> str:
        return self.to.partition("://")[0]

    @property
    def is_tls(self) -> bool:
        return self._scheme.endswith(("tls", "https"))

    @property
    def form(self) -> Literal["loki", "otlp"] | None:
        """What lines are posted as; None of a syslog server."""
        return next((form for form in PATHS if self._scheme.startswith(f"{form}+")), None)

    @property
    def _place(self) -> str:
        return self.to.partition("://")[2].partition("/")[0]

    @property
    def host(self) -> str:
        return self._place.partition(":")[0]

    @property
    def port(self) -> int:
        return int(self._place.partition(":")[2] or PORTS[self._scheme.rpartition("+")[2]])

    @property
    def path(self) -> str:
        """Where lines are posted to; "" of a syslog server."""
        _, slash, path = self.to.partition("://")[2].partition("/")
        return "" if self.form is None else slash + path if path else PATHS[self.form]
