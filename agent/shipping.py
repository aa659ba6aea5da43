"""Sends a host's journal to a syslog server (RFC 5424, framed as RFC 6587), the secrets that the host knows masked."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, cast

from agent import jobs, quoting, store, streams
from agent.outcome import Mask, Refused
from agent.world import World

CONFIG = "/etc/infra/logs.json"
CURSOR = f"{store.STATE}/logs-cursor"
OWN = "infra-logs.service"
FIELDS = (
    "MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER", "CONTAINER_NAME", "_SYSTEMD_UNIT",
    "_SYSTEMD_USER_UNIT", "_PID",
)  # fmt: skip
PAUSES = (1.0, 5.0, 15.0, 60.0)  # seconds before the next attempt
SAVED = 5.0  # seconds after which it is noted down again how far it came
LONGEST = 16384  # characters of a line
DAEMON, INFORMATION = 3, 6  # what a line is that says nothing of it
KNOWN_CURSOR = re.compile(r"[a-z]=[0-9a-f]+(;[a-z]=[0-9a-f]+)+")
Connect = Callable[[str, int, bool, str], streams.Stream]


def run(world: World, say: Callable[[str], None], connect: Connect = streams.connect) -> None:
    """For as long as the journal is followed: systemd starts it again after that."""
    Shipment(world, json.loads(world.read(CONFIG) or b"{}"), say, connect).forward()


class Shipment:
    """What is sent to one server. Each line is sent before it is noted down, so that after a restart the latest ones
    come a second time, and none is left out."""

    def __init__(self, world: World, config: dict[str, Any], say: Callable[[str], None], connect: Connect) -> None:
        self.world, self.config, self.say, self.connect = world, config, say, connect
        self.stream: streams.Stream | None = None
        self.releases: list[str] | None = None
        self.mask = Mask([])
        self.cursor = self.saved_cursor = (world.read(CURSOR) or b"").decode(errors="replace").strip()
        self.saved_at = world.now()

    def forward(self) -> None:
        for line in self.world.stream(*self._command()):
            if line is not None:
                self._take(line)
            if line is None or self.world.now() - self.saved_at > SAVED:
                self._save()

    def _command(self) -> list[str]:
        begin = [f"--after-cursor={self.cursor}", "--no-tail"] if KNOWN_CURSOR.fullmatch(self.cursor) else ["-n", "0"]
        form = ["-o", "json", f"--output-fields={','.join(FIELDS)}", "--no-pager", "-q", "--all"]
        return ["journalctl", "-f", *begin, *form]

    def _take(self, line: str) -> None:
        try:
            parsed: object = json.loads(line)
        except (ValueError, RecursionError):
            return
        fields = cast("dict[str, Any]", parsed) if isinstance(parsed, dict) else {}
        # What it says of a server that is away would be one more line each time
        if fields and fields.get("_SYSTEMD_UNIT") != OWN:
            self._send(frame(fields, self.config["name"], self._current_mask()))
            self.cursor = str(fields.get("__CURSOR", self.cursor))

    def _current_mask(self) -> Mask:
        """A release's secrets are on the disk before one of its services has them."""
        ids = self.world.listing(store.RELEASES)
        releases = [id for id in ids if self.world.exists(f"{store.RELEASES}/{id}/manifest.json")]
        if releases != self.releases:
            self.mask, self.releases = Mask(jobs.secret_values(self.world, None)), releases
        return self.mask

    def _send(self, message: bytes) -> None:
        """Returns once it is sent, however long that takes: the journal keeps what comes meanwhile."""
        attempts = 0
        while True:
            try:
                if self.stream is None or self.stream.is_closed():
                    self._close()
                    config = self.config
                    self.stream = self.connect(config["host"], config["port"], config["tls"], config["ca"])
                self.stream.send(message)
                if attempts:
                    self.say(f"{self.config['host']} takes logs again")
                return
            except (OSError, ValueError, Refused) as error:
                self._close()
                if not attempts:
                    to = f"{self.config['host']}:{self.config['port']}"
                    self.say(f"logs cannot be sent to {to}: {quoting.error(error)}; it is tried again")
                self.world.sleep(PAUSES[min(attempts, len(PAUSES) - 1)])
                attempts += 1

    def _close(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream = None

    def _save(self) -> None:
        self.saved_at = self.world.now()
        if self.cursor == self.saved_cursor:
            return
        try:
            self.world.write(CURSOR, self.cursor.encode(), 0o600, "root", "root")
        except OSError as error:
            # Logs go on without it
            self.say(f"{CURSOR} cannot be written: {quoting.error(error)}")
        self.saved_cursor = self.cursor


def frame(fields: dict[str, Any], host: str, mask: Mask) -> bytes:
    """An entry of the journal as a message of syslog, with its length before it."""
    level = 8 * _number(fields.get("SYSLOG_FACILITY"), 23, DAEMON) + _number(fields.get("PRIORITY"), 7, INFORMATION)
    micros = _number(fields.get("__REALTIME_TIMESTAMP"), 1 << 62, 0)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros // 1_000_000)) + f".{micros % 1_000_000:06d}Z"
    names = ("CONTAINER_NAME", "SYSLOG_IDENTIFIER", "_SYSTEMD_USER_UNIT", "_SYSTEMD_UNIT")
    origin = next((name for name in (fields.get(field) for field in names) if isinstance(name, str) and name), "-")
    words = (mask.all_of(str(text)) for text in (origin, fields.get("_PID", "-")))
    application, process = (re.sub(r"[^!-~]", "_", word) for word in words)
    message = fields.get("MESSAGE")
    text = mask.all_of(message)[:LONGEST].replace("\n", "#012") if isinstance(message, str) else "[not text]"
    line = f"<{level}>1 {at} {host} {application[:48]} {process[:128]} - - {text}".encode(errors="replace")
    return f"{len(line)} ".encode() + line


def _number(value: object, most: int, otherwise: int) -> int:
    text = value if isinstance(value, str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= most else otherwise
