"""Two tiny wheels in a directory, and the lock of a project that needs them."""

import hashlib
import zipfile
from pathlib import Path

PROJECT = b"""[project]
name = "notes"
version = "0"
requires-python = ">=3.9"
dependencies = ["alpha"]
"""


def wheel(folder: Path, name: str, version: str, body: str, requires: str = "") -> Path:
    """A wheel with one module and a program of its name."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    contents = {
        f"{name}/__init__.py": body,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name}={name}:main\n",
    }
    contents[f"{info}/RECORD"] = "".join(f"{one},,\n" for one in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in contents.items():
            archive.writestr(zipfile.ZipInfo(one), text)
    return path


def wheels(folder: Path, version: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    body = f"import beta\ndef main(): print('alpha {version} with', beta.NAME)\n"
    return [
        wheel(folder, "alpha", version, body, "beta"),
        wheel(folder, "beta", "1.0", "NAME = 'beta'\ndef main(): pass\n"),
    ]


def lock(made: list[Path], damaged: bool = False) -> bytes:
    """As `uv lock` writes it; of a `damaged` one the hashes are those of other wheels."""
    parts = ['version = 1\nrevision = 3\nrequires-python = ">=3.9"\n']
    for path in made:
        name, version = path.name.split("-")[:2]
        sha256 = hashlib.sha256(b"another" if damaged else path.read_bytes()).hexdigest()
        needs = 'dependencies = [{ name = "beta" }]\n' if name == "alpha" else ""
        entry = f'{{ url = "file://{path}", hash = "sha256:{sha256}", size = {path.stat().st_size} }}'
        parts.append(
            f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://pypi.org/simple" }}\n'
            f"{needs}wheels = [\n    {entry},\n]\n"
        )
    parts.append(
        '[[package]]\nname = "notes"\nversion = "0"\nsource = { virtual = "." }\n'
        'dependencies = [{ name = "alpha" }]\n\n[package.metadata]\nrequires-dist = [{ name = "alpha" }]\n'
    )
    return "\n".join(parts).encode()
