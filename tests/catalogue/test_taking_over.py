"""A product takes over nothing that a host, its packages or the agent have, and makes nothing twice."""

import pytest

from catalogue.checks import check
from catalogue.host import SshHost
from catalogue.problems import CatalogueError
from catalogue.rules.units import is_of_the_host
from rendering.host import render
from tests.catalogue.changes import configured, networked, setting
from tests.catalogue.units import setting as native
from tests.catalogue.units import unit
from tests.support import HOME, catalogue, changed, service, whole

REFUSED = (CatalogueError, ValueError)


def problems(system, change) -> str:
    return "\n".join(map(str, check(changed(whole(), system, change))))


SYSTEM_UNITS = [
    "ssh.service", "sshd.service", "infra-recover.service", "infra-monitor.timer", "systemd-networkd.service", "dbus.service",
    "getty@tty1.service", "user@1000.service", "docker.service", "apt-daily.timer", "cron.service", "cloud-init.service",
]  # fmt: skip
OWN_UNITS = [
    "user-api.service",
    "cloud-api.service",
    "network-monitor.service",
    "docker-app.service",
    "sshd-proxy.service",
]


@pytest.mark.parametrize("name", SYSTEM_UNITS)
def test_a_unit_of_the_host_is_no_services(name):
    assert f"unit {name} belongs to another program" in problems(
        "recall", native("recall-api", unit=name, socket=False)
    )
    assert f"unit {name} belongs to another program" in problems(
        "watchme", lambda data: data["network"].update(unit=name)
    )
    assert f"Conflicts names {name}" in problems("recall", unit("recall-api", "Unit", Conflicts=f"a.service {name}"))
    assert f"Alias names {name}" in problems("recall", unit("recall-api", "Install", Alias=name))


@pytest.mark.parametrize("name", OWN_UNITS)
def test_product_unit_may_share_a_prefix_with_a_host_unit(name):
    assert not is_of_the_host(name)


@pytest.mark.parametrize("name", ["--now.service", "..service", "-x.service", "@.service", ".x.service"])
def test_a_unit_is_no_option_and_no_hidden_file(name):
    with pytest.raises(REFUSED, match="unit"):
        catalogue(setting("admin", unit=name))


TAKEN_OVER = {
    "monitor_names": ["/usr/bin/sudo", "/etc/shadow", "/sbin/init", "/usr/../etc/passwd"],
    "directories": ["/etc", "/usr", "/root", "/tmp", "/home", "/var/lib", "/etc/systemd/system", "/srv/", "//opt"],
    "data": ["/etc", "/home", "/var", "/var/lib/docker"],
    "files": [
        "/etc/systemd/system/ssh.service", "/etc/systemd/system/ssh.service.d/x.conf", "/var/spool/cron/crontabs/root",
        "/root/.aws/credentials", "/etc/ld.so.conf.d/x", "/etc/polkit-1/rules.d/x", "/srv/recall/.ssh/authorized_keys",
        "/etc/nginx/nginx.conf", "/etc/caddy/Caddyfile", "/etc/profile.d/x.sh", "/etc/apt/apt.conf.d/x", "/etc/hosts",
        "/etc/docker/daemon.json", "/etc/tmpfiles.d/x.conf", "/etc/sysusers.d/x.conf", "/etc/environment.d/x.conf",
        "/etc/binfmt.d/x.conf", "/etc/apparmor.d/x", "/etc/kernel/postinst.d/x", "/etc/nftables.conf",
        "/etc/systemd/system.conf.d/x.conf", "/etc/systemd/resolved.conf", "/etc/systemd/network/x.network", "/tmp/x",
        "/var/tmp/x", "/usr/local/lib/systemd/system/ssh.service", "/usr/local/lib/python3.11/dist-packages/x.pth",
        "/home/ice/.config/systemd/user/x.service", "/home/ice/.bashrc", "/srv/recall/.profile",
        "/usr/local/bin/python3", "/usr/local/bin/docker", "/usr/local/sbin/sudo", "/usr/local/bin/docker-compose",
        "/usr/local/sbin/prepare-host", "/usr/local/sbin/mkswap", "/usr/local/sbin/fallocate", "/usr/local/bin/grep",
        "/etc/hosts.deny", "/etc/pam.conf", "/etc/anacrontab", "/etc/needrestart/x", "/etc/python3/x", "/etc/python3.11/x",
        "/etc/initramfs-tools/hooks/x", "/etc/ssl/openssl.cnf", "/etc/ssl/certs/ca-certificates.crt", "/etc/gitconfig",
        "/etc/cloud/x", "/etc/dhcp/x", "/etc/default/ssh", "/etc/default/grub", "/etc/sysctl.conf", "/etc/debconf.conf",
        "/usr/share/polkit-1/rules.d/x", "/usr/libexec/x", "/usr/share/x", "/usr/local/lib/libssl.so.3",
        "/usr/local/lib/sysctl.d/x", "/usr/local/share/dbus-1/x", "/usr/x", "/var/lib/snapd/x", "/var/lib/caddy/x",
    ],
}  # fmt: skip
NOT_ROOTS = [
    "/usr/local/bin/recall", "/usr/local/sbin/recall", "/etc/update-motd.d/x", "/etc/udev/rules.d/x.rules", "/etc/modprobe.d/x",
    "/etc/sysctl.d/x.conf", "/etc/default/recall", "/etc/logrotate.d/recall", "/etc/systemd/journald.conf.d/x.conf",
    "/etc/recall.conf", "/etc/supervisor/conf.d/x.conf", "/usr/local/share/ca-certificates/x.crt",
]  # fmt: skip


