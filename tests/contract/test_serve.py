"""The kubelet's server behind a genuine kube-apiserver: kubectl logs, exec, attach, port-forward, and who may not."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.served_cluster import ADDRESS, Cluster, make_pod, start_control_plane, start_node, wait_for


@pytest.fixture(scope="module")
def cluster(containerd: Any, api_server_binaries: Path) -> Iterator[Cluster]:
    made = Cluster(containerd, containerd.folder / "api")
    made.folder.mkdir()
    with contextlib.ExitStack() as stack:
        start_control_plane(made, stack)
        start_node(made, stack)
        make_pod(made)
        yield made


# -- logs


def logs(cluster: Cluster, *words: str) -> bytes:
    return cluster.kubectl("logs", "web", "-c", "main", *words).stdout


def test_logs_have_every_line_long_ones_whole(cluster: Cluster) -> None:
    lines = logs(cluster).splitlines()
    assert lines[:7] == [b"first", b"second", b"line 1", b"line 2", b"line 3", b"line 4", b"line 5"]
    assert lines[7] == b"x" * 40000


def test_logs_of_one_stream(cluster: Cluster) -> None:
    path = "/api/v1/namespaces/default/pods/web/log?container=main&stream=Stderr"
    assert cluster.kubectl("get", "--raw", path).stdout == b"second\n"


def test_a_long_line_is_one_line_of_the_tail(cluster: Cluster) -> None:
    assert [len(line) for line in logs(cluster, "--tail=2").splitlines()] == [6, 40000]


def test_logs_are_cut_at_a_limit(cluster: Cluster) -> None:
    assert logs(cluster, "--limit-bytes=9") == b"first\nsec"


def test_logs_since_a_second_from_now_are_none(cluster: Cluster) -> None:
    time.sleep(1.5)
    assert logs(cluster, "--since=1s") == b""


def test_a_line_has_one_timestamp_of_nine_digits(cluster: Cluster) -> None:
    stamped = logs(cluster, "--timestamps").splitlines()[7]
    assert len(stamped.split(b" ")[0].split(b".")[1]) in (10, 15)
    assert stamped.split(b" ")[1] == b"x" * 40000


def test_the_container_before_has_logs_too(cluster: Cluster) -> None:
    assert logs(cluster, "--previous") == b"before\n"


def test_a_container_that_waits_says_what_for(cluster: Cluster) -> None:
    refused = cluster.kubectl("logs", "web", "-c", "late", check=False)
    assert b'container "late" in pod "web" is waiting to start: image can\'t be pulled' in refused.stderr


def test_logs_are_followed_as_they_are_written(cluster: Cluster) -> None:
    follower = cluster.popen("logs", "-f", "web", "-c", "main", "--tail=0")
    try:
        cluster.say_until_heard("begun", follower)
        began = time.monotonic()
        cluster.say("spoken")
        assert follower.stdout is not None
        while (line := follower.stdout.readline()) == b"begun\n":
            pass
        assert line == b"spoken\n"
        assert time.monotonic() - began < 3
    finally:
        follower.kill()
        follower.communicate()


# -- exec


@pytest.fixture(params=["WebSocket", "SPDY"])
def way(cluster: Cluster, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How kubectl and the API server reach the node; that it was so is seen in what the node counted."""
    for variable in ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS"):
        monkeypatch.setenv(variable, str(request.param == "WebSocket").lower())
    before = websockets(cluster)
    yield request.param
    assert (websockets(cluster) > before) == (request.param == "WebSocket")


def websockets(cluster: Cluster) -> float:
    """How many WebSockets the node has understood."""
    text = cluster.kubectl("get", "--raw", "/api/v1/nodes/n1/proxy/metrics").stdout.decode()
    lines = (line for line in text.splitlines() if line.startswith("kubelet_websocket_streaming_requests_total"))
    return sum(float(line.split()[-1]) for line in lines)


def test_a_command_answers_with_output_and_exit_code(cluster: Cluster, way: str) -> None:
    done = cluster.kubectl("exec", "web", "-c", "main", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout) == (7, b"out\n")
    assert done.stderr.startswith(b"err\n")


def test_megabytes_go_in_and_come_back(cluster: Cluster, way: str) -> None:
    data = os.urandom(1 << 16) * 80
    done = cluster.kubectl("exec", "-i", "web", "-c", "main", "--", "cat", input=data)
    assert done.stdout == data


