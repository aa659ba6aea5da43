#!/bin/sh
# Brings a fresh Debian or Ubuntu host to where a release can be applied: packages, swap. Safe to run again.
# Usage: prepare-host.sh SWAP_MIB
set -eu
swap_mib=$1

has() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

missing_packages() {
    for package in ca-certificates certbot curl iproute2 python3 python3-certbot-dns-route53; do
        has "$package" || printf ' %s' "$package"
    done
    # Whoever provides these (nginx-light, Docker's own packages): they are not replaced
    command -v nginx >/dev/null || printf ' nginx'
    command -v dockerd >/dev/null || printf ' docker.io'
    # Not in every distribution: a host without it has registryLogin: timer
    helper=amazon-ecr-credential-helper
    has $helper || ! apt-cache show $helper >/dev/null 2>&1 || printf ' %s' $helper
    [ -x "$compose" ] || printf ' %s' "$(compose_package)"
}

compose_package() {
    # Ubuntu has version 2 as a plugin, Debian 12 version 1 as a command
    if apt-cache show docker-compose-v2 >/dev/null 2>&1; then echo docker-compose-v2; else echo docker-compose; fi
}

# The units run /usr/bin/docker-compose, wherever it comes from
compose=/usr/bin/docker-compose
link_compose() {
    for found in /usr/libexec/docker/cli-plugins/docker-compose /usr/lib/docker/cli-plugins/docker-compose /usr/local/bin/docker-compose; do
        [ -x "$compose" ] || [ ! -x "$found" ] || ln -s "$found" "$compose"
    done
}

install_missing() {
    [ -n "$(missing_packages)" ] || return 0
    export DEBIAN_FRONTEND=noninteractive
    # The address may change while the host boots: the first attempts can fail
    for attempt in 1 2 3 4 5 6; do
        # shellcheck disable=SC2046
        if apt-get update -q && apt-get -o DPkg::Lock::Timeout=600 install -q -y --no-install-recommends $(missing_packages); then break; fi
        [ "$attempt" = 6 ] && { echo "prepare-host: cannot install:$(missing_packages)" >&2; return 1; }
        sleep 10
    done
    link_compose
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
