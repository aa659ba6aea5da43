#!/bin/sh
# Brings a fresh Debian or Ubuntu host to where a release can be applied: packages, swap. Safe to run again.
# Usage: prepare-host.sh SWAP_MIB [NEED...]; a need is `docker`, `nginx`, `caddy` or a package
set -eu
swap_mib=$1
shift
needs=$*

policy=/usr/sbin/policy-rc.d
swap=/swapfile
# There from before the first change until everything is started: who finds it goes on with what was interrupted
begun=/var/lib/prepare-host.begun
log=$(mktemp)
patience=600 # seconds that another installation may take
trap 'rm -f "$log" "$log.lists" "$swap.new"; allow_starts' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "prepare-host: $1" >&2
    exit 1
}

is_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

has() {
    if is_debian; then
        dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
        return
    fi
    # Of a package of another distribution the program says whether it is there
    case $1 in iproute2) command -v ip >/dev/null ;; busybox-static) [ -x /bin/busybox ] ;; *) command -v "$1" >/dev/null || rpm -q "$1" >/dev/null 2>&1 ;; esac
}

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
    has $helper || ! is_debian || ! apt-cache show $helper >/dev/null 2>&1 || printf ' %s' $helper
    [ -x "$compose" ] || printf ' %s' "$(compose_package)"
}

compose_package() {
    if ! is_debian; then echo docker-compose; return 0; fi
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
        [ -x "$compose" ] || [ ! -x "$found/docker-compose" ] || ln -sfn "$found/docker-compose" "$compose"
    done
}

install_missing() {
    if ! is_debian; then
        absent=$(missing_packages)
        [ -z "$absent" ] || fail "this host has no apt-get, and lacks:$absent; install what brings them, and run it again"
        start_what_releases_need
        return 0
    fi
    if [ -z "$(missing_packages)" ] && [ ! -e "$begun" ] && ! is_dpkg_interrupted; then return 0; fi
    export DEBIAN_FRONTEND=noninteractive
    : > "$begun"
    forbid_starts
    finish_dpkg
    # The address may change while the host boots: the first attempts can fail
    attempt=1
    until install_once; do
        absent=$(unavailable)
        # Where the lists could not be fetched, what is in them is not known
        [ -z "$absent" ] || grep -qs 'Failed to fetch' "$log" "$log.lists" || fail "no package source of this host has:$absent"
        [ "$attempt" -lt 6 ] || fail "cannot install:${absent:-$(missing_packages)}: $(reason)"
        attempt=$((attempt + 1))
        sleep 10
    done
    allow_starts
    link_compose
    start_what_releases_need
    rm -f "$begun"
}

install_once() {
    : > "$log"
    # What a broken source of another product lacks may not be what is installed here
    patiently apt-get update -q || [ "$code" != locked ] || return 1
    mv "$log" "$log.lists"
    : > "$log"
    packages=$(missing_packages)
    # shellcheck disable=SC2086
    [ -z "$packages" ] || patiently apt-get -o DPkg::Lock::Timeout=60 -o Dpkg::Options::=--force-confold install -q -y --no-install-recommends $packages
}

# Another installation (a host's first boot begins with one) holds one lock or another for minutes, and apt waits for
# none of the package lists'
patiently() {
    waited=0
    while :; do
        { LC_ALL=C "$@" 2>&1 && echo done > "$log.code" || echo failed > "$log.code"; } | tee "$log.part"
        code=$(cat "$log.code")
        cat "$log.part" >> "$log"
        [ "$code" != failed ] || ! grep -qE 'Could not get lock|Unable to (lock|acquire)|lock was locked|is locked' "$log.part" || code=locked
        rm -f "$log.code" "$log.part"
        [ "$code" = locked ] && [ "$waited" -lt "$patience" ] || break
        [ "$waited" -gt 0 ] || echo "prepare-host: waiting for another installation on this host"
        sleep 10
        waited=$((waited + 10))
    done
    [ "$code" = done ]
}

unavailable() {
    for package in $(missing_packages); do
        apt-cache show "$package" >/dev/null 2>&1 || printf ' %s' "$package"
    done
}

# The cause, and neither what follows from it nor a source that is broken besides
reason() {
    first "$log" 'dpkg: error processing' || first "$log" '[EW]: Failed to fetch' || first "$log" 'Err:|dpkg: error' ||
        first "$log" 'E:' 'Unable to locate package|no installation candidate' ||
        first "$log.lists" '[EW]: Failed to fetch' || first "$log.lists" 'Err:|E:' || first "$log" 'E:|W:' || first "$log.lists" 'W:'
}

first() { grep -vE "${3:-^$}" "$1" 2>/dev/null | grep -E "^($2)" | sed -n '1p' | grep .; }

# By a host that lost its power, or an installation that was ended
is_dpkg_interrupted() {
    [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] ||
        dpkg-query -W -f '${db:Status-Status}\n' 2>/dev/null | grep -qE '^(half-|unpacked|triggers-)'
}

finish_dpkg() {
    is_dpkg_interrupted || return 0
    echo "prepare-host: finishing an installation that was interrupted"
    patiently dpkg --force-confold --configure -a || true
    # What even that leaves may be in no one's way: apt says so where it is
    ! is_dpkg_interrupted || patiently apt-get -o DPkg::Lock::Timeout=60 -q -y --fix-broken install || true
}

# A package must not start what takes another's port: a release starts what it contains
forbid_starts() {
    if [ -e $policy ] && ! is_policy_ours; then return 0; fi
    printf '#!/bin/sh\n# Made by prepare-host\nexit 101\n' > $policy.new
    chmod 755 $policy.new
    mv $policy.new $policy
}

is_policy_ours() { grep -qs 'Made by prepare-host' $policy; }

allow_starts() {
    rm -f $policy.new
    ! is_policy_ours || rm -f $policy
}

start_what_releases_need() {
    # An image that is being built runs nothing
    [ -d /run/systemd/system ] || return 0
    for need in $needs; do
        case $need in
            docker) systemctl enable --now docker ;;
            certbot) systemctl enable --now certbot.timer ;;
            # The existing proxy serves until the release: it alone may have the ports
            nginx)
                systemctl is-active --quiet caddy || systemctl start nginx ||
                    echo "prepare-host: nginx does not start now; what has its ports? A release starts it again"
                ;;
            caddy) ;;
        esac
    done
}

add_swap() {
    [ "$swap_mib" -gt 0 ] || return 0
    # A container has its machine's swap; a machine with swap of its own keeps it
    if systemd-detect-virt --quiet --container || swapon --noheadings --show=NAME | grep -qvx "$swap"; then return 0; fi
    if ! swapon --noheadings --show=NAME | grep -qx "$swap"; then
        # One that an earlier run began is made again
        fallocate -l "${swap_mib}M" $swap.new || fail "no room for ${swap_mib} MiB of swap at $swap (infra:hosts.NAME.swap)"
        chmod 600 $swap.new
        mkswap $swap.new >/dev/null
        mv $swap.new $swap
        swapon $swap
    fi
    grep -Eq "^$swap[[:space:]]" /etc/fstab || echo "$swap none swap sw 0 0" >> /etc/fstab
}

# What an earlier run left that was killed
allow_starts
link_compose
install_missing
add_swap
