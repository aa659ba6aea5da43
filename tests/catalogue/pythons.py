"""Locks of uv, and Recall API with one."""

from dataclasses import replace

from tests.support import changed, service, whole

FOLDER = "recall/python"
REGISTRY = 'source = { registry = "https://pypi.org/simple" }'
ANY = "py3-none-any"
ON_ARM, ON_INTEL = "cp311-cp311-manylinux_2_17_aarch64", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64"
PROJECT = b"""[project]
name = "recall"
dependencies = ["gunicorn"]
[project.optional-dependencies]
fast = ["speedup"]
[dependency-groups]
gpu = ["cuda"]
"""


def package(name: str, *tags: str, needs: str = "", sdist: bool = False, source: str = REGISTRY) -> str:
    wheels = ", ".join(
        f'{{ url = "https://x.example/{name}-1.0-{tag}.whl", hash = "sha256:0", size = 1000 }}' for tag in tags
    )
    return "\n".join([
        "[[package]]", f'name = "{name}"', 'version = "1.0"', source, needs, f"wheels = [{wheels}]",
        'sdist = { url = "https://x.example/a.tar.gz" }' if sdist else "",
    ])  # fmt: skip


def lock(*packages: str, needs: str = '{ name = "gunicorn" }', requires: str = ">=3.10") -> bytes:
    root = f"""[[package]]
name = "recall"
version = "0"
source = {{ virtual = "." }}
dependencies = [{needs}]
[package.optional-dependencies]
fast = [{{ name = "speedup" }}]
[package.dev-dependencies]
gpu = [{{ name = "cuda" }}]
"""
    return "\n".join([f'version = 1\nrequires-python = "{requires}"', *packages, root]).encode()


def with_lock(text: bytes, project: bytes = PROJECT, **own):
    def change(data):
        recall = service(data, "recall-api")
        recall.update(artefact=[], python={"lock": FOLDER, "into": "/srv/recall/venv", **own})

    made = changed(whole(), "recall", change)
    return replace(made, sources=made.sources | {f"{FOLDER}/pyproject.toml": project, f"{FOLDER}/uv.lock": text})


def built():
    """A lock whose package has no wheel."""
    return with_lock(lock(package("gunicorn", sdist=True)))
