"""What an earlier command left half-made is finished, not taken for whole."""

import pytest

from devcluster import layout, mounts, netns, shell
from devcluster.errors import DevClusterError
from devcluster.spec import ClusterSpec, NodeSpec


class Machine:
    """Stands for the programs: `links` by namespace, and a mount namespace that is there, shared or not."""

    def __init__(self) -> None:
        self.links: dict[str, set[str]] = {}
        self.mounted = False
        self.propagation = "private"
        self.fails: list[str] = []  # what the setup of a mount namespace says on its next runs
        self.ran: list[str] = []

    def run(self, what, argv, *, stdin=None, timeout=60, env=None):
        words = [str(word) for word in argv]
        self.ran += [stdin.strip()] if stdin else []
        if words[:2] == ["ip", "-n"] and words[-1] == "show":
            return "".join(f"1: {link}: <UP>\n" for link in sorted(self.links.get(words[2], set())))
        if words[0] == "umount":
            self.mounted = False
        if words[0] == "nsenter" and "findmnt" in words:
            return f"{self.propagation}\n"
        if words[0] == "unshare":
            assert not self.mounted, "bound over what is there"
            self.ran.append("unshare")
            self.mounted = True
            if self.fails:
                raise DevClusterError(what, self.fails.pop())
            self.propagation = "shared"
        return ""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    made = Machine()
    monkeypatch.setattr(shell, "run", made.run)
    monkeypatch.setattr(mounts, "is_mounted", lambda path: made.mounted)
    monkeypatch.setattr(netns, "FOLDER", tmp_path / "netns")
    (tmp_path / "netns").mkdir()
    return made


@pytest.fixture
def cluster(tmp_path):
    made = layout.Layout("dev", tmp_path / "dev")
    made.mount_namespaces.mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    ("links", "made"),
    [
        pytest.param({"lo"}, True, id="a namespace without its bridge gets it"),
        pytest.param({"lo", "br0"}, False, id="a bridge that is there is not made again"),
    ],
)
def test_the_bridge_is_asked_for_not_its_namespace(machine, cluster, links, made):
    netns.path("dev-net").touch()
    netns.path("dev-cp").touch()
    machine.links = {"dev-net": links, "dev-cp": {"lo", "eth0"}}
    netns.make_base(cluster, ClusterSpec())
    assert any("link add br0" in said for said in machine.ran) is made
    assert any("link set br0 up" in said for said in machine.ran)


def test_a_node_killed_before_its_links_were_up_has_them_up(machine, cluster):
    netns.path("dev-n1").touch()
    machine.links = {"dev-net": {"lo", "br0", "v-n1"}, "dev-n1": {"lo", "eth0"}}
    netns.make_node(cluster, ClusterSpec(), NodeSpec("n1"))
    said = "\n".join(machine.ran)
    assert "link set lo up" in said
    assert "link set eth0 up" in said
    assert "route replace default" in said
    assert "link del" not in said


@pytest.mark.parametrize(
    ("propagation", "runs"),
    [
        pytest.param("private", 1, id="a setup that died before its end is done anew"),
        pytest.param("shared", 0, id="a whole one is left alone"),
    ],
)
def test_a_mount_namespace_is_whole_once_it_is_shared(machine, cluster, propagation, runs):
    machine.mounted, machine.propagation = True, propagation
    mounts.make(cluster, "n1", [])
    assert machine.ran.count("unshare") == runs
    assert machine.propagation == "shared"


def test_another_attempt_does_not_bind_over_the_one_that_failed(machine, cluster):
    machine.fails = ["mount: Invalid argument"]
    mounts.make(cluster, "n1", [])
    assert machine.ran.count("unshare") == 2
