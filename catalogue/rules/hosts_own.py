"""Places of a host that are no product's. Of what the system reads and runs as root only a list of what is allowed is
whole: a name of the product's own, and few directories for its parts, in which all is root's."""

import re

from catalogue.proxies import NAMES

PROXIES = "|".join(NAMES)
OF_THE_HOST = re.compile(
    r"/(?:proc|sys|dev|boot|run|var/run|bin|sbin|lib|lib64)(?:/|$)|/usr/(?:bin|sbin|lib|lib64)(?:/|$)"
    r"|/opt/infra(?:/|$)|/var/lib/(?:infra|dpkg|docker)(?:/|$)|/etc/(?:passwd|shadow|group|gshadow|sudoers|fstab|ld\.so\.preload)[-~]?$"
    r"|/etc/(?:sudoers\.d|ssh|pam\.d|security|infra|crontab|cron\.[^/]*|profile|profile\.d|environment|apt|alternatives"
    r"|ld\.so\.conf|ld\.so\.conf\.d|ld\.so\.cache|polkit-1|dbus-1|init\.d|rc\.local|netplan|network|hosts|hostname"
    rf"|resolv\.conf|nsswitch\.conf|bash\.bashrc|shells|subuid|subgid|machine-id|letsencrypt|{PROXIES}|ca-certificates)"
    r"(?:/|$)|/etc/systemd/(?:system|user)(?:/|$)|/var/spool/cron(?:/|$)|/root/\.(?:aws|docker|bashrc|profile)(?:/|$)"
    r"|/var/lib/(?:systemd|apt|cloud|polkit-1|private)(?:/|$)|/(?:.*/)?\.ssh(?:/|$)"
    r"|/etc/(?:docker|containerd|tmpfiles\.d|sysusers\.d|environment\.d|binfmt\.d|apparmor|apparmor\.d|kernel|nftables\.conf)(?:/|$)"
    r"|/etc/systemd/(?!journald\.conf\.d/)[^/]+|/usr/local/lib/(?:systemd|python[^/]*)(?:/|$)|/(?:var/)?tmp/"
    r"|/(?:.*/)?\.config/systemd(?:/|$)|/(?:.*/)?\.(?:bashrc|bash_profile|bash_login|profile|zshrc|zshenv)$"
)
# What the agent, the preparation of a host and its own programs start by name: the place comes first on their PATH
STARTED_BY_NAME = re.compile(
    r"/usr/local/s?bin/(?:python[0-9.]*|docker(?:-.*)?|sudo|su|sh|bash|dash|env|systemctl|systemd-.*|journalctl|loginctl|ss|ip"
    rf"|iptables.*|ip6tables.*|nft|{PROXIES}|certbot|openssl|useradd|usermod|runuser|unshare|restic|rsync|tar|gzip|curl"
    r"|ssh.*|apt.*|dpkg.*|rm|mv|cp|cat|mkdir|chown|chmod|install|mount|umount|kill|sleep|id|getent|infra-.*"
    r"|prepare-host|mkswap|swapon|swapoff|fallocate|grep|sed|awk|ln|ls|tr|cut|head|tail|tee|sort|test|printf|echo|true|false"
    r"|mktemp|touch|stat|find|xargs|flock|timeout|nohup|nice|ionice|date|hostname|uname|ps|pgrep|pkill|df|du|dd|sync|losetup"
    r"|blkid|lsblk|fsck.*|mkfs.*|modprobe|sysctl|udevadm|login|passwd|gpg.*|git|wget|logger|cron|run-parts|readlink|realpath"
    r"|basename|dirname|wc|which|chroot|nsenter|setpriv|getfacl|setfacl|update-.*|invoke-rc\.d|service|needrestart)"
)
# Names below /etc that Debian and Ubuntu have of themselves, with or without .conf
OF_ETC = frozenset(
    """
    NetworkManager PackageKit X11 aliases adduser adjtime anacrontab apm apport at at.allow at.deny
    bash_completion bash_completion.d bindresvport.blacklist byobu chrony cloud console-setup cron.allow
    cron.deny cryptsetup-initramfs crypttab csh.cshrc csh.login debconf debian_version default deluser
    depmod.d dhcp dhcpcd dkms dpkg dracut.conf.d e2scrub exports ethertypes fuse fwupd gai gdb gitconfig
    gnutls groff grub.d gshadow gss gtk-3.0 hdparm host hostid hosts.allow hosts.deny init initramfs-tools
    inputrc inittab insserv.conf.d iproute2 iscsi issue issue.net java kernel-img krb5 ldap libaudit
    libblockdev libnl-3 libpaper.d locale locale.alias locale.gen localtime login.defs logcheck logrotate
    lsb-release lvm magic magic.mime mail mailcap manpath mdadm mime.types mke2fs modules mtab multipath
    nanorc needrestart netconfig networkd-dispatcher networks newt nftables nologin npmrc ntp ntpsec openvpn
    opt os-release overlayroot pam perl pip pki pm pollinate popularity-contest ppp protocols pulse rc.conf
    rcS.d rmt rpc rsyslog rsyslogd screenrc securetty selinux sensors3 services sgml skel snmp ssl ssl.conf
    sos sudo sudo_logsrvd subuid- subgid- sysctl sysfs sysstat terminfo thermald timezone ubuntu-advantage ucf
    udisks2 ufw unattended-upgrades update-manager update-notifier updatedb vconsole vim vmware-tools vtrgb
    wgetrc wpa_supplicant xattr xdg xml zsh zshrc zshenv zprofile zsh_command_not_found anacron containers cni
    environment.d hosts.equiv inetd xinetd ftpusers group- passwd- shadow- gshadow-
    """.split()  # noqa: SIM905
)
NUMBERED = re.compile(r"(?:python|rc|java-|ssl|perl|php)[0-9.]*(?:\.d)?$")
# Of programs that a host has or gets from this one
OF_DEFAULT = OF_ETC | frozenset(
    """
    amd64-microcode certbot cron docker grub grub.d intel-microcode keyboard locale networking
    nfs-common nss prometheus-node-exporter rsync rsyslog ssh sshd su tmpfs useradd zramswap containerd
    irqbalance motd-news
    """.split()  # noqa: SIM905
).union(NAMES)
OF_VAR_LIB = frozenset(
    """
    AccountsService NetworkManager PackageKit alternatives app-info apparmor amazon bluetooth boltd
    ca-certificates-java certbot chrony colord command-not-found containerd containers dbus dhcp dhcpcd dkms
    fwupd git grub initramfs-tools initscripts insserv landscape libuuid logrotate lxcfs lxd man-db misc nfs
    ntp ntpsec os-prober pam plymouth prepare-host.begun python sgml-base shells.state shim-signed snapd
    sudo swcatalog tpm ubuntu-advantage ubuntu-release-upgrader ucf udisks2 unattended-upgrades update-manager
    update-notifier upower urandom usb_modeswitch usbutils vim waagent xfonts xkb xml-core
    """.split()  # noqa: SIM905
).union(NAMES)
# Below /usr the host has all but this
IN_USR = re.compile(
    r"/usr/local/(?:s?bin|etc|lib/(?!lib[^/]*\.so|[^/]*\.d(?:/|$)|[^/]*-linux-gnu|(?:udev|kernel|dracut|firmware|modules|perl|ruby|sysusers"
    r"|cron|security|tmpfiles|binfmt)(?:/|$))[^/]+|share/(?!(?:dbus-1|polkit-1|perl|bash-completion|man|sgml|xml|zsh)(?:/|$))[^/]+"
    r"|(?!lib|include|games|man|src|share)[^/]+)(?:/.*)?"
)
# A product's parts in these are read or run by the system as root
ONLY_ROOTS = re.compile(
    r"/usr/local/(?:s?bin|share/ca-certificates)(?:/|$)|/etc/(?:udev|default|systemd|supervisor|fail2ban|[^/]+\.d)(?:/|$)|/etc/[^/]+\.conf$"
)


