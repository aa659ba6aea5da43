#!/bin/sh
# Runs in the emulated machine of tests/machine.py: what a newcomer does on a stock server, and what is left afterwards.
# Every line that starts with "machine-test:" is for the one who reads the console.
say() { echo "machine-test: $*"; }
fail() { say "FAILED: $*"; sync; sleep 5; poweroff -f; }
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC1091
. /seed/environment
# shellcheck disable=SC1091
. /etc/os-release

say "system $PRETTY_NAME, kernel $(uname -r), cgroup $(stat -fc %T /sys/fs/cgroup), $(nproc) processors"
mkdir -p /root/.cache
cp -a /seed/cache/. /root/.cache/
[ ! -e /seed/certificates.crt ] || cp /seed/certificates.crt /etc/ssl/certs/ca-certificates.crt
apt-get update -q >/dev/null 2>&1 || fail "apt-get update: is there a network?"
# What only takes long here: the engine and the machine images that another machine has built
apt-get install -q -y docker.io skopeo debootstrap >/root/apt.log 2>&1 || fail "$(tail -n 1 /root/apt.log)"
for image in /seed/images/*.tar; do docker load -q -i "$image" || fail "docker load $image: $(df -h / | tail -n 1)"; done
say "listening: $(ss -ltnH | awk '{print $4}' | tr '\n' ' ')"
docker run -d --name foreign --network host "$(docker image ls -q | head -n 1)" sleep infinity >/dev/null 2>/root/foreign.log ||
  fail "another project's container: $(head -n 1 /root/foreign.log)"

git clone -q /seed/project.git /root/project && cd /root/project || fail "git clone"
say "make lab"
make lab || fail "make lab"
# shellcheck disable=SC1091
. .lab/env
answered=$(python -m lab status 2>/dev/null | grep -c '│    200 │')
say "answered: $answered"
[ "$answered" = 15 ] || fail "$answered of 15 services answered"
pulumi preview --expect-no-changes --stack lab >/root/preview.log 2>&1 || fail "the preview is not empty: $(tail -n 3 /root/preview.log)"
say "no-op preview: $(grep -E 'unchanged' /root/preview.log | tr -s ' ')"
systemctl is-active --quiet ssh || fail "sshd is not running any more"
say "make lab-down"
make lab-down || fail "make lab-down"
left=$(docker ps -aq --filter label=watchme-infra.lab; docker network ls -q --filter label=watchme-infra.lab)
left="$left$(iptables-save | grep wml-)"
[ -z "$left" ] && [ ! -e .lab ] || fail "make lab-down leaves: $left"
[ "$(docker inspect -f '{{.State.Running}}' foreign)" = true ] || fail "another project's container was stopped"
say "PASSED"
sync
sleep 5
poweroff -f
