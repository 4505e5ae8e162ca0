"""The Debian package on a machine, by the commands of docs/install.md. Needs root, and `make deb`."""

import re

import pytest

from tests.machines import genuine, pages
from tests.machines.machine import Machine

pytestmark = pytest.mark.timeout(300, func_only=True)  # of one test; machines are made and taken away outside of it
PAGE = "install.md"
OURS = "/opt/pykubelet/bin/pykubelet"


def test_the_package_installs_without_a_network(worker: Machine) -> None:
    for block in pages.section(PAGE, "Install"):
        said = worker.run(block.commands).stdout
    assert said.splitlines()[-1] == "Kubernetes v1.37.2"
    assert worker.run("readlink -f $(command -v kubelet)").stdout.strip() == OURS


def test_services_are_enabled_and_wait_for_kubeadm(worker: Machine) -> None:
    assert worker.run("systemctl is-enabled kubelet pyproxy").stdout.split() == ["enabled", "enabled"]
    assert worker.run("systemctl is-active kubelet pyproxy", check=False).stdout.split() == ["inactive", "inactive"]
    assert not worker.run("systemctl --failed --plain --no-legend").stdout


def test_the_kernel_forwards_and_sees_bridged_packets(worker: Machine) -> None:
    assert worker.run("cat /proc/sys/net/ipv4/ip_forward").stdout.strip() == "1"


def test_units_are_without_mistakes(worker: Machine) -> None:
    checked = worker.run("systemd-analyze verify kubelet.service pyproxy.service 2>&1")
    assert not checked.stdout, checked.stdout


def test_our_units_may_do_no_more_than_the_genuine_kubelets(worker: Machine) -> None:
    worker.run(f"mkdir -p /root/genuine; cat > /root/genuine/kubelet.service <<'UNIT'\n{genuine.UNIT}UNIT")
    shown = {
        name: worker.run(f"systemd-analyze security --no-pager --offline=true {unit} | tail -n 1").stdout
        for name, unit in (
            ("genuine kubelet", "/root/genuine/kubelet.service"),
            ("pykubelet", "/usr/lib/systemd/system/kubelet.service"),
            ("pyproxy", "/usr/lib/systemd/system/pyproxy.service"),
        )
    }
    exposure = {name: float(re.findall(r": (\d+\.\d) ", line)[0]) for name, line in shown.items()}
    print(f"exposure as systemd-analyze security has it, of 10: {exposure}")
    assert exposure["pykubelet"] <= exposure["genuine kubelet"]
    assert exposure["pyproxy"] <= exposure["genuine kubelet"]