@pytest.mark.parametrize("given", [{"owner": "recall"}, {"mode": "0666"}, {"mode": "0664", "group": "recall"}, {}])
@pytest.mark.parametrize("path", NOT_ROOTS)
def test_files_that_the_host_uses_as_root_must_belong_to_root(path, given):
    def change(data):
        file = {"path": path, "source": "recall/gunicorn.conf.py", **given}
        service(data, "recall-api")["files"].append(file)

    said = f"path {path} is read or run by the host as root, but others may write it"
    assert (said in problems("recall", change)) == bool(given)


@pytest.mark.parametrize("path", ["/etc/udev/rules.d", "/etc/default/recall", "/usr/local/bin/x", "/etc/recall.d"])
def test_directory_that_root_reads_must_belong_to_root(path):
    said = f"directories: path {path} is read or run by the host as root"
    assert said in problems("recall", lambda data: data["directories"].append({"path": path, "owner": "recall"}))


@pytest.mark.parametrize(("field", "path"), [(field, path) for field, paths in TAKEN_OVER.items() for path in paths])
def test_a_path_of_the_host_is_taken_over_by_nothing(field, path):
    def change(data):
        entry = {"path": path.rstrip("/") if path != "//opt" else path, "source": "recall/gunicorn.conf.py"}
        if field == "files":
            service(data, "recall-api")["files"].append(entry)
        elif field == "directories":
            data["directories"] = [{"path": entry["path"]}]
        else:
            data[field] = [entry["path"]]

    assert "belongs to the host or the agent" in problems("recall", change)


def test_an_accounts_home_is_no_directory_of_the_host():
    assert "account recall: path /etc belongs to the host" in problems(
        "recall", lambda data: data["accounts"][0].update(home="/etc")
    )


@pytest.mark.parametrize("name", ["openssh-server-", "wget-", "-y", "a b", "x;y"])
def test_package_name_that_apt_takes_for_a_removal_is_refused(name):
    with pytest.raises(REFUSED, match="packages"):
        changed(whole(), "recall", lambda data: data.update(packages=[name]))


def test_a_packages_name_may_end_in_a_plus():
    changed(whole(), "recall", lambda data: data.update(packages=["g++", "libstdc++6"]))


@pytest.mark.parametrize("name", ["host", "bridge", "none", "default"])
def test_a_network_of_dockers_is_no_systems(name):
    assert f"the name {name} is reserved by Docker" in problems(
        "watchme", lambda data: data["network"].update(name=name)
    )


@pytest.mark.parametrize("subnet", ["0.0.0.0/0", "8.8.8.0/24", "10.0.0.0/7", "172.27.0.0/30"])
def test_a_subnet_is_private_and_no_more_than_a_network(subnet):
    assert f"its subnet is {subnet}; a private subnet" in problems("watchme", networked(subnet))


def test_two_hosts_are_two_machines():
    hosts = {"a": HOME | {"systems": ["totton"]}, "b": HOME | {"systems": ["vocoder"]}}
    made = catalogue(
        config=configured(
            hosts=hosts | {"watchme": HOME | {"address": "192.0.2.8", "port": 443, "systems": ["watchme"]}}
        )
    )
    found = "\n".join(map(str, check(made)))
    assert "infra:hosts.b: address 192.0.2.7, port 22, is already used by host a" in found
    assert "infra:hosts.watchme: SSH listens on port 443, which the proxy uses" in found