def test_a_slow_reader_holds_the_command_up_and_not_the_memory(cluster: Cluster, way: str) -> None:
    before = cluster.node_memory()
    process = cluster.popen("exec", "web", "-c", "main", "--", "sh", "-c", "head -c 60000000 /dev/zero")
    time.sleep(2)
    assert cluster.node_memory() - before < 20_000_000
    assert process.stdout is not None
    total = 0
    while chunk := process.stdout.read(1 << 20):
        total += len(chunk)
    process.communicate()
    assert total == 60_000_000


def test_a_terminal_is_one(cluster: Cluster, way: str) -> None:
    command = " ".join(cluster.command("exec", "-i", "-t", "web", "-c", "main", "--", "sh", "-c", "'tty; exit 3'"))
    done = cluster.within("script", "-qec", command, "/dev/null", stdin=subprocess.DEVNULL)
    assert b"/dev/pts/" in done.stdout
    assert done.returncode == 3


def test_a_container_that_does_not_run_takes_no_command(cluster: Cluster) -> None:
    refused = cluster.kubectl("exec", "web", "-c", "late", "--", "true", check=False)
    assert refused.returncode == 1
    assert b'container not found ("late")' in refused.stderr


def test_a_command_whose_reader_has_gone_is_not_waited_for(cluster: Cluster, way: str) -> None:
    process = cluster.popen("exec", "-i", "web", "-c", "main", "--", "sh", "-c", "echo begun; head -c 98765")
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    process.kill()
    process.communicate()

    def gone() -> bool:
        return b"98765" not in cluster.kubectl("exec", "web", "-c", "main", "--", "ps").stdout

    wait_for("the end of the command", gone, seconds=10)


def test_a_terminal_has_the_size_of_the_window(cluster: Cluster, way: str) -> None:
    command = " ".join(
        cluster.command("exec", "-i", "-t", "web", "-c", "main", "--", "sh", "-c", "'sleep 1; stty size'")
    )
    done = cluster.within("script", "-qec", f"stty rows 33 cols 77; {command}", "/dev/null", stdin=subprocess.DEVNULL)
    assert b"33 77" in done.stdout


def test_a_command_may_be_long(cluster: Cluster, way: str) -> None:
    said = "x" * 60_000
    assert cluster.kubectl("exec", "web", "-c", "main", "--", "echo", said).stdout.decode() == f"{said}\n"


WEBSOCKET = """
import asyncio, ssl, sys, aiohttp
async def main(folder, url):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(folder + "/apiserver-kubelet-client.crt", folder + "/apiserver-kubelet-client.key")
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, ssl=context, protocols=["v4.channel.k8s.io"]) as stream:
            await stream.send_bytes(b"\\0typed\\n")
            async for message in stream:
                print(message.data)
asyncio.run(main(*sys.argv[1:]))
"""


def test_a_websocket_reaches_the_command_too(cluster: Cluster) -> None:
    url = f"https://{ADDRESS}:10250/exec/default/web/main?command=head&command=-n1&input=1&output=1"
    done = cluster.within(sys.executable, "-c", WEBSOCKET, str(cluster.folder / "pki"), url)
    frames = done.stdout.decode().splitlines()
    assert r"b'\x01typed\n'" in frames, done.stderr.decode()
    assert '"status":"Success"' in frames[-1]


# -- port-forward and attach


def test_a_port_of_the_pod_is_reached(cluster: Cluster, way: str) -> None:
    serving = "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; httpd -p 8080 -h /tmp/www || true"
    cluster.kubectl("exec", "web", "-c", "main", "--", "sh", "-c", serving)
    forward = cluster.popen("port-forward", "pod/web", "18080:8080")
    try:
        assert forward.stdout is not None
        assert b"Forwarding from" in forward.stdout.readline()
        for _ in range(3):
            answer = cluster.within("curl", "-s", "-m", "5", "http://127.0.0.1:18080/")
            assert answer.stdout == b"hello\n"
    finally:
        forward.kill()
        forward.communicate()


def test_attach_joins_the_output(cluster: Cluster, way: str) -> None:
    attached = cluster.popen("attach", "web", "-c", "main")
    try:
        cluster.say_until_heard("attached", attached)
    finally:
        attached.kill()
        attached.communicate()


