"""Where secrets stand in what Nginx, Caddy and their likes are configured with."""

import re

from .names import QUOTED, WORD

HEADER = re.compile(
    rf"(?P<head>\b(?:(?:set|\w{{1,40}}_set_header|\w{{1,40}}_param|add_header)\s{{1,200}}[\"']?\$?(?P<name>{WORD})[\"']?"
    r"|secure_link_(?:secret|md5))\s{1,200})(?P<value>[^;]+)"
)
CADDY = re.compile(
    rf"^(?P<head>\s*(?:@\S+\s+)?"
    rf"(?:(?:request_)?header(?:_up|_down)?|SetEnv|ENV)\s+(?:@\S+\s+)?[\"']?[+>?-]?(?P<name>{WORD})[\"']?\s+)"
    r"(?P<value>\S.*?)(?P<rest>\s*)$"
)
PAIR = re.compile(
    r"^(?P<head>\s*(?P<name>requirepass|masterauth|mac_key|(?:[\w.-]+[_.-])?(?:password|secret|token|secret_access_key|api_key))\s+)(?P<value>[^\s=:]\S*)(?P<rest>\s*)$"
)
STATEMENT = re.compile(rf"(?:^|(?<=[;{{}}]))(?P<before>\s{{0,200}})(?={HEADER.pattern})(?P<rest>[^;]+)", re.MULTILINE)
COMPARED = re.compile(
    rf"(?P<head>\$(?P<name>\w+)\s*(?:!?=|!?~\*?)\s*)(?P<value>{QUOTED}|\S+?(?=\)\s*(?:\{{|$))|[^\s){{]+)"
)
MAP = re.compile(rf"(?P<head>\bmap\s+(?P<names>[^{{}};#]+)\{{)(?P<body>(?:{QUOTED}|#[^\n]*|[^\"'}}#]|[\"'][^}}]*)*)")
# What a proxy hands on: one of its variables
HANDED_ON = re.compile(r"[\"']?\$\w+[\"']?\s*")
