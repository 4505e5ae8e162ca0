"""What a node is given: CNI, agents' configuration and command lines; and what the command line says when it can't."""

import json

import pytest

from devcluster import agents, cli, containerd, layout, netns, workload
from devcluster.spec import Agent, ClusterSpec, Family, NodeSpec, ProxyMode, parse_node


def test_a_dual_stack_nodes_cni_gives_an_address_and_a_route_of_each_family():
    config = containerd.cni_config(ClusterSpec(family=Family.DUAL), NodeSpec("n3"))
    ipam = config["plugins"][0]["ipam"]
    assert ipam["ranges"] == [[{"subnet": "198.19.3.0/24"}], [{"subnet": "fd00:19:3::/64"}]]
    assert ipam["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]


def test_ours_and_the_genuine_kubelet_get_the_very_same_flags():
    spec = ClusterSpec()
    ours = agents.argv(spec, parse_node("n2"), agents.KUBELET)
    genuine = agents.argv(spec, parse_node("n2=genuine"), agents.KUBELET)
    assert ours[1:] == genuine[1:]
    assert [argv[0].name for argv in (ours, genuine)] == ["pykubelet", "kubelet"]
    assert "--node-ip=198.18.0.12" in ours
    assert "--hostname-override=n2" in ours


def test_a_node_without_an_agent_has_no_command_line():
    bare = parse_node("n1=bare")
    assert [agents.argv(ClusterSpec(), bare, role) for role in agents.ROLES] == [[], []]


@pytest.mark.parametrize("agent", [Agent.OURS, Agent.GENUINE])
def test_both_proxies_read_one_configuration(agent):
    node = NodeSpec("n1", Agent.NONE, agent)
    assert f"--config={layout.PROXY_CONFIG}" in agents.argv(ClusterSpec(), node, agents.PROXY)
    assert agents.proxy_config(ClusterSpec(family=Family.DUAL), node)["clusterCIDR"] == "198.19.0.0/16,fd00:19::/32"


def test_the_proxies_mode_is_the_clusters():
    modes = [agents.proxy_config(ClusterSpec(proxy_mode=mode), NodeSpec("n1"))["mode"] for mode in ProxyMode]
    assert modes == ["nftables", "iptables"]


def test_a_nodes_kubelet_keeps_its_pods_in_the_nodes_own_cgroup(tmp_path):
    config = agents.kubelet_config(layout.Layout("dev", tmp_path), ClusterSpec(), NodeSpec("n1"))
    assert config["cgroupRoot"] == "/dev-n1"
    json.dumps(config)


@pytest.mark.parametrize(
    ("member", "is_one"),
    [
        pytest.param("cp", True, id="the control plane"),
        pytest.param("net", True, id="the bridge"),
        pytest.param("n12", True, id="a node"),
        pytest.param("b-n1", False, id="a node of cluster dev-b is not one of dev's"),
        pytest.param("nft", False, id="some other namespace"),
    ],
)
def test_only_members_of_this_cluster_are_taken_for_such(member, is_one):
    assert netns.is_member(member) is is_one


def test_a_late_pod_is_described_by_where_and_why():
    state = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "web", "state": state}]}
    pod = {"metadata": {"name": "p"}, "spec": {"nodeName": "n2"}, "status": status}
    assert workload.describe(pod) == "p on n2 Pending web ErrImagePull not found"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--name", "Bad Name", "status"], "must be 1 to 15", id="a bad cluster name"),
        pytest.param(["up", "--node", "n1=docker"], "is none of", id="an unknown kind of node"),
        pytest.param(["up", "--nodes", "1000"], "not between 0 and 99", id="too many nodes"),
        pytest.param(["--name", "nosuch", "status"], "it is not up", id="status of no cluster"),
        pytest.param(["--name", "nosuch", "kubectl", "get", "pods"], "make up NAME=nosuch", id="kubectl of no cluster"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_one(monkeypatch, tmp_path, capsys, arguments, said):
    monkeypatch.setenv("DEVCLUSTER_STATE", str(tmp_path))
    assert cli.main(arguments) == 1
    assert said in capsys.readouterr().err
