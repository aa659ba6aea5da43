"""Where secrets stand in what Nginx, Caddy and their likes are configured with."""

import re

from .names import QUOTED, WORD

# To the end of a statement, which is none within quotes; a quote that is never closed goes on to the next end
TO_ITS_END = rf"(?:{QUOTED}|[^;\"'])+(?:[\"'][^;]*)?|[\"'][^;]*"
HEADER = re.compile(
    rf"(?P<head>\b(?:(?:set|\w{{1,40}}_set_header|\w{{1,40}}_param|add_header)\s{{1,200}}[\"']?\$?(?P<name>{WORD})[\"']?"
    rf"|secure_link_(?:secret|md5))\s{{1,200}})(?P<value>{TO_ITS_END})"
)
CADDY = re.compile(
    rf"^(?P<head>\s*(?:@\S+\s+)?"
    rf"(?:(?:request_)?header(?:_up|_down)?|SetEnv|ENV)\s+(?:@\S+\s+)?[\"']?[+>?-]?(?P<name>{WORD})[\"']?\s+)"
    r"(?P<value>\S.*?)(?P<rest>\s*)$"
)
# In a file of programs that take a colon for an equals sign; a path behind one is no secret
COLON = re.compile(r"^(?P<head>\s*(?P<name>[A-Za-z][\w.-]*):)(?P<value>[^\s:/=]\S*)(?P<rest>\s*)$")
PAIR = re.compile(
    r"^(?P<head>\s*(?P<name>requirepass|masterauth|mac_key|(?:[\w.-]+[_.-])?(?:password|secret|token|secret_access_key|api_key))\s+)(?P<value>[^\s=:]\S*)(?P<rest>\s*)$"
)
STATEMENT = re.compile(
    rf"(?:^|(?<=[;{{}}]))(?P<before>\s{{0,200}})(?={HEADER.pattern})(?P<rest>{TO_ITS_END})", re.MULTILINE
)
COMPARED = re.compile(
    rf"(?P<head>\$(?P<name>\w+)\s*(?:!?=|!?~\*?)\s*)(?P<value>{QUOTED}|\S+?(?=\)\s*(?:\{{|$))|[^\s){{]+)"
)
MAP = re.compile(rf"(?P<head>\bmap\s+(?P<names>[^{{}};#]+)\{{)(?P<body>(?:{QUOTED}|#[^\n]*|[^\"'}}#]|[\"'][^}}]*)*)")
# What a proxy hands on: one of its variables
HANDED_ON = re.compile(r"[\"']?\$\w+[\"']?\s*")
