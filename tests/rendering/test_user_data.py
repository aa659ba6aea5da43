"""The user data of a new host."""

import yaml

from rendering.user_data import PREPARE, Administrator, HostKey, user_data
from tests.support import execute

TEXT = user_data(
    "prod-watchme",
    Administrator("ubuntu", "ssh-ed25519 AAAA user"),
    HostKey("PRIVATE", "ssh-ed25519 BBBB host"),
    "2g",
    ["docker", "nginx"],
)
CONFIG = yaml.safe_load(TEXT)


def test_user_data_is_cloud_config():
    assert TEXT.startswith("#cloud-config\n")


def test_user_data_sets_the_only_host_key():
    assert CONFIG["ssh_keys"] == {"ed25519_private": "PRIVATE\n", "ed25519_public": "ssh-ed25519 BBBB host"}
    assert CONFIG["ssh_deletekeys"] is True


def test_only_the_key_logs_in():
    (user,) = CONFIG["users"]
    assert user["ssh_authorized_keys"] == ["ssh-ed25519 AAAA user"]
    assert user["lock_passwd"] is True and CONFIG["ssh_pwauth"] is False and CONFIG["disable_root"] is True


def test_user_data_prepares_the_host_with_swap():
    assert CONFIG["runcmd"] == [["/usr/local/sbin/prepare-host", "2048", "docker", "nginx"]]


def test_the_script_is_valid_shell():
    assert execute("sh", "-n", PREPARE).returncode == 0
