"""Cgroup trees, paths, packages, certificates, files and errors."""

import ipaddress
from pathlib import Path

import pytest
from cryptography import x509

from devcluster import cgroups, errors, files, identities, layout, limits, mounts, packages, pki
from devcluster.cgroups import Hierarchy
from devcluster.errors import DevClusterError
from devcluster.layout import NodeLayout
from devcluster.spec import ClusterSpec, Family, parse_node

V1 = """30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
V2 = "31 23 0:27 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
INSIDE = "31 23 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"


@pytest.mark.parametrize(
    ("mountinfo", "found"),
    [
        pytest.param(
            V1,
            [("/sys/fs/cgroup/cpu,cpuacct", 1), ("/sys/fs/cgroup/memory", 1), ("/sys/fs/cgroup/unified", 2)],
            id="v1 with a v2 tree beside it",
        ),
        pytest.param(V2, [("/sys/fs/cgroup", 2)], id="v2 alone"),
        pytest.param(V2 + V2, [("/sys/fs/cgroup", 2)], id="a tree mounted over itself counts once"),
        pytest.param(INSIDE, [], id="a bind of somebody's subtree is not a tree"),
    ],
)
def test_cgroup_trees_are_read_off_the_mounts(mountinfo, found):
    assert list(cgroups.hierarchies(mountinfo)) == [Hierarchy(Path(path), version) for path, version in found]


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        pytest.param(layout.KUBELET_ROOT, "/state/n1/var/lib/kubelet", id="the kubelet's root is the node's own"),
        pytest.param(layout.CONTAINERD_SOCKET, "/state/n1/run/containerd/containerd.sock", id="so is the socket"),
        pytest.param(Path("/usr/bin/nft"), "/usr/bin/nft", id="programs are the machine's"),
    ],
)
def test_a_path_inside_a_node_is_found_outside(inside, outside):
    assert NodeLayout(Path("/state/n1"), "n1").outside(inside) == Path(outside)


def test_programs_under_a_folder_the_node_replaces_stay_visible():
    wanted = mounts.hidden([Path("/var/cache/bin/kubelet"), Path("/var/cache/bin/sub/x"), Path("/opt/bin/runc")])
    assert Path("/var/cache/bin") in wanted
    assert Path("/var/cache/bin/sub") not in wanted
    assert Path("/opt/bin") not in wanted


def test_what_is_missing_is_named_by_its_package(tmp_path):
    needed = {"sh": "dash", "no-such-program": "nosuch", "/no/such/header.h": "libnosuch-dev", "nor-this": "nosuch"}
    assert packages.missing(needed) == ["libnosuch-dev", "nosuch"]


@pytest.mark.parametrize(
    ("nodes", "needed"),
    [
        pytest.param((), 6 + 7 + 4, id="a control plane alone"),
        pytest.param(("n1", "n2"), 17 + 2 * 2, id="two nodes of ours"),
        pytest.param(("n1=genuine", "n2=genuine-proxy"), 17 + 2 * 2 + 7, id="a genuine kubelet watches more"),
    ],
)
def test_how_many_inotify_instances_a_cluster_needs(nodes, needed):
    assert limits.inotify_needed(ClusterSpec(nodes=tuple(map(parse_node, nodes)))) == needed


def test_inotify_instances_in_use_are_counted_over_processes(tmp_path):
    for pid, targets in (("1", ["anon_inode:inotify", "socket:[1]"]), ("22", ["anon_inode:inotify"] * 2), ("x", [])):
        (tmp_path / pid / "fd").mkdir(parents=True)
        for number, target in enumerate(targets):
            (tmp_path / pid / "fd" / str(number)).symlink_to(target)
    assert limits.inotify_used(tmp_path) == 3


@pytest.mark.parametrize("name", ["dev", "../x", "a"])
def test_the_cache_and_the_state_can_be_moved(monkeypatch, tmp_path, name):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("DEVCLUSTER_STATE", str(tmp_path / "s"))
    assert layout.cache_home() == tmp_path / "c" / "devcluster"
    assert layout.of(name).root == tmp_path / "s" / name


class TestCertificates:
    @pytest.fixture
    def cluster(self, tmp_path):
        made = layout.Layout("t", tmp_path)
        self.spec = ClusterSpec(api_servers=3, family=Family.DUAL)
        identities.make(made, self.spec)
        return made

    def certificate(self, path):
        return x509.load_pem_x509_certificate(path.read_bytes())

    def test_a_node_is_system_node_name_in_system_nodes(self, cluster):
        identities.node(cluster, self.spec, "n1")
        cert = self.certificate(cluster.pki / "kubelet-n1.crt")
        assert cert.subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
        cert.verify_directly_issued_by(self.certificate(cluster.pki / "ca.crt"))

    def test_the_proxy_and_the_kubelet_client_belong_to_no_group(self, cluster):
        for name, user in (
            ("kube-proxy", "system:kube-proxy"),
            ("apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
        ):
            assert self.certificate(cluster.pki / f"{name}.crt").subject.rfc4514_string() == f"CN={user}"

    def test_the_aggregator_is_of_another_authority(self, cluster):
        cert = self.certificate(cluster.pki / "front-proxy-client.crt")
        cert.verify_directly_issued_by(self.certificate(cluster.pki / "front-proxy-ca.crt"))
        with pytest.raises(Exception):  # noqa: B017, PT011 - the library's own, undocumented classes
            cert.verify_directly_issued_by(self.certificate(cluster.pki / "ca.crt"))

    def test_the_api_servers_answer_to_all_their_names(self, cluster):
        cert = self.certificate(cluster.pki / "apiserver.crt")
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)
        addresses = names.get_values_for_type(x509.IPAddress)
        for wanted in ("198.18.0.3", "198.18.0.9", "198.18.64.1", "fd00:18::1", "fd00:64::1", "127.0.0.1"):
            assert ipaddress.ip_address(wanted) in addresses

    def test_keys_are_private_and_nothing_is_made_twice(self, cluster):
        before = {path: path.read_bytes() for path in cluster.pki.iterdir()}
        assert all(path.stat().st_mode & 0o077 == 0 for path in before if path.suffix == ".key")
        identities.make(cluster, self.spec)
        assert {path: path.read_bytes() for path in cluster.pki.iterdir()} == before

    def test_a_kubeconfig_names_where_the_api_is_and_is_private(self, cluster):
        text = cluster.admin.read_text()
        assert "https://198.18.0.9:6443" in text
        assert cluster.admin.stat().st_mode & 0o077 == 0


def test_an_authority_is_kept(tmp_path):
    first = pki.authority(tmp_path, "ca", "kubernetes").cert.read_bytes()
    assert pki.authority(tmp_path, "ca", "kubernetes").cert.read_bytes() == first


def test_a_file_that_holds_it_already_is_not_touched(tmp_path):
    path = tmp_path / "deep" / "config"
    assert files.write(path, "a") is True
    inode = path.stat().st_ino
    assert files.write(path, "a") is False
    assert path.stat().st_ino == inode
    assert files.write(path, "b", mode=0o600) is True
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("b", 0o600)
    assert [entry.name for entry in path.parent.iterdir()] == ["config"]


def test_an_error_reports_step_cause_remedy_and_the_end_of_the_log(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    report = DevClusterError("etcd", "it ended", log=log, hint="look").report()
    assert report.startswith("etcd failed: it ended\n  what to do: look\n")
    assert str(log) in report
    assert "line 99" in report
    assert "line 50" not in report
    assert errors.tail(tmp_path / "none") == []