# Place of the host → where such a thing is said in the catalogue
ELSEWHERE = (
    (r"/etc/(?:cron|at\.|anacron)|/var/spool/cron", "a service of kind: timer, whose [Timer] says when it runs"),
    (r"/etc/systemd/(?:system|user)(?:/|$)|/(?:usr/|usr/local/)?lib/systemd|/(?:.*/)?\.config/systemd",
     "a service of kind: unit, oneshot or timer, whose unit is written from its directives"),
    (r"/etc/systemd/", "drop_ins of the system, such as /etc/systemd/journald.conf.d/NAME.conf"),
    (f"/etc/(?:{PROXIES})", "sites of the system, with a snippet for other directives (docs/sites.md)"),
    (r"/etc/(?:letsencrypt|ssl)", "sites of the system: each gets a certificate, or has certificate: {chain, key}"),
    (r"/etc/(?:passwd|shadow|group|gshadow|sub[ug]id|sysusers\.d|skel|login\.defs|shells)", "accounts of the system"),
    (r"/etc/tmpfiles\.d", "directories of the system"),
    (r"/etc/(?:profile|environment|bash\.bashrc|zsh)|/(?:.*/)?\.(?:bash|profile|zsh)",
     "environment of the service that needs it"),
    (r"/etc/security", "LimitNOFILE and the like in a unit's directives, or ulimits of a container"),
    (r"/etc/apt|/var/lib/(?:apt|dpkg)", "packages of the system, from the host's package sources"),
    (r"/proc(?:/|$)|/sys(?:/|$)|/etc/sysctl$", "a file /etc/sysctl.d/NAME.conf, or sysctls of a container"),
    (r"/run(?:/|$)|/var/run(?:/|$)", "RuntimeDirectory: NAME in a unit's directives, which makes /run/NAME"),
    (r"/(?:usr/)?(?:bin|sbin|lib|lib64)(?:/|$)", "a path below /opt/NAME/ or /usr/local/, or packages of the system"),
    (r"/(?:.*/)?\.ssh(?:/|$)|/etc/ssh", "leave it out: infra init creates the keys, and no product configures a "
                                        "host's SSH"),
    (r"/(?:var/)?tmp/", "a permanent path, such as one below /srv/NAME/: this one is emptied"),
)  # fmt: skip


