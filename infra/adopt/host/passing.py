"""How a location of Nginx passes requests on: how long it waits and what it takes whole, as a route says it. Pure."""

import re

from catalogue.shapes import RouteFields
from infra.adopt.host.remarks import Remark, unfit
from infra.adopt.host.serving import Tree, nearest_value

UNITS = {"ms": 0.001, "": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
CONNECT = 5  # seconds, where a route says nothing
LONGEST = 3600  # seconds that a route may say


def passing_settings(where: str, around: list[Tree], remarks: list[Remark]) -> RouteFields:
    """The fields of a route for `proxy_read_timeout`, `proxy_send_timeout` and `proxy_connect_timeout`, where `timeout`
    is both directions unless another time is said for sending; for `proxy_buffering` and `proxy_request_buffering`."""
    reading, send, connect = (_seconds(where, name, around, remarks) for name in ("read", "send", "connect"))
    fields = {
        "timeout": reading,
        "send_timeout": send if send != reading else None,
        "connect_timeout": connect if connect != CONNECT else None,
    }
    settings: RouteFields = {name: seconds for name, seconds in fields.items() if seconds}
    settings |= {"buffering": True} if nearest_value(around, "proxy_buffering") == "on" else {}
    # Nginx takes a request whole where nothing is said
    settings |= {"request_buffering": False} if nearest_value(around, "proxy_request_buffering") == "off" else {}
    return settings


def _seconds(where: str, kind: str, around: list[Tree], remarks: list[Remark]) -> int | None:
    value = nearest_value(around, f"proxy_{kind}_timeout")
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d|)", value)
    seconds = int(match[1]) * UNITS[match[2]] if match else 0
    whole = min(max(int(seconds), 1), LONGEST) if seconds else LONGEST
    if whole != seconds:
        name = "timeout" if kind == "read" else f"{kind}_timeout"
        remarks.append(
            unfit(where, f"proxy_{kind}_timeout {value}: {name} is 1 to {LONGEST} whole seconds; taken as {whole}")
        )
    return whole
