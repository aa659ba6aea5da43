"""How lines of the journal are sent: to a syslog server (RFC 5424, framed as RFC 6587), to Loki (its push API), and to
what takes OpenTelemetry's logs (OTLP over HTTP). The latter two acknowledge each batch."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from agent import posting, quoting, streams
from agent.documents.shipping import LogServer
from agent.journal_fields import text_of
from agent.outcome import Mask
from agent.shapes import JsonObject, object_of

LONGEST = 16384  # characters of a line
DAEMON, INFORMATION = 3, 6  # what a line is that says nothing of it
# Nginx in front of a server takes 1 MiB of a body unless it says otherwise
MOST_LINES, MOST_BYTES = 500, 512 << 10
NAMELESS = "unknown_service"
# What does not change by sending it again: a body that cannot be read, that is too large, that is refused
TOO_LARGE, REFUSALS = 413, (400, 413, 422)
# OpenTelemetry's log data model, appendix B: of syslog's levels, emerg to debug
SEVERITIES = ((21, "emerg"), (19, "alert"), (18, "crit"), (17, "err"), (13, "warning"), (10, "notice"), (9, "info"),
              (5, "debug"))  # fmt: skip
SENDABLE = re.compile(r"[ -~]+")
Connect = Callable[[str, int, bool, str], streams.Stream]


class Line(NamedTuple):
    """An entry of the journal in the receiver's form, its secrets masked; `cursor` is "" where it has none."""

    cursor: str
    origin: str
    content: bytes


class NotNow(Exception):
    """The server did not take it, and may do so later."""


class NotTaken(Exception):
    """The server takes `count` of the lines neither now nor later; the rest it has, but where all are too large."""

    def __init__(self, count: int, reason: str, is_too_large: bool = False) -> None:
        super().__init__(reason)
        self.count, self.is_too_large = count, is_too_large


class Receiver:
    """A server that lines are sent to, here one of syslog: up to `most_lines` at a time, after `pause` seconds at most.
    `to` is the server as messages name it."""

    most_lines, pause, acknowledges = 1, 5.0, False

    def __init__(self, config: LogServer, connect: Connect) -> None:
        self.config, self.connect = config, connect
        self.stream: streams.Stream | None = None
        self.to = f"{config['host']}:{config['port']}"

    def line(self, fields: JsonObject, mask: Mask) -> Line:
        return Line(str(fields.get("__CURSOR", "")), "", frame(fields, self.config["name"], mask))

    def send(self, lines: list[Line]) -> None:
        """Raises OSError, ValueError or NotNow for what may be sent later, NotTaken for what may not."""
        stream = self.open()
        for line in lines:
            stream.send(line.content)

    def open(self) -> streams.Stream:
        """The connection, another one where it has ended."""
        if self.stream is None or self.stream.is_closed():
            self.close()
            config = self.config
            self.stream = self.connect(config["host"], config["port"], config["tls"], config["ca"])
        return self.stream

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream = None


class Posted(Receiver):
    """A server that batches are posted to, and that acknowledges each by the status of its answer."""

    most_lines, pause, acknowledges = MOST_LINES, 1.0, True

    def __init__(self, config: LogServer, connect: Connect, token: str = "") -> None:
        super().__init__(config, connect)
        self.path = config.get("path", "/")
        self.to = f"{config.get('form')}+{'https' if config['tls'] else 'http'}://{self.to}{self.path}"
        login = base64.b64encode(f"{config.get('user', '')}:{token}".encode()).decode()
        # Also out of what a server repeats of a request
        self.own_secrets = Mask([token, login])
        has_usual_port = config["port"] == (443 if config["tls"] else 80)
        place = config["host"] if has_usual_port else f"{config['host']}:{config['port']}"
        self.headers = {"Host": place, "User-Agent": "infra-logs", "Content-Type": "application/json"}
        # http.client would quote what it cannot write
        self.is_sendable = not token or bool(SENDABLE.fullmatch(token))
        if token:
            self.headers["Authorization"] = f"Basic {login}" if config.get("user") else f"Bearer {token}"

    def send(self, lines: list[Line]) -> None:
        if not self.is_sendable:
            raise NotNow("the secret logs.TOKEN has characters that no header can have")
        answer = posting.post(self.open(), self.path, self.headers, self.body(lines))
        if answer.is_last:
            self.close()
        if 200 <= answer.status < 300:
            self.look_at(answer.body)
            return
        words = quoting.quote(self.own_secrets.all_of(answer.body.decode(errors="replace")))
        reason = f"it answers {answer.status}" + (f": {words}" if words else "")
        if answer.status in REFUSALS:
            raise NotTaken(len(lines), reason, answer.status == TOO_LARGE)
        raise NotNow(reason)

    def body(self, lines: list[Line]) -> bytes:
        raise NotImplementedError

    def look_at(self, answer: bytes) -> None:
        """Raises NotTaken where an answer of success says that lines were refused."""

    def by_origin(self, lines: list[Line]) -> dict[str, list[bytes]]:
        """Origin → its lines, in their order."""
        groups: dict[str, list[bytes]] = {}
        for line in lines:
            groups.setdefault(line.origin, []).append(line.content)
        return groups


