#!/bin/sh
# Boots one machine and boots it again for as long as it reboots: boot.sh FOLDER BASE NAME NETNS CGROUP [nspawn options]
# Runs in a mount namespace of its own, so that nothing stays mounted after it.
set -eu
folder=$1 base=$2 name=$3 netns=$4 group=$5
shift 5
for tree in /sys/fs/cgroup/*/"$group"; do echo $$ > "$tree/cgroup.procs"; done
mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
# Services of the machine may write net.* settings, which are its own; seccomp filters of two levels don't fit together.
export SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_API_VFS_WRITABLE=1
while :; do
    find /sys/fs/cgroup/*/"$group" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
    code=0
    systemd-nspawn -q --register=no --keep-unit --capability=all --kill-signal=SIGRTMIN+3 --machine="$name" \
        --network-namespace-path="/run/netns/$netns" --resolv-conf=off --timezone=off --link-journal=no --console=pipe \
        --bind="$folder/containerd:/var/lib/containerd" --bind="$folder/kubelet:/var/lib/kubelet" \
        --bind="$folder/etcd:/var/lib/etcd" --bind=/dev/kmsg "$@" -D "$folder/root" /usr/local/sbin/machine-init || code=$?
    for link in $(ip -n "$netns" -br link | sed 's/[@ ].*//' | grep -vxE 'lo|eth0'); do
        ip -n "$netns" link del "$link" 2>/dev/null || true
    done
    nsenter --net="/run/netns/$netns" nft flush ruleset || true
    [ "$code" = 133 ] || exit "$code" # with --keep-unit that is how a reboot ends
done
