"""The dashboard's language: the texts of a host's page, with its own."""

from agent import wording
from agent.wording import Speaker
from infra.dashboard import japanese

TABLES = {"ja": {**wording.TABLES["ja"], **japanese.TEXTS}}


def speaker(language: str) -> Speaker:
    """English for a language that has no table."""
    return Speaker(TABLES.get(language, {}))
