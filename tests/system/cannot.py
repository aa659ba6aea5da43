"""Can this machine run the lab?"""

import os
import platform
import shutil

from lab.run import succeeds


def reason_why_not() -> str | None:
    """None when the lab can run here; else why not, in one line."""
    if platform.system() != "Linux":
        return f"the lab's hosts are Linux containers, this is {platform.system()}"
    if os.geteuid() != 0:
        return "needs root (`make test` takes it by sudo, where that asks for no password)"
    if not shutil.which("apt-get"):
        return "needs Debian's packages, and there is no apt-get"
    if not succeeds("docker", "info") and not succeeds("unshare", "--mount", "true"):
        return "Docker does not answer, and mounts are not permitted, so that none can be started here"
    return None
