"""A catalogue whose service is started by a file of its own."""

from dataclasses import replace
from typing import Any

from catalogue.loading import Catalogue
from tests.support import changed, service, whole

SOURCE = "recall/gunicorn.conf.py"
ARM64 = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0\xb7\0" + b"\0" * 40
AMD64 = ARM64.replace(b"\xb7", b"\x3e")


def started_by(content: bytes, mode: str = "0755", **directives: Any) -> Catalogue:
    """Recall's API, whose unit starts a file with this content; its host is an arm64 machine."""

    def change(data: dict[str, Any]) -> None:
        api = service(data, "recall-api")
        api["files"][0].update(path="/srv/recall/serve", mode=mode)
        api["directives"]["Service"].update({"ExecStart": "-/srv/recall/serve --port 8000", **directives})

    made = changed(whole(), "recall", change)
    return replace(made, sources=made.sources | {SOURCE: content})
