"""Pages that follow from something else: the systems', whose tables are the catalogue's, and the reference."""

from collections.abc import Iterator
from pathlib import Path

from catalogue.files import read_text
from catalogue.loading import read_system, system_files
from infra import reference
from infra.errors import InfraError
from infra.writing import put_below
from rendering.tables import ENGLISH, JAPANESE, with_tables

PAGES = Path("docs/systems")
LANGUAGES = {".md": ENGLISH, ".ja.md": JAPANESE}


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Every page with the text that it should have. Raises InfraError for a page without its marks."""
    # A project has pages of its systems where it began a directory of them
    for source in system_files(root) if (root / PAGES).is_dir() else []:
        for suffix, language in LANGUAGES.items():
            path = root / PAGES / f"{source.stem}{suffix}"
            if not path.exists():
                raise InfraError(f"{path.relative_to(root)} is missing: each system has a page in English and Japanese")
            try:
                yield path, with_tables(read_text(path, str(path.relative_to(root))), read_system(source), language)
            except ValueError as error:
                raise InfraError(f"{path.relative_to(root)}: {error}") from None
    yield from reference.pages(root)


def write_pages(root: Path) -> Iterator[Path]:
    """Writes the pages that are behind, and names them."""
    for path, text in pages(root):
        name = path.relative_to(root)
        if not path.exists() or read_text(path, str(name)) != text:
            put_below(root, name, text)
            yield name