def elsewhere(place: str) -> str:
    """Where in the catalogue that is said which people put at one of the host's own places."""
    for pattern, rule in ELSEWHERE:
        if re.match(pattern, place):
            return rule
    if STARTED_BY_NAME.fullmatch(place):
        return "another name: programs of the host would start this one instead of theirs"
    if place.startswith("/etc/") and "/" not in place.removeprefix("/etc/"):
        return "a name of the product below /etc/, or leave it out: this is the host's configuration"
    return "a path of the product, such as /srv/NAME/ or /opt/NAME/; or leave it out"


def is_the_hosts(place: str) -> bool:
    """Of a plain path: whether the host itself, its accounts, SSH, the proxy or the agent have it."""
    if OF_THE_HOST.match(place):
        return True
    name, _, below = place.removeprefix("/etc/").removeprefix("/var/lib/").partition("/")
    below = below.partition("/")[0]
    if place.startswith("/etc/"):
        if name == "default":
            return below in OF_DEFAULT
        if name == "ssl":
            return below in ("", "certs", "private", "openssl.cnf")
        return bool(name.removesuffix(".conf") in OF_ETC or name in OF_ETC or NUMBERED.match(name))
    if place.startswith("/usr/"):
        return not IN_USR.fullmatch(place)
    return place.startswith("/var/lib/") and name in OF_VAR_LIB


def is_anothers(place: str, owner: str, group: str | None, mode: str) -> bool:
    """Whether another than root could change what root reads or runs at a plain path."""
    writers = int(mode, 8)
    shared = writers & 0o002 or (writers & 0o020 and group not in (None, "root", "0"))
    return bool(ONLY_ROOTS.match(place)) and (owner not in ("root", "0") or bool(shared))
