"""The files of every host in a directory, as a release would carry them."""

from collections.abc import Iterator
from pathlib import Path

from agent.archive import members
from catalogue.checks import checked
from catalogue.loading import load
from catalogue.stack import read_stack
from infra.paths import config_file, project_root
from infra.preview import live
from rendering.archive import build
from rendering.host import render


def write(stack: str, out: Path) -> Iterator[str]:
    """Writes DIR/HOST/… and DIR/HOST.manifest.json, and says where. Raises CatalogueError, InfraError."""
    asked = live.is_possible(stack)
    root = project_root()
    catalogue = live.catalogue_of(stack) if asked else checked(load(root, read_stack(root, stack, config_file(stack))))
    known = live.digests(catalogue, catalogue.stack.region) if asked else {}
    digests = {
        f"{repository}{suffix}": digest for repository, found in known.items() for suffix, digest in found.items()
    }
    for host in catalogue.stack.hosts:
        contents = members(build(render(catalogue, host, digests)).archive)
        modes = {file.path: file.mode for file in render(catalogue, host, digests).files}
        for name, content in contents.items():
            path = name.removeprefix("files")
            if path in modes and name != path:
                target = out / host / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                target.chmod(modes[path])
        (out / f"{host}.manifest.json").write_bytes(contents["manifest.json"])
        yield f"{host}: {out / host}"
    if not asked:
        yield "images are named by their tags: the stack's registry was not asked (is Pulumi logged in?)"
