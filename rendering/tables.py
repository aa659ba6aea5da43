"""The tables of the system pages, derived from the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass

from catalogue.models import System
from catalogue.service import RetiredService, Service
from catalogue.services import ComposeService, NativeService
from catalogue.sizes import format_size
from rendering.units import runs_as

BEGIN, END = "<!-- made by `infra docs`: {name} -->", "<!-- end -->"


@dataclass(frozen=True)
class Language:
    """Headings of the tables in a language, and the field of a service that states its purpose in it."""

    running: tuple[str, ...]
    units: tuple[str, ...]
    retired: tuple[str, ...]
    purpose: Callable[[Service | RetiredService], str]


ENGLISH = Language(
    ("service", "what it does", "public path", "port", "container", "address", "unit", "memory", "image"),
    ("service", "what it does", "public path", "port", "unit", "runs as", "memory", "its log"),
    ("service", "what it did", "port (kept free)", "replaced by", "repository"),
    lambda service: service.purpose,
)
JAPANESE = Language(
    ("サービス", "用途", "公開パス", "ポート", "コンテナ", "アドレス", "ユニット", "メモリ", "イメージ"),
    ("サービス", "用途", "公開パス", "ポート", "ユニット", "実行ユーザー", "メモリ", "ログ"),
    ("サービス", "用途", "ポート（欠番）", "移行先", "リポジトリ"),
    lambda service: service.purpose_ja or service.purpose,
)


def running(system: System, language: Language) -> str:
    """The containers that run, in catalogue order."""
    return _table(
        language.running,
        [
            (
                service.name, language.purpose(service), _paths(service), str(service.port or "-"),
                f"`{service.container}`", str(service.address or "-"), f"`{service.unit}`", _memory(service),
                f"`{service.image.repository}{service.image.suffix}`",
            )
            for service in system.compose_services
        ],
    )  # fmt: skip


def units(system: System, language: Language) -> str:
    """The native units that run, in catalogue order; each instance of a template is one."""
    return _table(
        language.units,
        [
            (
                service.name, language.purpose(service), _paths(service), str(service.port or "-"), f"`{unit}`",
                runs_as(service), _memory(service), f"`{_log(service, unit)}`",
            )
            for service in system.native_services
            for unit in service.units
        ],
    )  # fmt: skip


def retired_services(system: System, language: Language) -> str:
    services = [service for service in system.services if isinstance(service, RetiredService)]
    rows = [(s.name, language.purpose(s), str(s.port), s.replaced_by, f"`{s.repository}`") for s in services]
    return _table(language.retired, rows)


def _paths(service: Service) -> str:
    return " ".join(f"`{route.public}{'*' if route.is_prefix else ''}`" for route in service.routes) or "-"


def _memory(service: Service) -> str:
    observed = f" ({format_size(service.observed_memory)})" if service.observed_memory else ""
    return f"{format_size(service.limit)}{observed}" if service.limit else "-"


def _log(service: NativeService, unit: str) -> str:
    name = unit.removesuffix(".service")
    return f"journalctl --user -u {name}" if service.account else f"journalctl -u {name}"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def with_tables(page: str, system: System, language: Language) -> str:
    """A page with its marked tables regenerated. Raises ValueError when a mark is missing."""
    kinds = {service.__class__ for service in system.services}
    tables = [
        ("running", running, ComposeService in kinds),
        ("units", units, bool(system.native_services)),
        ("retired", retired_services, RetiredService in kinds),
    ]
    for name, table in [(name, table) for name, table, is_wanted in tables if is_wanted]:
        begin = BEGIN.format(name=name)
        head, mark, rest = page.partition(begin)
        _, end, tail = rest.partition(END)
        if not mark or not end:
            raise ValueError(f"no {begin} … {END}")
        page = f"{head}{mark}\n{table(system, language)}{end}{tail}"
    return page