class Loki(Posted):
    """Loki's push API: a stream for each service, with two labels."""

    def line(self, fields: JsonObject, mask: Mask) -> Line:
        content = _json([str(1000 * _micros(fields)), _text(fields, mask)])
        return Line(str(fields.get("__CURSOR", "")), _service(fields, mask), content)

    def body(self, lines: list[Line]) -> bytes:
        parts = [
            b'{"stream": %b, "values": [%b]}'
            % (_json({"host": self.config["name"], "service": origin}), b", ".join(values))
            for origin, values in self.by_origin(lines).items()
        ]
        return b'{"streams": [%b]}' % b", ".join(parts)


class OpenTelemetry(Posted):
    """OTLP over HTTP in JSON: a resource for each service."""

    def line(self, fields: JsonObject, mask: Mask) -> Line:
        number, name = SEVERITIES[_number(fields.get("PRIORITY"), 7, INFORMATION)]
        process = _number(fields.get("_PID"), 1 << 40, 0)
        record: JsonObject = {
            "timeUnixNano": str(1000 * _micros(fields)), "severityNumber": number, "severityText": name,
            "body": {"stringValue": _text(fields, mask)},
        }  # fmt: skip
        if process:
            record["attributes"] = [{"key": "process.pid", "value": {"intValue": str(process)}}]
        return Line(str(fields.get("__CURSOR", "")), _service(fields, mask), _json(record))

    def body(self, lines: list[Line]) -> bytes:
        parts: list[bytes] = []
        for origin, records in self.by_origin(lines).items():
            names = {"host.name": self.config["name"], "service.name": origin}
            attributes = _json([{"key": key, "value": {"stringValue": value}} for key, value in names.items()])
            parts.append(
                b'{"resource": {"attributes": %b}, "scopeLogs": [{"scope": {"name": "infra"}, "logRecords": [%b]}]}'
                % (attributes, b", ".join(records))
            )
        return b'{"resourceLogs": [%b]}' % b", ".join(parts)

    def look_at(self, answer: bytes) -> None:
        try:
            parsed: object = json.loads(answer or b"{}")
        except (ValueError, RecursionError):
            return
        part = object_of(object_of(parsed).get("partialSuccess"))
        # A number of 64 bits is a text in OTLP's JSON
        count = _number(str(part.get("rejectedLogRecords", "")), 1 << 40, 0)
        if count:
            words = self.own_secrets.all_of(str(part.get("errorMessage", "")))
            raise NotTaken(count, quoting.quote(words) or "it says no reason")


def receiver_for(config: LogServer, token: str, connect: Connect) -> Receiver:
    """The one that a configuration names."""
    form = config.get("form")
    if form is None:
        return Receiver(config, connect)
    return (Loki if form == "loki" else OpenTelemetry)(config, connect, token)


def frame(fields: JsonObject, host: str, mask: Mask) -> bytes:
    """An entry of the journal as a message of syslog, with its length before it."""
    level = 8 * _number(fields.get("SYSLOG_FACILITY"), 23, DAEMON) + _number(fields.get("PRIORITY"), 7, INFORMATION)
    micros = _micros(fields)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros // 1_000_000)) + f".{micros % 1_000_000:06d}Z"
    words = (mask.all_of(str(text)) for text in (_origin(fields) or "-", fields.get("_PID", "-")))
    application, process = (re.sub(r"[^!-~]", "_", word) for word in words)
    text = _text(fields, mask).replace("\n", "#012")
    line = f"<{level}>1 {at} {host} {application[:48]} {process[:128]} - - {text}".encode(errors="replace")
    return f"{len(line)} ".encode() + line


def _text(fields: JsonObject, mask: Mask) -> str:
    message = text_of(fields.get("MESSAGE"))
    return "[not text]" if message is None else mask.all_of(message)[:LONGEST]


def _origin(fields: JsonObject) -> str:
    """The container or unit that a line is of; "" where the journal does not say."""
    names = ("CONTAINER_NAME", "SYSLOG_IDENTIFIER", "_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT")
    values = (fields.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), "")


def _service(fields: JsonObject, mask: Mask) -> str:
    return mask.all_of(_origin(fields))[:128] or NAMELESS


def _micros(fields: JsonObject) -> int:
    # In nanoseconds it is to be a number of 64 bits: until the year 2255
    return _number(fields.get("__REALTIME_TIMESTAMP"), 1 << 53, 0)


def _json(value: object) -> bytes:
    """Half a character, which no text in UTF-8 can have, is a question mark."""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def _number(value: object, most: int, otherwise: int) -> int:
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= most else otherwise