# -- the other endpoints, through the API server's proxy


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("healthz", "ok", id="healthz"),
        pytest.param("healthz?verbose", "[+]syncloop ok", id="healthz check by check"),
        pytest.param("pods", '"name":"web"', id="the Pods bound to it"),
        pytest.param("runningpods/", '"name":"main"', id="what runs"),
        pytest.param("configz", '"healthzPort":10248', id="its configuration"),
        pytest.param("metrics", "process_cpu_seconds_total", id="its metrics"),
        pytest.param("logs/", "node.log", id="the node's logs"),
        pytest.param("logs/node.log", "of the node", id="a log of the node"),
    ],
)
def test_the_node_answers_through_the_proxy(cluster: Cluster, path: str, said: str) -> None:
    assert said in cluster.kubectl("get", "--raw", f"/api/v1/nodes/n1/proxy/{path}").stdout.decode()


def test_no_log_outside_the_folder_is_served(cluster: Cluster) -> None:
    refused = cluster.kubectl("get", "--raw", "/api/v1/nodes/n1/proxy/logs/escape", check=False)
    assert b"root:" not in refused.stdout


# -- who may


def test_health_on_the_plain_port_needs_nobody(cluster: Cluster) -> None:
    assert cluster.within("curl", "-s", "http://127.0.0.1:10248/healthz").stdout == b"ok"


def test_anonymous_is_forbidden(cluster: Cluster) -> None:
    status, body = cluster.curl("/pods")
    assert (status, body) == (
        403,
        "Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource(s)=[pods proxy])\n",
    )


def test_a_wrong_token_is_nobody(cluster: Cluster) -> None:
    assert cluster.curl("/pods", "-H", "Authorization: Bearer wrong") == (401, "Unauthorized")


def test_a_service_account_may_what_its_role_says(cluster: Cluster) -> None:
    cluster.kubectl("create", "serviceaccount", "reader")
    token = cluster.kubectl("create", "token", "reader").stdout.decode().strip()
    bearer = ("-H", f"Authorization: Bearer {token}")
    status, body = cluster.curl("/metrics", *bearer)
    assert (status, "user=system:serviceaccount:default:reader" in body) == (403, True)
    cluster.kubectl("create", "clusterrole", "reader", "--verb=get", "--resource=nodes/metrics")
    cluster.kubectl("create", "clusterrolebinding", "r", "--clusterrole=reader", "--serviceaccount=default:reader")
    wait_for("the role", lambda: cluster.curl("/metrics", *bearer)[0] == 200, seconds=5)
    assert cluster.curl("/pods", *bearer)[0] == 403


def test_the_api_servers_certificate_may_and_unknown_things_are_not_found(cluster: Cluster) -> None:
    folder = cluster.folder / "pki"
    who = (
        *("--cert", f"{folder}/apiserver-kubelet-client.crt"),
        *("--key", f"{folder}/apiserver-kubelet-client.key"),
    )
    assert cluster.curl("/nowhere", *who) == (404, "404 page not found\n")
    assert cluster.curl("/pods", "-X", "DELETE", *who) == (405, "405: Method Not Allowed")
    assert cluster.curl("/exec/default/web/main?command=true&output=1", *who, "-X", "POST") == (
        500,
        "Upgrade request required\n",
    )
    assert cluster.curl("/exec/default/web/main?command=true", *who, "-X", "POST")[0] == 400
    assert cluster.curl("/containerLogs/default/none/main", *who) == (404, 'pod "none" does not exist')
    assert cluster.curl("/containerLogs/default/web/none", *who)[0] == 404
    assert cluster.curl("/containerLogs/default/web/main?tailLines=-1", *who)[0] == 422
    assert cluster.curl("/containerLogs/default/web/main?limitBytes=x", *who)[0] == 400


# -- the end


def test_following_ends_when_the_container_does(cluster: Cluster) -> None:
    follower = cluster.popen("logs", "-f", "web", "-c", "main", "--tail=1")
    time.sleep(1)
    cluster.kubectl("exec", "web", "-c", "main", "--", "touch", "/tmp/stop")
    began = time.monotonic()
    output, _ = follower.communicate(timeout=10)
    assert output.endswith(b"last\n")
    assert time.monotonic() - began < 4
    assert b"Error" not in (cluster.folder / "node.log").read_bytes()
    assert b"Traceback" not in (cluster.folder / "node.log").read_bytes()
