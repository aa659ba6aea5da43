"""What accounts of a host lay in the way of what reads it as root."""

import json
import os

from infra.adopt.host import on_host
from tests.adopt import hosts


def test_no_link_that_an_account_laid_is_read_by_root(tmp_path):
    """It could lead to what only root may read."""
    secret, folder = tmp_path / "root-only", tmp_path / "mallory"
    secret.write_text("root:$6$salt$hash")
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    (folder / "c.yml").symlink_to(secret)
    (folder / "away").symlink_to(tmp_path)
    for path in (folder / "c.yml", folder / "away/root-only"):
        os.chown(path if path.is_symlink() else folder / "away", 65534, 65534, follow_symlinks=False)
        asked = {"text": [str(path)], "names": [str(path)], "stat": []}
        found = next(on_host.paths(asked, hosts.mask_secrets))["paths"][str(path)]
        assert "hash" not in json.dumps(found) and on_host._text(str(path), hosts.mask_secrets) is None
    (tmp_path / "own").symlink_to(secret)
    os.chown(tmp_path, 0, 0)
    assert on_host._text(str(tmp_path / "own"), hosts.mask_secrets)
