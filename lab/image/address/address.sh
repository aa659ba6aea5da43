#!/bin/sh
# Test equipment: at each boot the machine has its own name, and its address of AWS beside that of the lab's bridge, and
# reaches others of its own network by it, as DHCP would have it. The file has the address and the network.
set -eu
# Docker gives a container that starts again the name that it began with, and a machine keeps its own
name=/var/lib/cloud/data/previous-hostname
if [ -s "$name" ]; then
    cat "$name" >/etc/hostname
    hostname "$(cat "$name")"
fi
file=/var/lib/cloud/seed/nocloud/address
[ -e "$file" ] || exit 0
read -r address network <"$file"
ip address add "$address/32" dev eth0
ip route replace "$network" dev eth0 src "$address"
