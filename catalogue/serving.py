"""How requests are served: limits, times, guards, headers, as a site, a route or a directory says them."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from catalogue.fields import (
    AbsolutePath,
    AnyNetwork,
    EnvironmentName,
    HeaderName,
    HeaderValue,
    Method,
    Model,
    Name,
    Origin,
    UserName,
)
from catalogue.shapes import is_list
from catalogue.site_values import RequestHeader, ResponseHeader, ResponseValue, Seconds, SitePath
from catalogue.sizes import Size


class FileKey(Model):
    """A value out of a configuration file of the catalogue."""

    file: AbsolutePath
    """The path of a TOML file that one of the system's services has under `files`."""
    key: str
    """The key, dotted, such as `server.max_request_size`."""


def _form(value: Any) -> str:
    return "<mapping>" if isinstance(value, dict | FileKey) else "<text>"


AnySize = Annotated[
    Annotated[Size, Tag("<text>")] | Annotated[FileKey, Tag("<mapping>")],
    Discriminator(_form),
]


class Cors(Model):
    """What browsers let pages of other origins do. Without `methods` there is no CORS."""

    methods: list[Method] = []
    """Methods that pages of other sites may use. Without any there is no CORS."""
    origins: Annotated[list[Origin], Field(min_length=1)] = ["*"]
    """Sites whose pages may ask, such as `https://app.example.com`; `*` for all."""
    headers: list[HeaderName] = ["Content-Type", "Authorization"]
    """Request headers that such a page may send."""
    exposed: list[HeaderName] = []
    """Headers of an answer that such a page may read."""
    credentials: bool = False
    """Whether such a page may send cookies."""
    max_age: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Seconds for which a browser need not ask again. Where nothing is written, the browser decides."""

    @property
    def is_for_all(self) -> bool:
        return "*" in self.origins


def _methods_alone(value: Any) -> Any:
    """`cors: [GET, POST]` is the methods, `cors: false` none."""
    if value is False:
        return Cors()
    return {"methods": value} if is_list(value) else value


class Rate(Model):
    """How many requests a client, which is an address, may make. More are answered 429."""

    requests: Annotated[int, Field(ge=1, le=100000)]
    """How many requests a client may make in that time."""
    per: Literal["second", "minute"] = "second"
    """The time that they are counted in."""
    burst: Annotated[int, Field(ge=0, le=100000)] | None = None
    """How many may come at once beyond the first; as many as `requests` where nothing is written."""

    @property
    def at_once(self) -> int:
        """How many more may come at the same time."""
        return self.requests if self.burst is None else self.burst


class ForwardAuth(Model):
    """Another service of the system is asked whether a request may pass: 2xx lets it, 401 and 403 are the client's
    answer."""

    service: Name | None = None
    """The service of the system that is asked."""
    path: SitePath = "/"
    """The path that it is asked at."""
    headers: list[RequestHeader] = []
    """Headers of its answer that go on to the service, in place of any that the client sent."""

    @model_validator(mode="after")
    def _is_whole(self) -> "ForwardAuth":
        if self.service is None and self.model_fields_set:
            raise ValueError("service and path of the check; or forward_auth: false for none")
        return self


def _none_for_false(value: Any) -> Any:
    return ForwardAuth() if value is False else value


class Serving(Model):
    """How requests are served: what a route or a directory says for itself, and a site for all that say nothing
    else."""

    max_body: AnySize | None = None
    """The largest request body: a size, or the key of a configuration file that has it. Beyond it: 413. By default 1 MB
    with Nginx; Caddy has no limit."""
    timeout: Seconds | None = None
    """Seconds of silence after which a request to a service ends: `read_timeout` and `send_timeout` in one; 60 with
    Nginx where nothing is written. Caddy counts only the seconds until an answer begins."""
    read_timeout: Seconds | None = None
    """Seconds that may pass between two parts of an answer; `timeout` where nothing is written. With Caddy they count
    from the start of the connection, so that a longer upload is cut too."""
    send_timeout: Seconds | None = None
    """Seconds that may pass between two parts of a request on its way to the service; `timeout` where nothing is
    written."""
    connect_timeout: Seconds | None = None
    """Seconds until the service takes the connection; 5 where nothing is written. The host's kernel gives up by itself
    after about 130, often earlier: Nginx documents 75 as the usual limit."""
    buffering: bool | None = None
    """With `true` the proxy takes an answer whole, so that a slow client holds up no worker of the service; without, it
    passes on what comes."""
    request_buffering: bool | None = None
    """With `true` the proxy takes a request whole (Caddy in its memory) before the service gets any of it; with `false`
    the service gets it as it comes. By default Nginx does the first, Caddy the second."""
    allow: list[AnyNetwork] | None = None
    """The only networks that may ask, of IPv4 or IPv6; others get 403. On a route `[]` lifts its site's."""
    deny: list[AnyNetwork] | None = None
    """Networks that may not ask."""
    basic_auth: dict[UserName, EnvironmentName] | None = None
    """Users, each with the name of the secret that is the password (`infra secret set SYSTEM.NAME`). On a route `{}`
    lifts its site's."""
    forward_auth: Annotated[ForwardAuth | None, BeforeValidator(_none_for_false)] = None
    """A service that is asked first whether a request may pass. On a route `false` lifts its site's."""
    rate: Rate | None = None
    """How many requests each client may make; more are answered 429. Only with Nginx."""
    connections: Annotated[int, Field(ge=1, le=65535)] | None = None
    """How many connections each client may have at a time; more are answered 429. Only with Nginx."""
    headers: dict[ResponseHeader, ResponseValue] = {}
    """Headers of every answer, by their names."""
    request_headers: dict[RequestHeader, HeaderValue] = {}
    """Headers of every request to the service, by their names; one whose value is "" is taken away."""
    cors: Annotated[Cors | None, BeforeValidator(_methods_alone)] = None
    """What browsers let pages of other sites do. A list is the methods alone; `false` is none."""

    @property
    def reading_limit(self) -> int | None:
        """Seconds of silence in an answer; None where the proxy's own limit counts."""
        return self.read_timeout or self.timeout

    @property
    def sending_limit(self) -> int | None:
        return self.send_timeout or self.timeout

    @property
    def asks(self) -> str | None:
        """The service that is asked whether a request may pass."""
        return self.forward_auth.service if self.forward_auth else None

    @property
    def is_guarded(self) -> bool:
        """Is not every client answered here."""
        return bool(self.allow or self.deny or self.basic_auth or self.asks)

    def over(self, site: "Serving") -> "Serving":
        """What is in force on a route, a directory or the like: its own word, else its site's."""
        own = {name: value for name in Serving.model_fields if (value := getattr(self, name)) is not None}
        for name in ("headers", "request_headers"):
            own[name] = with_headers(getattr(site, name), getattr(self, name))
        if self.timeout is not None:
            # Said nearer, it goes before what a site says of one direction
            own |= {name: getattr(self, name) for name in ("read_timeout", "send_timeout")}
        if self.cors and site.cors and self.cors.model_fields_set:
            # What it does not say of CORS its site says
            values = {name: getattr(self.cors, name) for name in self.cors.model_fields_set}
            own["cors"] = site.cors.model_copy(update=values)
        options = {name: getattr(site, name) for name in Serving.model_fields} | own
        return Serving.model_construct(**options)


def with_headers(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """Both; of one name, which has no case, the second's."""
    overridden_names = {name.lower() for name in second}
    return {name: value for name, value in first.items() if name.lower() not in overridden_names} | second
