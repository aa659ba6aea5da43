"""The files of every host in a directory, as a release would carry them."""

from collections.abc import Iterator
from pathlib import Path

from agent.archive import members
from catalogue.checks import ensure_valid
from catalogue.loading import load
from catalogue.stack import read_stack
from infra.paths import config_file, project_root
from infra.preview import images, live
from infra.writing import fill_directory, put, refuse_system
from rendering.archive import build
from rendering.host import render


def write(stack: str, out: Path) -> Iterator[str]:
    """Writes DIR/HOST/… and DIR/HOST.manifest.json, and says where. Raises CatalogueError, InfraError."""
    refuse_system(out / "host")
    has_pulumi = live.is_possible(stack)
    root = project_root()
    if has_pulumi:
        catalogue = live.catalogue_of(stack)
    else:
        catalogue = ensure_valid(load(root, read_stack(root, stack, config_file(stack))), with_values=False)
    by_repository, untold = images.digests(catalogue, catalogue.stack.region) if has_pulumi else ({}, [])
    digests = {
        f"{repository}{suffix}": digest
        for repository, by_suffix in by_repository.items()
        for suffix, digest in by_suffix.items()
    }
    for host in catalogue.stack.hosts:
        rendered = render(catalogue, host, digests)
        fill_directory(out / host, {file.path.lstrip("/"): (file.content, file.mode) for file in rendered.files})
        put(out / f"{host}.manifest.json", members(build(rendered).archive)["manifest.json"])
        yield f"{host}: {out / host}"
        if any(name.startswith("@") for item in rendered.environment_files for name in item.secrets.values()):
            yield f"{host}: its manifest is without the version of its user's key in AWS, which only an update knows"
    if not has_pulumi:
        yield "Pulumi was not asked (is it logged in?): images are named by tags, and secrets have no real versions"
    elif untold:
        yield f"named by their tags, since the registry does not list them: {', '.join(untold)}"
