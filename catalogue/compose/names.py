"""How Compose names a project."""

import re


def project_name(text: str) -> str:
    """What Compose of either generation takes for a project's name, as it would make it of a directory's."""
    return re.sub(r"[^-_a-z0-9]", "", text.lower())
