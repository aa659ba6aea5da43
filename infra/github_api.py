"""GitHub's API, asked with a limit on time and on attempts."""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import InfraError

NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
ATTEMPTS, PATIENCE = 3, 60.0
TIMEOUT = 30.0  # seconds of one request


@dataclass(frozen=True)
class Api:
    """An address such as https://api.github.com, a token ("" asks without one), and what to do about each status."""

    url: str
    token: str
    hints: Mapping[int, str]


def ask(api: Api, path: str, method: str = "GET", body: Any = None) -> Any:
    """Raises InfraError."""
    return page(api, path, method, body)[0]


def page(api: Api, path: str, method: str = "GET", body: Any = None) -> tuple[Any, str | None]:
    """An answer, and where the next page is. Raises InfraError."""
    url = path if path.startswith(api.url) else f"{api.url}{path}"
    headers = {
        "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28",
        "Content-Type": "application/json", "User-Agent": "infra",
        **({"Authorization": f"Bearer {api.token}"} if api.token else {}),
    }  # fmt: skip
    data = None if body is None else json.dumps(body).encode()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, data, headers, method=method), timeout=TIMEOUT
            ) as answer:
                following = NEXT.search(answer.headers.get("Link") or "")
                return json.load(answer), following[1] if following else None
        except urllib.error.HTTPError as error:
            wait = float(error.headers.get("Retry-After") or 2 * attempt)
            if (
                attempt < ATTEMPTS
                and wait <= PATIENCE
                # A comment that was half written would be there twice
                and (error.code == 429 or "Retry-After" in error.headers or (error.code >= 500 and method != "POST"))
            ):
                time.sleep(wait)
                continue
            raise InfraError(
                f"{method} {url}: {error.code} {_reason(error)}; {api.hints.get(error.code, '')}".rstrip("; ")
            ) from None
        except (OSError, ValueError) as error:
            raise InfraError(f"{method} {url}: {error}") from None
    raise AssertionError("every attempt returns or raises")


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error).get("message", ""))
    except (ValueError, AttributeError):
        return str(error.reason)
