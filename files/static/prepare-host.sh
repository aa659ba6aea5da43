#!/bin/sh
# Brings a fresh Debian or Ubuntu host to where a release can be applied: packages, swap. Safe to run again.
# Usage: prepare-host.sh SWAP_MIB [NEED...]; a need is `docker`, `nginx`, `caddy` or a package
set -eu
swap_mib=$1
shift
needs=$*

has() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

missing_packages() {
    for need in ca-certificates curl iproute2 python3 $needs; do
        case $need in
            docker) missing_docker ;;
            # Whoever provides it (nginx-light): it is not replaced
            nginx | caddy) command -v "$need" >/dev/null || printf ' %s' "$need" ;;
            *) has "$need" || printf ' %s' "$need" ;;
        esac
    done
}

missing_docker() {
    # Whoever provides it (Docker's own packages): it is not replaced
    command -v dockerd >/dev/null || printf ' docker.io'
    # Docker starts no container where the kernel has AppArmor and nothing loads its profile
    [ ! -d /sys/kernel/security/apparmor ] || command -v apparmor_parser >/dev/null || printf ' apparmor'
    # Not in every distribution: a host without it has registryLogin: timer
    helper=amazon-ecr-credential-helper
    has $helper || ! apt-cache show $helper >/dev/null 2>&1 || printf ' %s' $helper
    [ -x "$compose" ] || printf ' %s' "$(compose_package)"
}

compose_package() {
    # Ubuntu has version 2 as a plugin, so have Docker's own packages; Debian 12 has version 1 as a command, Debian 13 2
    for name in docker-compose-v2 docker-compose-plugin; do
        if apt-cache show "$name" >/dev/null 2>&1; then echo "$name"; return 0; fi
    done
    echo docker-compose
}

# The units run /usr/bin/docker-compose, wherever it comes from
compose=/usr/bin/docker-compose
compose_folders="/usr/local/lib/docker/cli-plugins /usr/local/libexec/docker/cli-plugins /usr/lib/docker/cli-plugins
 /usr/libexec/docker/cli-plugins /root/.docker/cli-plugins"
link_compose() {
    # As in agent/compose.py
    for found in /usr/local/bin $compose_folders; do
        [ -x "$compose" ] || [ ! -x "$found/docker-compose" ] || ln -s "$found/docker-compose" "$compose"
    done
}

install_missing() {
    [ -n "$(missing_packages)" ] || return 0
    export DEBIAN_FRONTEND=noninteractive
    quiet_installation
    # The address may change while the host boots: the first attempts can fail
    for attempt in 1 2 3 4 5 6; do
        # shellcheck disable=SC2046
        if apt-get update -q && apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends $(missing_packages); then break; fi
        [ "$attempt" = 6 ] && { echo "prepare-host: cannot install:$(missing_packages)" >&2; return 1; }
        sleep 10
    done
    link_compose
    start_what_releases_need
}

our_policy=
# A package must not start what takes another's port: a release starts what it contains
quiet_installation() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    our_policy=yes
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
}

start_what_releases_need() {
    [ -z "$our_policy" ] || rm -f /usr/sbin/policy-rc.d
    # An image that is being built runs nothing
    [ -d /run/systemd/system ] || return 0
    for need in $needs; do
        case $need in
            docker) systemctl enable --now docker ;;
            certbot) systemctl enable --now certbot.timer ;;
            # The proxy of before serves until the release: it alone may have the ports
            nginx) systemctl is-active --quiet caddy || systemctl start nginx ;;
            caddy) ;;
        esac
    done
}

add_swap() {
    [ "$swap_mib" -gt 0 ] || return 0
    # A container has its machine's swap
    if systemd-detect-virt --quiet --container || [ "$(swapon --noheadings --show | wc -l)" -gt 0 ]; then return 0; fi
    fallocate -l "${swap_mib}M" /swapfile
    chmod 600 /swapfile
    mkswap /swapfile >/dev/null
    swapon /swapfile
    echo '/swapfile none swap sw 0 0' >> /etc/fstab
}

link_compose
install_missing
add_swap
