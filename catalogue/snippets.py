"""What the snippets of all proxies share: what is written by hand for a site and a proxy.

A module of catalogue/proxies/ reads each as its proxy does. What is not known to concern its site alone is refused: a
list of what reaches further would never be whole.
"""

import re

# Where a host's own services answer that are no one else's
INSIDE = re.compile(r"169\.254\.|fd00:ec2|unix[:/]|admin\.sock", re.IGNORECASE)
# What one reader takes for a space or a line's end, and another for none
UNREAD = re.compile(r"[^\S \t\r\n]|[\x00-\x08\x0e-\x1f\x7f]|\r(?!\n)")
# A line of it may be in any script
REMARK = re.compile(r"^[ \t]*#[^\n]*", re.MULTILINE)


def is_ambiguous(text: str) -> bool:
    """Whether it has what readers differ about, outside of remarks."""
    return bool(UNREAD.search(REMARK.sub("", text)))


def points_to(target: str) -> str:
    """The fault of what a snippet leads to, and may not."""
    return f"points to {target}, which a snippet may not use"