TWICE = {
    "the monitor's unit": (native("recall-api", unit="infra-monitor.service", socket=False), "path /etc/systemd/system/infra-monitor.service"),
    "a unit and a file": (
        lambda data: service(data, "recall-api")["files"].append({"path": "/etc/systemd/system/recall-api.service", "source": "recall/gunicorn.conf.py"}),
        "path /etc/systemd/system/recall-api.service",
    ),
    "a site and a file": (
        lambda data: service(data, "recall-api")["files"].append({"path": "/etc/nginx//sites-available/example.com", "source": "recall/gunicorn.conf.py"}),
        "path /etc/nginx/sites-available/example.com",
    ),
    "the monitor and one of its names": (lambda data: data.update(monitor_names=["/usr/local/bin/infra-monitor"]), "path /usr/local/bin/infra-monitor"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "what"), TWICE.values(), ids=TWICE)
def test_duplicate_definition_on_a_host_is_refused(change, what):
    with pytest.raises(CatalogueError) as error:
        render(changed(whole(), "recall", change), "services")
    assert f"infra:hosts.services: {what} is defined twice on this host" in str(error.value)


def test_the_second_container_of_a_rollout_is_no_other_services():
    def change(data):
        service(data, "vault-api").update(rollout="blue-green", spare_port=8003, spare_address="172.27.0.99")
        service(data, "admin").update(container=f"{service(data, 'vault-api')['container']}-green")

    with pytest.raises(CatalogueError, match=r"container .*-green is defined twice"):
        render(catalogue(change), "watchme")


STRINGS = {
    "acmeDirectory": [
        "https://x\n}\nevil.com { respond 200 }\n{", "https://x y", "x", "https://x/{$HOME}", "https://a..b/x", "https://-a/x",
        "https://x:99999/x", "https://256.1.1.1/x", "https://x:0/x",
    ],
    "nameServers": [["a..b"], ["-"], ["256.1.1.1"], ["192.0.2.053"], ["0.0.0.0"], ["ns.example.com:0"], ["ns.example.com:x"]],
    "backupBucket": ["a..b", "1.2.3.4", "xn--abc", "a", "A-b", "a.-b", "abc-s3alias"],
    "trustedRoots": [["../../etc/passwd"], [""], ["-----BEGIN CERTIFICATE-----"], ["-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----"]],
    "acmeEmail": ["{$HOME}@b.c", "#@b.cc", '"x@b.cc', "a b@c.dd", "a@b"],
    "sshPublicKey": ["ssh-ed25519 AAAA\nssh-rsa BBBB", "ssh-ed25519 AAAA x\r\ny", "AAAA"],
    "budget": [float("inf"), 0],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in STRINGS.items() for value in values])
def test_a_configurations_text_is_no_configuration_of_a_programs(key, value):
    with pytest.raises(REFUSED, match=key):
        catalogue(config=configured(**{key: value}))


NO_ADDRESSES = [
    "256.1.1.1", "1.2.3", "a..b", "-x", "x-", "host:22", "192.168.001.010", "0.0.0.0", "::", "a" * 64, "a." * 130 + "b", "fe80::x", ":", ".",
]  # fmt: skip
ADDRESSES = [
    "192.0.2.7",
    "2001:db8::7",
    "box.example.com",
    "box",
    "Box.lan",
    "xn--q9jyb4c",
    "1.2.3.4.nip.io",
    "localhost",
]


@pytest.mark.parametrize("address", [*NO_ADDRESSES, *ADDRESSES])
def test_machine_address_must_be_usable(address):
    host = {"kind": "ssh", "systems": [], "address": address, "hostKey": "ssh-ed25519 AAAA", "memory": "16g"}
    if address in ADDRESSES:
        assert SshHost.model_validate(host).address == address
    else:
        with pytest.raises(REFUSED, match="an IP address of a machine, or a host name"):
            SshHost.model_validate(host)


@pytest.mark.parametrize(
    "address", ["224.0.0.1", "ff02::1", "255.255.255.255", "240.1.2.3", "169.254.169.254", "fe80::1"]
)
def test_unusable_machine_address_is_refused_with_its_kind(address):
    host = {"kind": "ssh", "systems": [], "address": address, "hostKey": "ssh-ed25519 AAAA", "memory": "16g"}
    with pytest.raises(REFUSED, match=r"the address of a single machine, but this is (of a group|link-local|reserved)"):
        SshHost.model_validate(host)


