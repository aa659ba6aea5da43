#!/bin/sh
# Test equipment: at each boot the machine has its address of AWS beside that of the lab's bridge, and reaches others of
# its own network by it, as DHCP would have it. The file has the address and the network.
set -eu
file=/var/lib/cloud/seed/nocloud/address
[ -e "$file" ] || exit 0
read -r address network <"$file"
ip address add "$address/32" dev eth0
ip route replace "$network" dev eth0 src "$address"
