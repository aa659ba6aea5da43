"""A stand-in of GitHub's API for comments of a pull request and for runs of Actions, on a loopback address."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HEAD = "a" * 40
TOKEN = "ghs_planted"


@dataclass
class GitHub:
    """`comments` of pull request 7 of team/infra, `page` how many an answer holds; `failures` are statuses to answer
    first, `writes` what was changed. `answers` are those of further paths."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    page: int = 2
    failures: list[int] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)
    url: str = ""

    def says(self, body: str, who: str = "Bot") -> None:
        self.comments.append({"id": 100 + len(self.comments), "body": body, "user": {"type": who}})


@contextmanager
def serving(github: GitHub) -> Iterator[GitHub]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, body: Any, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def refused(self) -> bool:
            if self.headers["Authorization"] != f"Bearer {TOKEN}":
                self.answer(401, {"message": "Bad credentials"})
                return True
            if github.failures:
                status = github.failures.pop(0)
                self.answer(status, {"message": "try later"}, **({"Retry-After": "0"} if status in (429, 502) else {}))
                return True
            return False

        def do_GET(self) -> None:
            if self.refused():
                return
            url, asked = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
            if url.path == "/repos/team/infra/pulls/7":
                self.answer(200, {"head": {"sha": HEAD}})
            elif url.path == "/repos/team/infra/pulls":
                is_it = asked["head"] == ["fork:topic"]
                self.answer(200, [{"number": 7, "head": {"sha": HEAD}}] if is_it else [])
            elif url.path == "/repos/team/infra/issues/7/comments":
                number = int(asked.get("page", ["1"])[0])
                shown = github.comments[github.page * (number - 1) : github.page * number]
                more = len(github.comments) > github.page * number
                link = f'<{github.url}{url.path}?per_page=100&page={number + 1}>; rel="next"' if more else ""
                self.answer(200, shown, Link=link)
            elif url.path in github.answers:
                self.answer(200, github.answers[url.path])
            else:
                self.answer(404, {"message": "Not Found"})

        def body(self) -> str:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]

        def do_POST(self) -> None:
            if not self.refused():
                github.says(self.body())
                github.writes.append(f"POST {self.path}")
                self.answer(201, github.comments[-1])

        def do_PATCH(self) -> None:
            if not self.refused():
                id = int(re.sub(r".*/", "", self.path))
                (comment,) = [entry for entry in github.comments if entry["id"] == id]
                comment["body"] = self.body()
                github.writes.append(f"PATCH {id}")
                self.answer(200, comment)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
