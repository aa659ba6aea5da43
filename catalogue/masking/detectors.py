"""Detectors of secrets in a line: each knows one way to write them down, and judges what it finds."""

from __future__ import annotations

import re
from collections.abc import Callable

from .names import QUOTED, WORD, is_secrets_name, looks_secret
from .nested_secrets import Mark
from .proxies import CADDY, COLON, COMPARED, HANDED_ON, HEADER, PAIR

Judge = Callable[["re.Match[str]"], bool]


class Detector:
    """Secrets of one form: what `pattern` calls `value`, where `is_secret` says so of the match."""

    def __init__(self, pattern: re.Pattern[str], is_secret: Judge = lambda _: True) -> None:
        self._pattern, self._is_secret = pattern, is_secret

    def mask(self, line: str, mark: Mark, before: str = "") -> str:
        """The line with a mark in place of each secret; `before` is the part of its command on the lines above."""
        return self._pattern.sub(lambda match: self._replace(match, mark), line)

    def _replace(self, match: re.Match[str], mark: Mark) -> str:
        if not self._is_secret(match):
            return match[0]
        begin, end = (place - match.start() for place in match.span("value"))
        return match[0][:begin] + mark(match["value"]) + match[0][end:]


class ProgramOption(Detector):
    """An option of one letter, which means a password for some programs only."""

    def __init__(self, program: str, pattern: str) -> None:
        super().__init__(re.compile(pattern))
        self._program = re.compile(program)

    def mask(self, line: str, mark: Mark, before: str = "") -> str:
        return super().mask(line, mark) if self._program.search(f"{before} {line}") else line


def is_option_secret(option: str, value: str) -> bool:
    """Whether an option's value is a secret: NAME:PASSWORD for a user, any value for a name of a secret."""
    bare = value.strip("\"' ")
    name, _, rest = bare.partition(":")
    if option in ("u", "U", "user", "proxy-user"):
        return bool(rest) and not (name.isdigit() and rest.isdigit())
    if option in ("H", "header"):
        return bool(rest) and looks_secret(name, rest)
    return bool(bare) and looks_secret(option, bare) and not bare.startswith(("/", "-"))


def _is_option(match: re.Match[str]) -> bool:
    return is_option_secret(match["name"], match["value"])


def _is_header(match: re.Match[str]) -> bool:
    value = match["value"]
    if HANDED_ON.fullmatch(value) or value.startswith("/"):
        return False
    return match["name"] is None or looks_secret(match["name"], value)


def _is_pair(match: re.Match[str]) -> bool:
    return looks_secret(match["name"], match["value"]) and not match["value"].startswith("{")


# `--password VALUE` and `-p=VALUE`, up to the next option; a list in one line ends a plain value at a comma
OPTIONS = Detector(
    re.compile(
        rf"(?P<head>(?<!\w)--?(?P<name>{WORD})(?:(?P<comma>[\"']?,[ ]*)|[\"']?[ ]+|=))(?P<value>(?![\"']?-){QUOTED}"
        r"|(?![\"']?-)(?(comma)[^\s\"',\]]+|[^\s\"']+))"
    ),
    _is_option,
)
# `-uNAME:PASSWORD`, as curl takes it
GLUED_OPTIONS = Detector(
    re.compile(r"(?P<head>(?<![\w-])-(?P<name>u|U|H) ?)(?P<value>[\w.-]+:(?=[^\s/])[^\s\"',\]]+)"), _is_option
)
PROGRAM_OPTIONS = (
    ProgramOption(r"\bredis-cli\b", r"((?<![\w-])-a(?:[ =]|[\"']?,[ ]*)?[\"']?)(?P<value>[^\s\"',\]]+)"),
    ProgramOption(
        r"mysql|mariadb|\bmongo|\bsshpass\b|\blogin\b",
        r"((?<![\w-])-p(?:[ =]|[\"']?,[ ]*)?[\"']?)(?![\d.:]*:\d+(?:/\w+)?(?![^\s\"',\]]))(?P<value>[^\s\"',\]]+)",
    ),
    ProgramOption(r"\bopenssl\b", r"((?<![\w-])-k[ ]+[\"']?)(?P<value>[^\s\"']+)"),
    ProgramOption(r"\bldap[a-z]+\b", r"((?<![\w-])-w[ ]+[\"']?)(?P<value>[^\s\"']+)"),
    ProgramOption(r"\bhtpasswd\b", r"((?<![\w-])-[a-zA-Z]*b[a-zA-Z]*[ ]+(?:\S+[ ]+)*[\"']?)(?P<value>[^\s\"']+)$"),
)
# What stands behind words, in files of programs that have no other sign for it
KEYWORDS = tuple(
    Detector(pattern)
    for pattern in (
        re.compile(r"(?P<head>\bmachine\s+\S+\s+(?:login\s+\S+\s+)?password\s+)(?P<value>\S+)"),  # .netrc
        re.compile(rf"(?P<head>\b(?:PASSWORD|IDENTIFIED\s+(?:WITH\s+\S+\s+)?BY)\s+)(?P<value>{QUOTED})", re.IGNORECASE),
        re.compile(r"(?P<head>^\s*user\s+\S+\s+(?:\S+\s+)*?)(?P<value>[>#]\S+)"),  # Redis
        re.compile(
            r"(?P<head>[?&](?:sig|signature|X-Amz-Signature|X-Goog-Signature)=)(?P<value>[^\s&\"']+)", re.IGNORECASE
        ),
        re.compile(r"(?P<head>^\s*user=[\w.-]+:)(?P<value>[^\s:]+)$"),  # coturn
        re.compile(r"(?P<head>^\s*stats\s+auth\s+[^\s:]+:)(?P<value>\S+)"),  # HAProxy
        re.compile(r"(?P<head>\binsecure-password\s+)(?P<value>\S+)"),
        re.compile(r"(?P<head>^\s*bindpw\s+)(?P<value>\S.*)$"),  # LDAP
    )
)
# A constant of PHP
CONSTANTS = Detector(
    re.compile(rf"(?P<head>\bdefine\(\s*[\"'](?P<name>{WORD})[\"']\s*,\s*)(?P<value>{QUOTED})"), _is_option
)
# What a variable is where nothing sets it, in a shell and in Compose
DEFAULTS = Detector(
    re.compile(
        rf"(?P<head>\$\{{(?P<name>{WORD}):?[-=+])(?P<value>{QUOTED}"
        r"|(?!\$\{\w+\}\})(?:[^{}\n]|\$\{[^{}\n]*\})+)(?=\})"
    ),
    _is_option,
)
# What Nginx, Caddy and their likes send, and compare with
HEADERS = Detector(HEADER, _is_header)
CADDY_HEADERS = Detector(CADDY, _is_pair)
COMPARISONS = Detector(COMPARED, _is_option)
# NAME VALUE, and NAME:VALUE
PAIRS = Detector(PAIR, _is_pair)
COLONS = Detector(COLON, lambda match: is_secrets_name(match["name"]) and _is_pair(match))

OF_COMMANDS = (OPTIONS, GLUED_OPTIONS, *PROGRAM_OPTIONS)
# In this order: a later one finds the marks of the earlier ones
OF_LINES = (
    CADDY_HEADERS, PAIRS, COLONS, *KEYWORDS, CONSTANTS, DEFAULTS, *OF_COMMANDS, HEADERS, COMPARISONS,
)  # fmt: skip


def mask_line(line: str, detectors: tuple[Detector, ...], mark: Mark, before: str = "") -> str:
    """The line as the detectors, one after the other, leave it."""
    for detector in detectors:
        line = detector.mask(line, mark, before)
    return line
