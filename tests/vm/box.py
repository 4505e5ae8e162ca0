"""A box for Vagrant's provider libvirt, of a Debian that holds containerd and kubeadm: its machines need no internet.

As nothing puts a boot loader on its disk, libvirt boots Debian's kernel, which lies beside the box.
"""

from typing import Final

from devcluster.progress import Reporter
from tests.machines import roots
from tests.machines.machine import Machine
from tests.vm import disk
from tests.vm.disk import Disk

NAME: Final = "local/debian"
HOST: Final = (
    "vagrant", "vagrant-libvirt", "libvirt-daemon-system", "libvirt-clients", "dnsmasq-base", "qemu-system-x86",
    "qemu-utils", "openssh-client",
)  # fmt: skip
"""The packages of whoever has machines made of it."""
NETWORK: Final = "198.18.130.0/24"
"""Where libvirt puts its machines; routed, not translated, so that an API server reaches its nodes."""
_PACKAGES: Final = ("openssh-server", "sudo", "linux-image-cloud-amd64")
_FILES: Final = {
    "etc/hostname": "box\n",
    "etc/hosts": "127.0.0.1 localhost\n",
    "etc/fstab": "/dev/vda / ext4 rw,noatime 0 0\n",
    "etc/systemd/network/10-eth0.network": "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n",
    "etc/sudoers.d/vagrant": "vagrant ALL=(ALL) NOPASSWD: ALL\n",
    **disk.INITRAMFS,
}
_SCRIPT: Final = f"""
{disk.BOOTS}
useradd --create-home --shell /bin/bash vagrant
install -d -m 700 ~vagrant/.ssh
mv /root/.ssh/authorized_keys ~vagrant/.ssh
chown -R vagrant:vagrant ~vagrant/.ssh
"""
# libvirt labels and confines its machines by what a machine of the lab does not have.
_LIBVIRT: Final = """
cat >> /etc/libvirt/qemu.conf <<'END'
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
remember_owner = 0
END
systemctl restart libvirtd
"""
_BOX: Final = f"""
mkdir /root/box /var/lib/libvirt/box
cp /box/vmlinuz /box/initrd.img /var/lib/libvirt/box
install -m 600 /box/key /root/key
cd /root/box
qemu-img convert -O qcow2 /box/root.ext4 box.img
echo '{{"provider": "libvirt", "format": "qcow2", "virtual_size": 8}}' > metadata.json
cat > Vagrantfile <<'END'
Vagrant.configure("2") do |config|
  config.ssh.private_key_path = "/root/key"
  config.ssh.insert_key = false
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "qemu"
    libvirt.cpu_mode = "maximum"
    libvirt.kernel = "/var/lib/libvirt/box/vmlinuz"
    libvirt.initrd = "/var/lib/libvirt/box/initrd.img"
    libvirt.cmd_line = "root=/dev/vda rw console=ttyS0 quiet mitigations=off net.ifnames=0"
    libvirt.management_network_address = "{NETWORK}"
    libvirt.management_network_mode = "open"
    libvirt.graphics_type = "none"
    libvirt.video_type = "none"
  end
end
END
tar cf ../debian.box metadata.json Vagrantfile box.img
vagrant box add --name {NAME} /root/debian.box
rm -r /root/box /root/debian.box
"""


def obtain(report: Reporter) -> Disk:
    """Its disk, kernel and key."""
    base = roots.with_packages("libvirt-guest", _PACKAGES, report, node=True)
    return disk.made("box-disk", base, _FILES, _SCRIPT, report)


def add(host: Machine) -> None:
    """Make the box on a machine that has Vagrant and libvirt, and sees the disk's folder as /box."""
    host.run(_LIBVIRT)
    host.run(_BOX)
