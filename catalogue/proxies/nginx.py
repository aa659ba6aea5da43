"""Nginx: what a catalogue may ask of it, and its snippets, read as Nginx reads them."""

import re
from collections.abc import Iterator

from catalogue.proxy import Abilities, Proxy, Reach
from catalogue.snippets import INSIDE, is_ambiguous, points_to

# Those that stay inside of a server
DIRECTIVES = re.compile(
    r"location|if|return|rewrite|break|set|root|alias|index|try_files|error_page|recursive_error_pages|internal"
    r"|default_type|charset|expires|etag|autoindex(_exact_size|_format|_localtime)?|add_header|if_modified_since"
    r"|max_ranges|gzip(_static|_vary|_proxied|_min_length|_types|_comp_level)?|gunzip|sub_filter(_once|_types)?|allow|deny"
    r"|auth_basic|limit_rate(_after)?|limit_except|client_max_body_size|client_body_timeout|keepalive_timeout|send_timeout"
    r"|server_tokens|absolute_redirect|port_in_redirect|server_name_in_redirect|log_not_found|merge_slashes"
    r"|(proxy|fastcgi|uwsgi)_(pass|set_header|hide_header|pass_header|http_version|(connect|read|send)_timeout|buffering"
    r"|request_buffering|buffer_size|buffers|redirect|cookie_(path|domain|flags)|intercept_errors|set_body|method|param"
    r"|index|split_path_info|ignore_client_abort|next_upstream(_tries|_timeout)?|pass_request_(headers|body)|ssl_server_name"
    r"|ssl_name|force_ranges)|empty_gif|stub_status|mirror"
)
# Files by the path that is asked for. Any other variable can be an argument, and have .. in it
BY_PATH = ("try_files", "index", "error_page", "rewrite")
OF_THE_PATH = re.compile(r"\$(?:uri|document_uri|request_uri|host)\b|\$\{(?:uri|document_uri|request_uri|host)\}")


def snippet_faults(text: str, own: Reach) -> Iterator[str]:
    """What is wrong with it, each in a few words."""
    if is_ambiguous(text):
        yield "has a control character, or white space other than spaces, tabs and line breaks"
        return
    depth = 0
    words: list[str] = []
    for token, is_plain in _tokens(text):
        if is_plain and token in ("{", "}", ";"):
            depth += {"{": 1, "}": -1, ";": 0}[token]
            yield from _leading_away(words, own)
            words = []
        else:
            if not words and not DIRECTIVES.fullmatch(token):
                yield f"has the directive {token}"
            words.append(token)
        if INSIDE.search(token):
            yield points_to(token)
        if depth < 0:
            yield "closes a { that is not open"
            return
    if depth or words:
        yield "has a { or a quote that is not closed, or no ; at its end"


def _leading_away(words: list[str], own: Reach) -> Iterator[str]:
    """What a directive reaches beyond the product's own."""
    name, arguments = (words or [""])[0], words[1:]
    if name in ("root", "alias"):
        yield from (f"serves files of {path}" for path in arguments if "$" in path or not own.has(path))
    elif name.endswith("_pass"):
        # A request's whole path begins with a slash
        addresses = [address.replace("$request_uri", "/", 1) for address in arguments]
        yield from (points_to(address) for address in addresses if not own.is_service(address))
    elif name in BY_PATH:
        if name == "rewrite":
            # What is found goes behind all else, once: two could be two dots
            is_redirect = bool({"redirect", "permanent"} & {*arguments})
            arguments = [] if is_redirect else [re.sub(r"\$\d$", "", word) for word in arguments[1:2]]
        for word in arguments:
            if word.startswith(("http://", "https://", "$scheme://")):
                continue
            path = re.sub(r"\$is_args\$(?:args|query_string)$", "", word.partition("?")[0])
            if ".." in path or "$" in OF_THE_PATH.sub("", path):
                yield f"serves files of any path with {name} {word}"


def _tokens(text: str) -> Iterator[tuple[str, bool]]:
    """Words, and whether they are no quoted ones: a quote begins one only where a word begins, a } ends none."""
    place = 0
    while place < len(text):
        sign = text[place]
        if sign in " \t\r\n":
            place += 1
        elif sign in "{};":
            yield sign, True
            place += 1
        elif sign == "#":
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
        elif sign in "\"'":
            end = place + 1
            while end < len(text) and text[end] != sign:
                end += 2 if text[end] == "\\" else 1
            if end >= len(text):
                yield "{", True  # it never ends
            yield text[place + 1 : end], False
            place = end + 1
        else:
            end = place
            while end < len(text) and text[end] not in " \t\r\n;{":
                if text[end] == "\\" or text[end : end + 2] == "${":
                    end += 1
                end += 1
            yield text[place:end], True
            place = end


PROXY = Proxy(
    abilities=Abilities(
        leads_between=True,
        limits_clients=True,
        trusts_by_site=True,
        families_by_site=True,
        http1_alone=True,
        ipv6=True,
        http3=True,
        client_ca=True,
        cdn=True,
    ),
    snippet_faults=snippet_faults,
)
