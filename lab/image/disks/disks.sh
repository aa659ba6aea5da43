#!/bin/sh
# Test equipment: the block devices that the emulated EC2 has attached to this machine, where a kernel with udev would
# show them. A line of the list is a loop device's number and its volume. At boot, and when one is attached or detached.
set -eu
list=/var/lib/cloud/seed/nocloud/disks
names=/dev/disk/by-id
[ -e "$list" ] || exit 0
mkdir -p "$names"
rm -f "$names"/nvme-Amazon_Elastic_Block_Store_*
while read -r number volume; do
  [ -b "/dev/loop$number" ] || mknod "/dev/loop$number" b 7 "$number"
  ln -s "../../loop$number" "$names/nvme-Amazon_Elastic_Block_Store_$volume"
done <"$list"
