"""What runs on a host before anything that is sent there: it marks each line of the answer, so that whatever a login
shell prints on the same standard output is noise. It is run by the host's python3, with `mark` and `said` in its
globals."""

import io
import json
import os
import runpy
import sys

AGENT = "/var/lib/infra/bin"


class MarkedLines(io.TextIOBase):
    """Writes whole lines to `out`, each after the mark and a space."""

    def __init__(self, out, mark):
        self.out, self.mark, self.rest = out, mark, ""

    def write(self, text):
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.out.write(self.mark + " " + line + "\n")
        return len(text)

    def flush(self):
        self.out.flush()


sys.stdout = MarkedLines(sys.stdout, mark)
payload = said["payload"]
if said["program"] is not None:
    exec(said["program"])
elif not os.path.exists(AGENT) and said["name"] in ("follow", "answer"):
    # Without an agent there is no job
    print(json.dumps({"gone": True}), flush=True)
elif not os.path.exists(AGENT):
    sys.exit("no release was brought to this host yet: pulumi up")
else:
    sys.argv = [AGENT, said["name"]]
    sys.stdin = io.StringIO(json.dumps(payload))
    runpy.run_path(AGENT, run_name="__main__")