OTHER_TEXTS = {
    "nameServers": [["192.0.2.53", "192.0.2.53:5353", "ns.example.com", "ns.example.com:53", "127.73.255.9:53"]],
    "acmeDirectory": ["https://acme.lab.internal:14000/dir", "https://192.0.2.7/dir", "https://pebble:14000/dir"],
    "backupBucket": ["", "theirs", "our.backups-1", "123-x"],
    "trustedRoots": [["# Ours\n-----BEGIN CERTIFICATE-----\nMIIB+/==\n-----END CERTIFICATE-----\n"]],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in OTHER_TEXTS.items() for value in values])
def test_valid_addresses_are_accepted(key, value):
    catalogue(config=configured(**{key: value}))


@pytest.mark.parametrize("name", ["-Server", "+X", "#x", "X*", "?X", ">X", "X:", "_", ""])
def test_a_headers_name_is_no_sign_of_a_proxys(name):
    with pytest.raises(REFUSED, match="headers"):
        catalogue(lambda data: data["sites"][0].update(headers={name: "x"}))


OF_THE_PROXY = ["Content-Length", "transfer-encoding", "Connection", "Upgrade", "Trailer", "Keep-Alive", "TE", "Date"]


@pytest.mark.parametrize("name", [*OF_THE_PROXY, "Content-Encoding", "Content-Range", "Proxy-Connection"])
def test_a_header_that_frames_an_answer_is_the_proxys(name):
    with pytest.raises(REFUSED, match="another header: the proxy sets this one for the connection or the body"):
        catalogue(lambda data: data["sites"][0].update(headers={name: "x"}))


@pytest.mark.parametrize("value", ["", " "])
def test_a_header_of_an_answer_has_a_value(value):
    with pytest.raises(REFUSED, match="a value that is not empty; without a value leave the header out"):
        catalogue(lambda data: data["sites"][0].update(headers={"X-A": value}))


@pytest.mark.parametrize("value", ["{$HOME}", "a`b", "\\{x", "x\\"])
def test_a_headers_value_that_a_proxy_could_not_write_is_refused(value):
    with pytest.raises(REFUSED, match="headers"):
        catalogue(lambda data: data["sites"][0].update(headers={"X-A": value}))


@pytest.mark.parametrize("size", ["0m", "５１２m", "512\u212a", "1.5g", "-1m", "00k"])
def test_a_size_is_a_number_of_ascii_above_nothing(size):
    with pytest.raises(REFUSED, match="memory"):
        catalogue(setting("admin", memory={"limit": size}))


@pytest.mark.parametrize("mode", ["4755", "1777", "2755", "644 ", "888"])
def test_a_mode_has_no_bits_that_lend_rights(mode):
    with pytest.raises(REFUSED, match="mode"):
        changed(whole(), "recall", lambda data: service(data, "recall-api")["files"][0].update(mode=mode))


@pytest.mark.parametrize(
    "path", ["/srv/a b", "/srv/$(id)", '/srv/"x"', "/srv/x;y", "/srv/%n", "/srv/\x1b[2J", "srv/x", "/srv/x/"]
)
def test_a_path_has_no_signs_of_a_shells_or_units(path):
    with pytest.raises(REFUSED, match="directory"):
        catalogue(setting("admin", directory=path))


VALUES = ["a b", "a\tLD_PRELOAD=/tmp/x.so", 'a"b', "a\\tb", "%H", "%z", "ä", "a'b", "a;b", "#", ""]


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_variable_of_a_unit_means_itself(value):
    """As systemd reads it: C escapes within quotes, and %% for a %."""
    made = changed(whole(), "whisper", lambda data: service(data, "whisper-backend")["environment"].update(PROBE=value))
    files = {file.path: file.content.decode() for file in render(made, "services").files}
    (line,) = [line for line in files["/etc/systemd/system/whisper-backend.service"].splitlines() if "PROBE" in line]
    text = line.removeprefix("Environment=")
    if text.startswith('"'):
        text = text[1:-1].replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")
    else:
        assert not set(text) & set(" \t\"'\\")
    assert text.replace("%%", "%") == f"PROBE={value}" and "%" not in text.replace("%%", "")


def test_specifiers_are_expanded_on_request():
    text = {file.path: file.content.decode() for file in render(whole(), "home").files}
    assert "Environment=XDG_RUNTIME_DIR=/run/user/%U" in text["/home/ice/.config/systemd/user/vocoder.service"]
