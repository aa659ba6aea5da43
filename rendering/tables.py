"""The tables of the system pages, derived from the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass

from catalogue.models import ComposeService, RetiredService, System

BEGIN, END = "<!-- made by `infra docs`: {name} -->", "<!-- end -->"


@dataclass(frozen=True)
class Language:
    """Headings of both tables, and which text of a service says what it is for."""

    running: tuple[str, ...]
    retired: tuple[str, ...]
    purpose: Callable[[ComposeService | RetiredService], str]


ENGLISH = Language(
    ("service", "what it does", "public path", "port", "container", "address", "unit", "memory", "image"),
    ("service", "what it did", "port (kept free)", "replaced by", "repository"),
    lambda service: service.purpose,
)
JAPANESE = Language(
    ("サービス", "用途", "公開パス", "ポート", "コンテナ", "アドレス", "ユニット", "メモリ", "イメージ"),
    ("サービス", "用途", "ポート（欠番）", "移行先", "リポジトリ"),
    lambda service: service.purpose_ja or service.purpose,
)


def running(system: System, language: Language) -> str:
    """The services that run, in catalogue order."""
    return _table(
        language.running,
        [
            (
                service.name,
                language.purpose(service),
                f"`{service.route.public}`" if service.route else "-",
                str(service.port),
                f"`{service.container}`",
                str(service.address),
                f"`{service.unit}`",
                service.memory.limit + (f" ({service.memory.observed})" if service.memory.observed else ""),
                f"`{service.image.repository}{service.image.suffix}`",
            )
            for service in system.compose_services
        ],
    )


def retired(system: System, language: Language) -> str:
    services = [service for service in system.services if isinstance(service, RetiredService)]
    rows = [(s.name, language.purpose(s), str(s.port), s.replaced_by, f"`{s.repository}`") for s in services]
    return _table(language.retired, rows)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_tables(page: str, system: System, language: Language) -> str:
    """A page with its marked tables made anew. Raises ValueError when a mark is missing."""
    for name, table in (("running", running(system, language)), ("retired", retired(system, language))):
        begin = BEGIN.format(name=name)
        head, mark, rest = page.partition(begin)
        _, end, tail = rest.partition(END)
        if not mark or not end:
            raise ValueError(f"no {begin} … {END}")
        page = f"{head}{mark}\n{table}{end}{tail}"
    return page
