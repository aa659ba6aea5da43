"""What stands in a site: which paths and headers it can have, and which are the proxy's own."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from catalogue.fields import HeaderName, HeaderValue
from catalogue.proxies import with_snippets

HSTS_AGE = 63072000  # seconds: two years
HSTS = f"max-age={HSTS_AGE}"
SITE_PATH = re.compile(r"/[A-Za-z0-9._~/-]*")
# What the proxy itself sends to a service, or what keeps one request apart from the next
OWN_HEADERS = {
    "host", "connection", "upgrade", "content-length", "transfer-encoding", "x-real-ip", "x-forwarded-for",
    "x-forwarded-proto", "x-forwarded-host",
}  # fmt: skip
# What says where an answer ends, how it is packed and how this connection goes on: one more of it breaks answers
OF_THE_CONNECTION = {
    "connection", "content-encoding", "content-length", "content-range", "date", "keep-alive", "proxy-authenticate",
    "proxy-connection", "te", "trailer", "trailers", "transfer-encoding", "upgrade",
}  # fmt: skip


def _path(path: str) -> str:
    if not SITE_PATH.fullmatch(path) or "//" in path or {".", ".."} & {*path.split("/")}:
        raise ValueError("a path such as /old/ (all below it) or /old (that page only): letters, digits and . _ ~ / -")
    return path


def _request_header(name: str) -> str:
    if name.lower() in OWN_HEADERS:
        raise ValueError("another header: the proxy sets this one; for another Host use host")
    return name


def _response_header(name: str) -> str:
    if name.lower() in OF_THE_CONNECTION:
        raise ValueError("another header: the proxy sets this one for the connection or the body")
    return name


def _check_not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("a value that is not empty; without a value leave the header out")
    return value


def _check_closed_path(path: str) -> str:
    _path(path.removesuffix("*"))
    return path


def _proxy_with_snippets(name: str) -> str:
    names = with_snippets()
    if name not in names:
        raise ValueError(f"{' or '.join(names)}, the proxies with snippets")
    return name


ClosedPath = Annotated[str, AfterValidator(_check_closed_path)]
SitePath = Annotated[str, AfterValidator(_path)]
ResponseHeader = Annotated[HeaderName, AfterValidator(_response_header)]
ResponseValue = Annotated[HeaderValue, AfterValidator(_check_not_blank)]
RequestHeader = Annotated[HeaderName, AfterValidator(_request_header)]
SnippetProxy = Annotated[str, AfterValidator(_proxy_with_snippets)]
Seconds = Annotated[int, Field(ge=1, le=3600)]
