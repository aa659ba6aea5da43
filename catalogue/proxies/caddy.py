"""Caddy: what a catalogue may ask of it, and its snippets, read as Caddy reads them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from catalogue.proxy import Abilities, Proxy, Reach
from catalogue.snippets import INSIDE, is_ambiguous, points_to

# Those that stay inside of a site, with what stands in their blocks
DIRECTIVES = re.compile(
    r"@\S+|respond|redir|handle|handle_path|route|header|rewrite|uri|try_files|root|file_server|reverse_proxy|encode"
    r"|request_body|request_header|method|abort|error|vars|map|push|basicauth|forward_auth|copy_headers"
    r"|path|path_regexp|query|host|protocol|not|expression|remote_ip|header_regexp|file|[+-]\S+|>\S+|\?\S+|defer"
    r"|header_up|header_down|flush_interval|transport|dial_timeout|response_header_timeout|read_timeout|write_timeout"
    r"|to|lb_policy|lb_try_duration|lb_try_interval|health_uri|health_interval|health_timeout|health_status|max_size"
    r"|hide|index|precompressed|status|browse|gzip|zstd|minimum_length|body|close|default|[A-Z][A-Za-z-]*"
)
FILLED_IN = re.compile(r"\{\$|\{(?:env|file)\.|placeholder\s*\(|\bph\s*\(", re.IGNORECASE)


@dataclass
class _Block:
    """Whether it says where files are, and whether it serves any."""

    has_root: bool = False
    serves: bool = False


@dataclass
class _Blocks:
    open: list[_Block] = field(default_factory=lambda: [_Block()])

    def close(self) -> bool:
        """Whether what the innermost one serves has its place still to be said, by one around it."""
        inner = self.open.pop()
        lacks = inner.serves and not inner.has_root
        if self.open:
            self.open[-1].serves |= lacks
        return lacks


def snippet_faults(text: str, own: Reach) -> Iterator[str]:
    """What is wrong with it, each in a few words. A directive is a line's first word, and a brace that opens a block is
    its last."""
    if is_ambiguous(text):
        yield "has a control character, or a space other than spaces, tabs and line breaks"
        return
    if "`" in text or "<<" in text:
        yield 'has a ` or <<, which could hide other directives: quote with "'
        return
    if match := FILLED_IN.search(text):
        yield f"has {match[0]}, with which Caddy could publish data of the host"
    blocks = _Blocks()
    for line in text.split("\n"):
        words = _words(line)
        if isinstance(words, str):
            yield words
            return
        if not words:
            continue
        first, is_quoted = words[0]
        opens, closes = words[-1] == ("{", False), words == [("}", False)]
        if is_quoted or not (closes or DIRECTIVES.fullmatch(first)):
            yield f"has the directive {first}"
        for word, _ in words:
            if INSIDE.search(word):
                yield points_to(word)
        if (closes and len(blocks.open) == 1) or first == "{":
            yield "closes a { that is not open"
            return
        # Caddy counts those in quotes and inside of a line too
        if any(word in ("{", "}") for word, _ in words[: -1 if opens or closes else None]):
            yield "has a { or } that is neither the last word of a line nor alone on it: join it to another character"
            return
        if closes:
            blocks.close()
            continue
        arguments = [word for word, _ in (words[:-1] if opens else words)]
        yield from _leading_away(arguments, own)
        # By a matcher it is said for some paths alone
        blocks.open[-1].has_root |= first == "root" and (len(arguments) == 2 or arguments[1:2] == ["*"])
        if opens:
            blocks.open.append(_Block(serves=first == "file_server"))
        else:
            blocks.open[-1].serves |= first == "file_server"
    if len(blocks.open) > 1:
        yield "has a { that is not closed"
    elif blocks.close():
        yield "has a file_server without a root: it would serve the host's own files"


def _leading_away(words: list[str], own: Reach) -> Iterator[str]:
    """What a directive reaches beyond the product's own."""
    name, arguments = words[0], words[1:]
    if name in ("reverse_proxy", "forward_auth", "to"):
        addresses = arguments[1:] if arguments and name != "to" and arguments[0][:1] in ("@", "/", "*") else arguments
        yield from (points_to(address) for address in addresses if not own.is_service(address))
    elif name == "root" or (name == "vars" and "root" in arguments):
        path = arguments[-1] if arguments else ""
        if "{" in path or not own.has(path):
            yield f"serves files of {path}"
    elif name == "map" and any("vars." in word for word in arguments):
        yield "has a map that sets vars"


def _words(line: str) -> list[tuple[str, bool]] | str:
    """Each with whether it is a quoted one; what is wrong with a line that cannot be read."""
    words: list[tuple[str, bool]] = []
    rest = line
    while rest := rest.lstrip():
        if rest.startswith("#"):
            return "has a \\ at a line's end" if rest.rstrip("\r").endswith("\\") else words
        if rest.startswith('"'):
            match = re.match(r'"((?:[^"\\]|\\.)*)"', rest)
            if not match:
                return "has a quote that is not closed on its line"
            words.append((match[1], True))
        else:
            match = re.match(r"\S+", rest)
            assert match
            # By it a line goes on below, and a brace may be a word
            if "\\" in match[0]:
                return f'has \\ outside of quotes in {match[0]}: quote by "'
            words.append((match[0], False))
        rest = rest[match.end() :]
    return words


PROXY = Proxy(
    abilities=Abilities(
        takes_placeholders=True,
        http1_alone=True,
        ipv6=True,
        http3=True,
        client_ca=True,
        cdn=True,
        compressions=("gzip", "zstd"),
    ),
    snippet_faults=snippet_faults,
    snippet_rules={
        "has a file_server": "a root before it: a directory below /srv/NAME/, /opt/NAME/ or /var/www/NAME/",
    },
    unwritable=("`", "{$", "\\{", "\\}"),
    reserved_users=("import",),
)
