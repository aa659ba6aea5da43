"""`infra dashboard`: all hosts of stacks on one static page."""

from infra.dashboard.facts import collect, silent
from infra.dashboard.page import html

__all__ = ["collect", "html", "silent"]
