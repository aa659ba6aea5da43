"""Each rule with facts that break it and facts that keep it."""

from dataclasses import replace

import pytest

from policy import host_rules, rules
from policy.facts import Facts, Resource
from tests import secret_names
from tests.policy.limits import LIMITS
from tests.policy.resources import machine, of, opening, policy_for
from tests.support import whole

COMPOSE = "services:\n  api:\n    ports:\n    - {}\n"
UNIT = "[Service]\nNoNewPrivileges=true\nPrivateTmp=true\nProtectSystem=full\n{}"
WHISPER = "/etc/systemd/system/whisper-backend.service"
PATHS = "ReadWritePaths=/opt/whisper/models /opt/whisper/temp /opt/whisper/uploads\n"


def files(path: str, text: str) -> Facts:
    return Facts("prod", files={"watchme": {path: text}}, limits=LIMITS)


# rule, facts that break it, what is said; facts that keep it
EXAMPLES = {
    "ssh": (rules.ssh_open, opening("0.0.0.0/0"), "SSH is open to all of the internet", opening("198.18.0.0/16")),
    "ssh in a range": (rules.ssh_open, opening("0.0.0.0/0", 0, toPort=1024), "open to all of the internet", opening("0.0.0.0/0", 443)),
    "ssh by every protocol": (rules.ssh_open, opening("0.0.0.0/0", 0, ipProtocol="-1"), "open to", opening("0.0.0.0/0", 80)),
    "ssh over IPv6": (rules.ssh_open, opening("", cidrIpv6="::/0"), "open to", opening("", cidrIpv6="2001:db8::/32")),
    "ssh in the group itself": (
        rules.ssh_open,
        of(rules.GROUPS[0], {"ingress": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrBlocks": ["0.0.0.0/0"]}]}),
        "open to all of the internet",
        of(rules.GROUPS[0], {"ingress": []}),
    ),
    "ssh over IPv6 in the group itself": (
        rules.ssh_open,
        of(rules.GROUPS[0], {"ingress": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "ipv6CidrBlocks": ["::/0"]}]}),
        "open to all of the internet",
        of(rules.GROUPS[0], {"ingress": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "ipv6CidrBlocks": ["2001:db8::/32"]}]}),
    ),
    "ssh by a rule of the old kind": (
        rules.ssh_open,
        of(rules.OLD_RULE, {"type": "ingress", "fromPort": 0, "toPort": 65535, "protocol": "tcp", "cidrBlocks": ["0.0.0.0/0"]}),
        "open to all of the internet",
        of(rules.OLD_RULE, {"type": "egress", "fromPort": 0, "toPort": 65535, "protocol": "tcp", "cidrBlocks": ["0.0.0.0/0"]}),
    ),
    "a user's policy that is too long": (
        rules.policy_sizes,
        of("aws:iam/userPolicy:UserPolicy", {"user": "u", "policy": "x" * 2049 + " " * 100}),
        "its inline policies have 2049 characters; AWS allows 2048 for a user",
        of("aws:iam/userPolicy:UserPolicy", {"user": "u", "policy": "x" * 2048 + " " * 100}),
    ),
    "a role's policy that is too long": (
        rules.policy_sizes,
        of("aws:iam/rolePolicy:RolePolicy", {"role": "r", "policy": "x" * 10241}),
        "AWS allows 10240 for a role",
        of("aws:iam/rolePolicy:RolePolicy", {"role": "r", "policy": "x" * 10240}),
    ),
    "a second disk in the clear": (rules.volumes, machine(ebsBlockDevices=[{"deviceName": "/dev/sdf"}]), "its disk /dev/sdf is not", machine()),
    "a volume in the clear": (
        rules.volumes,
        of("aws:ebs/volume:Volume", {}),
        "is not encrypted",
        of("aws:ebs/volume:Volume", {"encrypted": True}),
    ),
    "a repository for all among others": (
        rules.public_registry,
        of("aws:ecr/repositoryPolicy:RepositoryPolicy", {"policy": policy_for('{"AWS": ["arn:aws:iam::1:root", "*"]}')}),
        "anyone can pull",
        of("aws:ecr/repositoryPolicy:RepositoryPolicy", {"policy": policy_for('{"AWS": ["arn:aws:iam::1:root"]}')}),
    ),
    "no price": (rules.budget, machine(), "warning: budget: prod: its monthly cost is unknown", replace(machine(), monthly=1.0)),
    "hardening that is taken back": (
        rules.hardening,
        files(f"{WHISPER}", UNIT.format(PATHS) + "NoNewPrivileges=no\n"),
        "lacks NoNewPrivileges=true",
        files(f"{WHISPER}", "NoNewPrivileges=no\n" + UNIT.format(PATHS)),
    ),
    "hardening that a drop-in takes back": (
        rules.hardening,
        Facts("prod", files={"h": {WHISPER: UNIT.format(PATHS), f"{WHISPER}.d/x.conf": "[Service]\nPrivateTmp=false\n"}}),
        "lacks PrivateTmp=true",
        Facts("prod", files={"h": {WHISPER: UNIT.format(PATHS), f"{WHISPER}.d/x.conf": "[Service]\nNice=5\n"}}),
    ),
    "metadata": (rules.imdsv1, machine(metadataOptions={"httpTokens": "optional"}), "without a token", machine()),
    "disk in the clear": (rules.volumes, machine(rootBlockDevice={"volumeSize": 30}), "is not encrypted", machine()),
    "disk as it came": (rules.volumes, machine(rootBlockDevice={"encrypted": True, "volumeSize": 8}), "its disk has 8 GiB; use at least 20", machine()),
    "a disk that shrinks": (
        rules.shrinking,
        replace(machine(), shrinking={"m": (30, 20)}),
        "its disk would shrink from 30 to 20 GiB, which AWS refuses",
        machine(),
    ),
    "a secret in the catalogue": (
        rules.plain_secrets,
        Facts("prod", plain={"h:/x.env": ["COLOUR", "STRIPE_API_KEY"]}),
        "STRIPE_API_KEY is in plain text in the catalogue",
        Facts("prod", plain={"h:/x.env": ["COLOUR", "KEYBOARD"]}),
    ),
    "a password's short name in the catalogue": (
        rules.plain_secrets,
        Facts("prod", plain={"h:/x.env": ["DB_PASS", "SMTP_PASS"]}),
        "SMTP_PASS is in plain text in the catalogue",
        Facts("prod", plain={"h:/x.env": ["BYPASS", "PASSIVE"]}),
    ),
    "a public repository": (
        rules.public_registry,
        of("aws:ecrpublic/repository:Repository", {}),
        "anyone can pull",
        of(rules.REPOSITORY, {}),
    ),
    "a repository for all": (
        rules.public_registry,
        of("aws:ecr/repositoryPolicy:RepositoryPolicy", {"policy": policy_for('"*"')}),
        "anyone can pull",
        of("aws:ecr/repositoryPolicy:RepositoryPolicy", {"policy": policy_for('{"AWS": "arn:aws:iam::1:root"}')}),
    ),
    "unscanned": (
        rules.unscanned,
        of(rules.REPOSITORY, {"imageScanningConfiguration": {"scanOnPush": False}}),
        "are not scanned",
        of(rules.REPOSITORY, {"imageScanningConfiguration": {"scanOnPush": True}}),
    ),
    "tags": (rules.tags, machine(tags={"project": "infra"}), "no tag stack, system", machine()),
    "protection": (rules.protection, machine(disableApiTermination=False), "can be terminated by mistake", machine()),
    "instance type": (rules.instance_types, machine(instanceType="p5.48xlarge"), "p5.48xlarge is not supported", machine()),
    "budget": (rules.budget, replace(machine(), monthly=300.01), "$300.01 per month is above the budget", replace(machine(), monthly=300.0)),
    "port": (rules.ports, files("/srv/c.yml", COMPOSE.format("8017:8017")), "port 8017:8017 of api is not bound to loopback", files("/srv/c.yml", COMPOSE.format("127.0.0.1:8017:8017"))),
    "port of any address": (rules.ports, files("/srv/c.yml", COMPOSE.format("0.0.0.0:80:80")), "not bound to loopback", files("/srv/c.yml", "colour: red\n")),
    "port in the long form": (
        rules.ports,
        files("/srv/c.yml", COMPOSE.format("{published: 80, target: 80}")),
        "not bound to loopback",
        files("/srv/c.yml", COMPOSE.format("{host_ip: 127.0.0.1, published: 80, target: 80}")),
    ),
    "ssh from half the world": (rules.ssh_open, opening("0.0.0.0/1"), "all of the internet, or almost", opening("198.18.0.0/16")),
    "ssh from half the world over IPv6": (rules.ssh_open, opening("", cidrIpv6="::/1"), "all of the internet, or almost", opening("", cidrIpv6="2001:db8::/32")),
    "ssh from the world, written another way": (rules.ssh_open, opening("", cidrIpv6="0::/0"), "all of the internet, or almost", opening("", cidrIpv6="2400::/16")),
    "ssh from networks that are the world together": (
        rules.ssh_open,
        of(rules.GROUPS[0], {"ingress": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrBlocks": [f"{n}.0.0.0/8" for n in (1, 2)]}]}),
        "all of the internet, or almost",
        of(rules.GROUPS[0], {"ingress": [{"fromPort": 22, "toPort": 22, "protocol": "tcp", "cidrBlocks": ["10.0.0.0/8", "8.0.0.0/8"]}]}),
    ),
    "ssh from two rules of a group": (
        rules.ssh_open,
        Facts("prod", [Resource(rules.OPENING, n, {"fromPort": 22, "toPort": 22, "ipProtocol": "tcp", "cidrIpv4": f"{n}.0.0.0/8", "securityGroupId": "sg"}) for n in "12"]),
        "ssh-open: sg: SSH is open to all of the internet",
        Facts("prod", [Resource(rules.OPENING, n, {"fromPort": 22, "toPort": 22, "ipProtocol": "tcp", "cidrIpv4": f"{n}.0.0.0/9", "securityGroupId": "sg"}) for n in "12"]),
    ),
    "ssh from two groups together": (
        rules.ssh_open,
        Facts("prod", [Resource(rules.OPENING, n, {"fromPort": 22, "toPort": 22, "ipProtocol": "tcp", "cidrIpv4": f"{n}.0.0.0/8", "securityGroupId": f"sg-{n}"}) for n in "12"]),
        "ssh-open: sg-1 and sg-2: SSH is open to all of the internet",
        Facts("prod", [Resource(rules.OPENING, n, {"fromPort": 22, "toPort": 22, "ipProtocol": "tcp", "cidrIpv4": "1.0.0.0/9", "securityGroupId": n}) for n in "12"]),
    ),
    "ssh from no network": (rules.ssh_open, opening("any"), "'any', which is no network", opening("198.18.0.1")),
    "the host's own network": (rules.ports, files("/srv/c.yml", "services: {a: {network_mode: host}}"), "a uses the host's network", files("/srv/c.yml", "services: {a: {network_mode: bridge}}")),
    "a port that is allowed to another": (
        rules.ports, replace(files("/srv/c.yml", COMPOSE.format("8025:8025")), exceptions={"h:/srv/c.yml web": {"public-ports": "x"}}), "port 8025:8025 of api is not bound to loopback",
        replace(files("/srv/c.yml", COMPOSE.format("8025:8025")), exceptions={"watchme:/srv/c.yml api": {"public-ports": "x"}}),
    ),
    "all rights": (rules.ports, files("/c.yml", "services: {a: {privileged: true}}"), "container-reach: watchme:/c.yml: a is privileged", files("/c.yml", "services: {a: {privileged: false}}")),
    "the host's processes": (rules.ports, files("/c.yml", "services: {a: {pid: host}}"), "a has pid: host", files("/c.yml", "services: {a: {ipc: private}}")),
    "Docker's socket": (rules.ports, files("/c.yml", 'services: {a: {volumes: ["/var/run/docker.sock:/d:ro"]}}'), "a mounts Docker's socket", files("/c.yml", "services: {a: {volumes: [x:/y]}}")),
    "Docker's socket at length": (rules.ports, files("/c.yml", "services: {a: {volumes: [{type: bind, source: /run/docker.sock, target: /d}]}}"), "a mounts Docker's socket", files("/c.yml", "services: {a: {volumes: [{type: tmpfs, target: /d}]}}")),
    "a capability of the host's": (rules.ports, files("/c.yml", "services: {a: {cap_add: [CAP_SYS_ADMIN]}}"), "a has cap_add: CAP_SYS_ADMIN", files("/c.yml", "services: {a: {cap_add: [NET_ADMIN]}}")),
    "a directory with its socket": (rules.ports, files("/c.yml", 'services: {a: {volumes: ["/:/host:ro"]}}'), "a mounts Docker's socket", files("/c.yml", 'services: {a: {volumes: ["/runner:/r"], cap_add: 3}}')),
    "a capability as a text": (rules.ports, files("/c.yml", "services: {a: {cap_add: SYS_ADMIN}}"), "a has cap_add: SYS_ADMIN", files("/c.yml", "services: {web: {volumes: 3, security_opt: 1}}")),
    "no profile": (rules.ports, files("/c.yml", 'services: {a: {security_opt: ["seccomp:unconfined"]}}'), "a has security_opt", files("/c.yml", "services: {a: {security_opt: [no-new-privileges]}}")),
    "what is allowed": (
        rules.exceptions, Facts("prod", exceptions={"h:/c.yml a": {"privileged": "web: all rights (why)"}}),
        "warning: exception: h:/c.yml: privileged: web: all rights (why); remove it once it is not needed", Facts("prod"),
    ),
    "a port in JSON": (rules.ports, files("/srv/c.json", '{"services":{"a":{"ports":["80:80"]}}}'), "port 80:80 of a", files("/srv/c.json", "[1]")),
    "a port of a unit's container": (rules.ports, files("/x.service", "[Service]\nExecStart=/usr/bin/docker run -p 80:80 \\\n a\n"), "port 80:80 is not bound to loopback", files("/x.service", "[Service]\nExecStart=/usr/bin/docker run -p 127.0.0.1:80:80 a\n")),
    "a unit's container in the host's network": (rules.ports, files("/x.service", "[Service]\nExecStart=docker run --network=host a\n"), "--network host", files("/x.service", "[Service]\nExecStart=/usr/bin/curl -p 80:80\n")),
    "all ports of a unit's container": (rules.ports, files("/x.service.d/y.conf", "[Service]\nExecStart=-docker run -P a\n"), "(-P)", files("/x.service", "[Unit]\nExecStart=docker run -P a\n")),
    "ports that compose overrides": (rules.ports, files("/c.yml", 'services: {a: {ports: !override ["80:80"]}}'), "cannot be read", files("/c.yml", "a: !x 1")),
    "two documents": (rules.ports, files("/c.yml", 'x: 1\n---\nservices: {a: {ports: ["80:80"]}}'), "cannot be read", files("/c.yml", "x: 1\n---\ny: 1")),
    "a port that is no list": (rules.ports, files("/c.yml", "services: {a: {ports: 80}}"), "port 80 of a", files("/c.yml", "services: {a: {ports: null}}")),
    "the host's network by another name": (
        rules.ports,
        files("/c.yml", "networks: {h: {external: true, name: host}}\nservices: {}"),
        "network h is the host's, or bypasses",
        files("/c.yml", "networks: {h: {external: true, name: web}}\nservices: {}"),
    ),
    "a network mode that a variable decides": (rules.ports, files("/c.yml", 'services: {a: {network_mode: "${M:-host}"}}'), "network_mode: ${M:-host}", files("/c.yml", "services: {a: {}}")),
    "a port without a space": (rules.ports, files("/x.service", "[Service]\nExecStart=docker run -p80:80 a\n"), "port 80:80", files("/x.service", "[Service]\nExecStart=docker run --rm img server -p 8080\n")),
    "a port among short options": (rules.ports, files("/x.service", "[Service]\nExecStart=docker run -dp 80:80 a\n"), "port 80:80", files("/x.service", "[Service]\nExecStart=docker exec db mysqldump -p secret\n")),
    "a port in a shell's command": (rules.ports, files("/x.service", '[Service]\nExecStart=/bin/sh -c "docker run -p 80:80 a"\n'), "port 80:80", files("/x.service", "[Service]\nExecStart=docker compose -p web up\n")),
    "a port behind env": (rules.ports, files("/x.service", "[Service]\nExecStart=/usr/bin/env A=1 B=2 C=3 docker run --name a -p 80:80 a\n"), "port 80:80", files("/c.yml", 'services: {a: {ports: [{host_ip: "::1", published: 80, target: 80}]}}')),
    "hardening that is widened": (
        rules.hardening,
        files(WHISPER, UNIT.format("ReadWritePaths=/\n" + PATHS)),
        "lacks ReadWritePaths",
        files(WHISPER, UNIT.format("ReadWritePaths=/\nReadWritePaths=\n" + PATHS).replace("ProtectSystem=full", "ProtectSystem=strict")),
    ),
    "a command outside its unit's protection": (
        rules.hardening,
        files(WHISPER, UNIT.format(PATHS) + "ExecStartPre=+/bin/x\n"),
        "any protection of +/bin/x",
        files(WHISPER, UNIT.format(PATHS) + "ExecStartPre=-/bin/x +y\n"),
    ),
    "hardening undone by a control drop-in": (
        rules.hardening,
        Facts("prod", files={"h": {WHISPER: UNIT.format(PATHS), "/etc/systemd/system.control/whisper-backend.service.d/50.conf": "[Service]\nPrivateTmp=no\n"}}),
        "lacks PrivateTmp=true",
        files(WHISPER, UNIT.format(PATHS).replace("PrivateTmp=true", "PrivateTmp=y")),
    ),
    "hardening behind a form feed": (
        rules.hardening,
        files(WHISPER, UNIT.format(PATHS).replace("PrivateTmp=true", "# x\x0cPrivateTmp=true")),
        "lacks PrivateTmp=true",
        files(WHISPER, UNIT.format(PATHS)),
    ),
    "hardening in the wrong section": (
        rules.hardening,
        files(WHISPER, UNIT.format(PATHS).replace("[Service]", "[Unit]")),
        "lacks NoNewPrivileges=true",
        files(WHISPER, "[Unit]\nNoNewPrivileges=no\n" + UNIT.format(PATHS)),
    ),
    "hardening undone for all services": (
        rules.hardening,
        Facts("prod", files={"h": {WHISPER: UNIT.format(PATHS), "/etc/systemd/system/service.d/x.conf": "[Service]\nPrivateTmp=no\n"}}),
        "lacks PrivateTmp=true",
        Facts("prod", files={"h": {WHISPER: UNIT.format(PATHS), "/etc/systemd/system/timer.d/x.conf": "[Service]\nPrivateTmp=no\n"}}),
    ),
    "hardening undone by the first part of a name": (
        rules.hardening,
        Facts("prod", files={"h": {WHISPER: UNIT.format(PATHS), "/run/systemd/system/whisper-.service.d/x.conf": "[Service]\nPrivateTmp=no\n"}}),
        "lacks PrivateTmp=true",
        Facts("prod", files={"h": {WHISPER: UNIT.format(PATHS), "/etc/systemd/user/service.d/x.conf": "[Service]\nPrivateTmp=no\n"}}),
    ),
    "hardening in a comment": (
        rules.hardening,
        files(WHISPER, UNIT.format("#" + PATHS)),
        "lacks ReadWritePaths",
        files(WHISPER, UNIT.format("#\\\n" + PATHS)),
    ),
    "a permission for everything": (
        rules.permissions,
        of("aws:iam/rolePolicy:RolePolicy", {"policy": '{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'}),
        "allows * on all resources",
        of("aws:iam/rolePolicy:RolePolicy", {"policy": '{"Statement":{"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}}'}),
    ),
    "a secret in a unit": (
        rules.plain_secrets,
        files("/etc/systemd/system/a.service", "[Service]\nEnvironment=DB_PASSWORD=hunter2\n"),
        "Environment=DB_PASSWORD=… is in plain text",
        files("/etc/systemd/system/a.service", "[Service]\nEnvironment=COLOUR=red\n"),
    ),
    "a secret in a compose file": (
        rules.plain_secrets,
        files("/srv/c.yml", "services:\n  a:\n    environment:\n      OPENAI_API_KEY: sk-live-0123456789abcdef\n"),
        "OPENAI_API_KEY: … is in plain text",
        files("/srv/c.yml", "services:\n  a:\n    environment:\n      MODE: fast\n"),
    ),
    "a secret in an argument": (
        rules.plain_secrets,
        files("/x.service", "[Service]\nExecStart=/usr/bin/a --token hunter2\n"),
        "--token …",
        files("/x.service", "[Service]\nExecStart=/usr/bin/a --token-file /run/x\n"),
    ),
    "a secret in a header": (
        rules.plain_secrets,
        files("/etc/nginx/sites-enabled/a", "proxy_set_header Authorization hunter2;\n"),
        "proxy_set_header Authorization …",
        files("/etc/nginx/sites-enabled/a", "proxy_set_header Authorization $http_authorization;\n"),
    ),
    "a secret in a value of an environment file": (
        rules.plain_secrets,
        Facts("prod", plain={"h:/x.env": ["DATABASE"]}, files={"h": {"/x.env": "DATABASE=postgres://me:hunter2@db/x\n"}}),
        "DATABASE is in plain text",
        Facts("prod", plain={"h:/x.env": ["COLOUR"]}, files={"h": {"/x.env": "COLOUR=red\nTOKEN=[secret 0123456789abcdef]\n"}}),
    ),
    "a key in a published file": (
        rules.plain_secrets,
        files("/var/www/infra/a.example/static-0/a.js", "const key = 'AKIA0123456789ABCDEF';\n"),
        "const key = '…'; is in plain text",
        files("/var/www/infra/a.example/static-0/a.js", "const token = getToken(); const password = 'Passwort';\n" + "x=1;" * 3000),
    ),
    "a secret that a preview has hidden already": (
        rules.plain_secrets,
        files("/x.conf", "password=[secret 0123456789ab]\n"),
        "password=… is in plain text",
        files("/x.conf", "port=80\n"),
    ),
    "hardening": (
        rules.hardening,
        files("/etc/systemd/system/whisper-backend.service", UNIT.format("")),
        f"lacks {PATHS.strip()}; its document requires it (WhisperBackendAPI",
        files("/etc/systemd/system/whisper-backend.service", UNIT.format(PATHS).replace("=true", "=yes")),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "broken", "said", "kept"), EXAMPLES.values(), ids=EXAMPLES)
def test_rule(rule, broken, said, kept):
    assert said in "\n".join(map(str, rule(broken)))
    assert list(rule(kept)) == []


def test_every_rule_has_an_example():
    assert {rule for rule, *_ in EXAMPLES.values()} == set(rules.RULES)


def test_an_unprotected_stack_needs_no_protection():
    made = replace(machine(disableApiTermination=False), limits=replace(LIMITS, protected=False))
    assert rules.findings(replace(made, monthly=1.0)) == []


def test_the_documents_units_are_known_and_kept_by_this_projects_own():
    """All five systems' hosts, as they are rendered."""
    from rendering.host import render

    catalogue = whole()
    rendered = {
        host: {f.path: f.content.decode() for f in render(catalogue, host).files} for host in catalogue.stack.hosts
    }
    names = {path.rsplit("/", 1)[1] for host in rendered.values() for path in host}
    assert set(host_rules.hardening_document()) <= names
    assert list(rules.hardening(Facts("lab", files=rendered))) == []
    assert list(rules.ports(Facts("lab", files=rendered))) == []


def test_no_finding_shows_the_secret():
    broken = [facts for rule, facts, *_ in EXAMPLES.values() if rule is rules.plain_secrets]
    text = "".join(str(finding) for facts in broken for finding in rules.plain_secrets(facts))
    assert "hunter2" not in text and "0123456789abcdef" not in text


def test_secret_names_are_recognised():
    named = {
        finding.found.split()[0]
        for finding in rules.plain_secrets(Facts("prod", plain={"h:/x.env": secret_names.SECRET}))
    }
    assert named == set(secret_names.SECRET)
    assert list(rules.plain_secrets(Facts("prod", plain={"h:/x.env": secret_names.PLAIN}))) == []


@pytest.mark.parametrize(("value", "count"), [("plain", 0), ("plain\npassword = hunter2", 1)])
def test_storage_format_of_a_password_file_is_no_secret(value, count):
    """A preview hides it all the same."""
    text = f"[auth]\ntype = htpasswd\nhtpasswd_filename = /run/x/users\nhtpasswd_encryption = {value}\n"
    assert len(list(rules.plain_secrets(Facts("prod", files={"h": {"/etc/x/config": text}})))) == count
