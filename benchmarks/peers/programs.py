"""What the peers run, as their documentations advise: a playbook with one role, a pyinfra deploy, a Pulumi program."""

ANSIBLE_CFG = """\
[defaults]
gathering = explicit
host_key_checking = True
interpreter_python = /usr/bin/python3
retry_files_enabled = False
roles_path = roles
{strategy}
[ssh_connection]
pipelining = True
control_path_dir = ./cp
ssh_args = -C -o ControlMaster=auto -o ControlPersist=60s {options}
"""

INVENTORY = """\
host ansible_host=127.0.0.1 ansible_port={port} ansible_user={user} ansible_ssh_private_key_file={key}
"""

PLAYBOOK = """\
- hosts: all
  become: true
  gather_facts: false
  roles: [watchme]
"""

TASKS = """\
- name: folders
  ansible.builtin.file: {path: "{{ item }}", state: directory, mode: "0755"}
  loop: "{{ folders }}"

- name: files
  ansible.builtin.copy: {src: "{{ tree }}{{ item }}", dest: "{{ item }}", mode: "0644"}
  loop: "{{ files | difference(units) | difference([site]) }}"
  register: copied

- name: units
  ansible.builtin.copy: {src: "{{ tree }}{{ item }}", dest: "{{ item }}", mode: "0644"}
  loop: "{{ units }}"
  register: copied_units
  notify: read units

- name: site
  ansible.builtin.copy: {src: "{{ tree }}{{ site }}", dest: "{{ site }}", mode: "0644"}
  notify: [test nginx, reload nginx]

- name: read units before they are started
  ansible.builtin.meta: flush_handlers

- name: services run
  ansible.builtin.systemd_service: {name: "{{ item.unit }}", state: started, enabled: true}
  loop: "{{ services }}"
  loop_control: {label: "{{ item.unit }}"}
  register: started

- name: services whose files changed are restarted
  vars:
    changed: "{{ (copied.results + copied_units.results) | selectattr('changed') | map(attribute='item') | list }}"
    begun: "{{ started.results | selectattr('changed') | map(attribute='item.unit') | list }}"
  ansible.builtin.systemd_service: {name: "{{ item.unit }}", state: restarted}
  loop: "{{ services }}"
  loop_control: {label: "{{ item.unit }}"}
  when: (item.files | intersect(changed)) | length > 0 and item.unit not in begun
"""

HANDLERS = """\
- name: read units
  ansible.builtin.systemd_service: {daemon_reload: true}

- name: test nginx
  ansible.builtin.command: nginx -t -q

- name: reload nginx
  ansible.builtin.systemd_service: {name: nginx, state: reloaded}
"""

PYINFRA_DEPLOY = """\
import json
from pathlib import Path

from pyinfra.operations import files, server, systemd

work = json.loads(Path("work.json").read_text())
changed = {
    path: files.put(name=f"put {path}", src="files" + path, dest=path, mode="644")
    for path in work["files"]
}


def any_of(paths):
    return lambda: any(changed[path].did_change() for path in paths)


systemd.daemon_reload(name="read units", _if=any_of(work["units"]))
for service in work["services"]:
    systemd.service(name=f"{service['unit']} runs", service=service["unit"], running=True, enabled=True)
    systemd.service(
        name=f"restart {service['unit']}", service=service["unit"], restarted=True, _if=any_of(service["files"])
    )
server.shell(name="test nginx", commands=["nginx -t -q"], _if=any_of([work["site"]]))
systemd.service(name="reload nginx", service="nginx", reloaded=True, _if=any_of([work["site"]]))
"""

PULUMI_PROGRAM = """\
import hashlib
import json
import os
import re
from pathlib import Path

import pulumi
from pulumi_command import remote

work = json.loads(Path("work.json").read_text())
own = work["connection"]
connection = remote.ConnectionArgs(
    host=own["host"], port=own["port"], user=own["user"], private_key=pulumi.Output.secret(own["private_key"])
)
# The login may not write where the files belong: they are put there by a command
STAGING = "/tmp/peers-pulumi"


def name_of(path):
    return re.sub(r"[^a-z0-9.-]", "-", path.strip("/").lower())


def digest(paths):
    return hashlib.sha256(b"".join(Path("files" + path).read_bytes() for path in paths)).hexdigest()


def run(name, command, triggers, depends_on):
    options = pulumi.ResourceOptions(depends_on=depends_on, delete_before_replace=True)
    return remote.Command(name, connection=connection, create=command, triggers=triggers, opts=options)


staging = run("staging", f"mkdir -p {STAGING}", [], [])
installed = {}
for path in work["files"]:
    name, staged = name_of(path), f"{STAGING}/{name_of(path)}"
    copied = remote.CopyToRemote(
        name, connection=connection, source=pulumi.FileAsset("files" + path), remote_path=staged,
        triggers=[digest([path])], opts=pulumi.ResourceOptions(depends_on=[staging], delete_before_replace=True),
    )
    command = f"sudo install -D -m 644 {staged} {path}"
    installed[path] = run(f"install-{name}", command, [digest([path])], [copied])
read = run("read-units", "sudo systemctl daemon-reload", [digest(work["units"])], list(installed.values()))
for service in work["services"]:
    unit = service["unit"]
    command = f"sudo systemctl enable -q {unit} && sudo systemctl restart {unit}"
    run(f"restart-{unit}", command, [digest(service["files"])], [read])
reload = "sudo nginx -t -q && sudo systemctl reload nginx"
run("reload-nginx", reload, [digest([work["site"]])], list(installed.values()))
"""
