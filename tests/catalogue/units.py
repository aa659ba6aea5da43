"""Every rule about native units, with an example that breaks it."""

from tests.support import service


def unit(which, section, **values):
    return lambda data: service(data, which)["directives"].setdefault(section, {}).update(values)


def setting(which, **values):
    return lambda data: service(data, which).update(values)


def without(which, section, name):
    return lambda data: service(data, which)["directives"][section].pop(name)


def second_artefact(**values):
    return lambda data: service(data, "whisper-backend")["artefact"][1].update(values)


def one_more_artefact(into):
    return lambda data: service(data, "whisper-backend")["artefact"].append({"repository": "a", "into": into})


# Name → system, what is changed, and what the one line must say
EXAMPLES = {
    "output into a file": (
        "whisper", unit("whisper-backend", "Service", StandardOutput="append:/var/log/whisper.log"),
        "warning: files/systems/whisper.yaml: service whisper-backend: [Service] StandardOutput: append:/var/log/whisper.log grows",
    ),
    "a drain with a socket": ("recall", setting("recall-api", drain=5), "recall-api: has drain with socket: true; must have one of the two"),
    "misspelt": (
        "whisper", unit("whisper-backend", "Service", RestrtSec=3),
        "files/systems/whisper.yaml: service whisper-backend: directives: unknown directive [Service] RestrtSec; did you mean RestartSec?",
    ),
    "wrong section": (
        "whisper", unit("whisper-backend", "Service", After="network.target"),
        "unknown directive [Service] After; it belongs to [Unit]",
    ),
    "unknown section": (
        "whisper", unit("whisper-backend", "Servcie", User="x"), "unknown section [Servcie]; did you mean [Service]?",
    ),
    "not that kind's section": ("whisper", unit("whisper-backend", "Timer", OnCalendar="daily"), "unknown section [Timer]"),
    "bad value": ("whisper", unit("whisper-backend", "Service", Restart="allways"), "[Service] Restart: 'allways'; one of no,"),
    "bad time": ("whisper", unit("whisper-backend", "Service", RestartSec="soon"), "[Service] RestartSec: 'soon'; a time such as"),
    "bad size": ("totton", unit("upsampler", "Service", MemoryMax="2 gigs"), "MemoryMax: '2 gigs'; a size or number"),
    "unit without its ending": ("totton", unit("upsampler", "Unit", After="sound"), "After: 'sound'; unit names with their ending"),
    "nice": ("totton", unit("upsampler", "Service", Nice=-30), "Nice: '-30'; a whole number from -20 to 19"),
    "line break": ("totton", unit("upsampler", "Unit", Description="a\nb"), "a control character"),
    "carriage return": (
        "totton", unit("upsampler", "Service", SyslogIdentifier="x\rNoNewPrivileges=no"), "a control character",
    ),
    "NUL": ("totton", unit("upsampler", "Service", SyslogIdentifier="x\0User=root"), "a control character"),
    "a line that goes on": ("totton", unit("upsampler", "Unit", Description="a \\"), "a control character, or a \\ at the end"),
    "obsolete": (
        "vocoder", unit("vocoder", "Service", MemoryLimit="1G"),
        "[Service] MemoryLimit and [Service] MemoryMax; keep the new name of the same setting",
    ),
    "old control groups": ("vocoder", unit("vocoder", "Service", CPUShares=512), "use CPUWeight, whose values have another meaning"),
    "journald": (
        "totton", lambda data: data["drop_ins"][0]["sections"]["Journal"].update(SystemMaxUsage="1G"),
        "Totton Audio Project.conf: unknown directive [Journal] SystemMaxUsage; did you mean SystemMaxUse?",
    ),
    "drop-in": (
        "vocoder", lambda data: service(data, "vocoder")["drop_ins"]["override"]["Service"].update(Debug=1),
        "service vocoder: drop_ins.override: unknown directive [Service] Debug",
    ),
    "no command": ("whisper", without("whisper-backend", "Service", "ExecStart"), "has no ExecStart; must have the command to run"),
    "timer's name": ("vocoder", setting("vocoder-monitor", unit="vocoder-monitor.service"), "NAME.timer for kind: timer"),
    "no times": ("vocoder", lambda data: service(data, "vocoder-monitor")["directives"].pop("Timer"), "no [Timer]; must have the times when it runs"),
    "oneshot's type": ("totton", unit("gadget", "Service", Type="simple"), "Type=simple; must be Type=oneshot for kind: oneshot"),
    "oneshot that ends": ("totton", unit("gadget", "Service", RemainAfterExit=False), "no RemainAfterExit"),
    "instances of no template": ("vocoder", setting("vocoder", instances=["a"]), "vocoder.service with instances ['a']; must be NAME@.service"),
    "template without instances": ("vocoder", setting("vocoder-instances", instances=[]), "NAME@.service with its running instances"),
    "socket without a port": ("totton", setting("upsampler", socket=True), "socket: true; must be one unit of the system manager, with a port"),
    "nowhere for secrets": ("whisper", setting("whisper-backend", secrets=["KEY"]), "secrets, but no environment_file"),
    "memory twice": ("totton", setting("upsampler", memory={"limit": "1g"}), "memory and MemoryMax; must have one of the two"),
    "room behind a socket": (
        "recall", setting("recall-api", stop_priority=1),
        "service recall-api: has stop_priority: 1 on a unit behind a socket; must have no socket: the next request would start it again",
    ),
    "room and what needs it": (
        "totton", setting("upsampler", stop_priority=1), "stop_priority: 1 on a unit that totton-web needs; must be a unit that no other unit depends on",
    ),
    "room of an unknown size": (
        "totton", setting("gadget", stop_priority=2), "stop_priority: 2, but no memory limit; must have memory: {limit: …}, so that it",
    ),
    "room made by a timer": ("vocoder", setting("vocoder-monitor", stop_priority=1), "stop_priority: 1 on a unit of an account, a template or a timer"),
    "routes without a port": ("recall", setting("recall-api", port=None, socket=False), "has routes but no port"),
    "unknown account": ("whisper", unit("whisper-backend", "Service", User="wisper"), "account 'wisper' is not defined; accounts of the system: root, whisper"),
    "a user unit of no one": ("vocoder", setting("vocoder", account="icy"), "account 'icy' is not defined; accounts of the system: ice, root"),
    "no lingering": ("vocoder", lambda data: data["accounts"][0].update(lingering=False), "account ice does not linger"),
    "a user's sandbox": (
        "vocoder",
        without("vocoder", "Service", "PrivateUsers"),
        "ProtectSystem, ProtectHome in a unit of an account; must have PrivateUsers: yes too",
    ),
    "a directory of no one": ("whisper", lambda data: data["directories"][0].update(owner="x1"), "/opt/whisper: owner 'x1'"),
    "no such file": (
        "whisper", lambda data: service(data, "whisper-backend")["files"][0].update(source="whisper/go.sh"),
        "source 'whisper/go.sh': files/static/whisper/go.sh does not exist; did you mean 'whisper/run.sh'?",
    ),
    "no such key": (
        "whisper", lambda data: service(data, "whisper-backend")["files"][1].update(must_exist=["whisper.modelpath"]),
        "must_exist 'whisper.modelpath' names no path; must be a key of files/static/whisper/config.toml",
    ),
    "no such size": (
        "whisper", lambda data: service(data, "whisper-backend")["routes"][0]["max_body"].update(key="server.port2"),
        "max_body: 'server.port2' of /opt/whisper/config.toml is None; must be a number of bytes",
    ),
    "unit twice": ("vocoder", setting("vocoder-instances", unit="vocoder@.service", instances=["a", "a"]), "unit vocoder@a.service of account ice is already used by vocoder-instances"),
    "two services of one unit": ("totton", setting("totton-web", unit="gpu-upsampler.service"), "gpu-upsampler.service is already used by upsampler"),
    "an environment file that its service can replace": (
        "recall", setting("recall-api", environment_file="/srv/recall/.env"),
        "warning: files/systems/recall.yaml: service recall-api: environment_file /srv/recall/.env lies in /srv/recall, which belongs to recall",
    ),
    "another's unit": ("recall", unit("recall-api", "Unit", Conflicts="ssh.service"), "Conflicts names ssh.service, which belongs to another program"),
    "the proxy's unit": ("recall", setting("recall-api", unit="caddy.service"), "unit caddy.service belongs to another program"),
    "milestone of nothing": ("totton", lambda data: data["milestones"][0].update(unit="x.service"), "milestone USB Gadget Ready: unit x.service"),
    "proved by HTTP in our zone": ("recall", lambda data: data["sites"][0].update(name="r.hey-watch.me"), "is in infra:zone, but proved by HTTP; must be challenge: dns-01"),
    "not our zone": ("whisper", lambda data: data["sites"][0].update(name="whisper.test"), "or challenge: http-01 at the site"),
    "a page and all below another": (
        "recall", lambda data: service(data, "recall-api")["routes"][0].update(internal="/ai"), "public path '/ai/' with internal path '/ai'",
    ),
    "one path of two files": (
        "recall", lambda data: service(data, "recall-api")["files"].append(
            {"path": "/srv/recall/../recall/gunicorn.conf.py", "source": "recall/gunicorn.conf.py"}
        ),
        "file /srv/recall/../recall/gunicorn.conf.py is already defined by service recall-api",
    ),
    "data in an artefact": (
        "whisper", lambda data: data["data"].append("/opt/whisper/models//mine"),
        "data: path /opt/whisper/models/mine lies in the artefact of whisper-backend (/opt/whisper/models); must be another path",
    ),
    "a directory in an artefact's place": (
        "whisper", lambda data: data["directories"].append({"path": "/opt/whisper/models"}),
        "directories: path /opt/whisper/models lies in the artefact of whisper-backend",
    ),
    "an account's home in an artefact": (
        "whisper", one_more_artefact("/opt/whisper"),
        "account whisper: path /opt/whisper lies in the artefact of whisper-backend",
    ),
    "one path of two artefacts": (
        "whisper", one_more_artefact("/opt/whisper/models"),
        "service whisper-backend: file /opt/whisper/models is already defined by service whisper-backend",
    ),
    "an artefact in the host's place": (
        "whisper", second_artefact(into="/usr/bin/models"),
        "path /usr/bin/models belongs to the host or the agent",
    ),
    "an artefact in the agent's place": (
        "whisper", second_artefact(into="/opt/infra/artefacts/mine"),
        "path /opt/infra/artefacts/mine belongs to the host or the agent",
    ),
    "an artefact where a host clears up": (
        "whisper", second_artefact(into="/tmp/models"),
        "path /tmp/models belongs to the host or the agent",
    ),
    "an artefact where the host reads all there is": (
        "whisper", second_artefact(into="/etc/sysctl.d/models"),
        "path /etc/sysctl.d/models belongs to the host or the agent",
    ),
    "an artefact that nothing names": (
        "whisper", second_artefact(into="/opt/whisper/modles"),
        "warning: files/systems/whisper.yaml: service whisper-backend: nothing of whisper refers to a path in the artefact "
        "at /opt/whisper/modles; must name a path in it",
    ),
    "an artefact for all of a directory": (
        "whisper", second_artefact(into="/opt"),
        "path /opt belongs to the host or the agent",
    ),
    "an artefact with an account": (
        "whisper", second_artefact(repository="1.dkr.ecr.eu-west-1.amazonaws.com/a"),
        "image repository '1.dkr.ecr.eu-west-1.amazonaws.com/a'; must be the name of an own repository",
    ),
    "an artefact by tag and digest": (
        "whisper", second_artefact(tag="1", digest=f"sha256:{'a' * 64}"),
        "whisper-models has a tag and a digest; must have one of the two",
    ),
    "an environment without its lock": (
        "recall", setting("recall-api", artefact=[], python={"lock": "recall/python", "into": "/srv/recall/venv"}),
        "service recall-api: python: source 'recall/python/pyproject.toml': files/static/recall/python/pyproject.toml does not exist",
    ),
    "a lock in no artefact": (
        "recall", setting("recall-api", python={"lock": "/srv/recall/deploy", "into": "/srv/recall/env"}),
        "python: lock /srv/recall/deploy is in no artefact; must be a folder below files/static/, or a path in an artefact "
        "(artefacts of recall: /srv/recall/venv, /srv/recall/backend)",
    ),
    "an environment that nothing names": (
        "recall", setting("recall-api", python={"lock": "/srv/recall/backend", "into": "/srv/recall/env"}),
        "warning: files/systems/recall.yaml: service recall-api: nothing of recall names a path in the environment at "
        "/srv/recall/env; must name a path in it, such as /srv/recall/env/bin/python in ExecStart",
    ),
    "an environment in an artefact": (
        "recall", setting("recall-api", python={"lock": "/srv/recall/backend", "into": "/srv/recall/backend/venv"}),
        "path /srv/recall/backend/venv lies in the artefact of recall-api (/srv/recall/backend)",
    ),
    "an environment at a program's place": (
        "recall", setting("recall-api", python={"lock": "/srv/recall/backend", "into": "/usr/bin/venv"}),
        "path /usr/bin/venv belongs to the host or the agent",
    ),
    "one name in two systems": (
        "recall", setting("recall-api", name="whisper-backend"),
        "service whisper-backend: files/systems/whisper.yaml has a service of this name on host services too",
    ),
}  # fmt: skip
