"""The main job: Pods behind a Service, reached by name, by ClusterIP and by NodePort."""

from tests.e2e import kube as k
from tests.e2e.kube import Kube


def _answers(kube: Kube, url: str, *, calls: int = 30) -> set[str]:
    script = f"for i in $(seq {calls}); do curl -s --max-time 2 {url}/hostname; echo; done"
    return set(k.lines(kube.exec("client", "sh", "-c", script)))


def test_three_replicas_answer_by_name_cluster_ip_and_node_port(kube: Kube) -> None:
    kube.apply(
        k.web_deployment("web", 3),
        k.service("web", type_="NodePort"),
        k.pod("client", k.container("client", image=k.AGNHOST, args=["pause"])),
    )
    pods = k.wait_for(lambda: (p := kube.ready_pods("app=web")) and len(p) == 3 and p, "3 Ready Pods of Deployment web")
    names = {p["metadata"]["name"] for p in pods}
    kube.wait_ready("client")
    spec = kube.get("service", "web")["spec"]

    host_ip = pods[0]["status"]["hostIP"]
    by_name = ("http://web", f"http://web.{kube.namespace}.svc.cluster.local")
    for url in (*by_name, f"http://{spec['clusterIP']}", f"http://{host_ip}:{spec['ports'][0]['nodePort']}"):
        k.wait_for(lambda url=url: _answers(kube, url, calls=1) & names, f"{url} to answer", seconds=20)
        k.wait_for(lambda url=url: _answers(kube, url) == names, f"all three to answer at {url}")


def test_a_service_follows_its_deployment_from_3_to_10_to_none(kube: Kube) -> None:
    kube.apply(
        k.web_deployment("web", 3),
        k.service("web"),
        k.pod("client", k.container("client", image=k.AGNHOST, args=["pause"])),
    )
    kube.wait_ready("client")
    for replicas in (3, 10):
        kube.run("scale", "deployment/web", f"--replicas={replicas}")
        ready = k.wait_for(
            lambda n=replicas: (p := kube.ready_pods("app=web")) and len(p) == n and p,
            f"{replicas} Ready Pods",
            seconds=90,
        )
        names = {p["metadata"]["name"] for p in ready}
        k.wait_for(
            lambda names=names: _answers(kube, "http://web", calls=60) == names,
            f"all of the {replicas} Pods and no other to answer",
        )
    kube.run("scale", "deployment/web", "--replicas=0")
    k.wait_for(lambda: not kube.listed("pods", selector="app=web"), "every Pod of web to be gone", seconds=90)
    ask = ("sh", "-c", "curl -s --max-time 2 http://web/hostname; echo exit $?")
    k.wait_for(
        lambda: kube.exec("client", *ask).strip() == "exit 7",
        "a Service without endpoints to refuse connections at once (curl: 7)",
    )


def test_a_rolling_update_under_load_fails_no_request(kube: Kube) -> None:
    """The servers drain for 5 s, so a proxy that follows EndpointSlices in time sends nothing to a closed port."""
    loop = "while true; do curl -s --max-time 5 http://web/hostname && echo || echo FAILED $?; sleep 0.02; done"
    kube.apply(k.web_deployment("web", 3), k.service("web"))
    k.wait_for(lambda: len(kube.ready_pods("app=web")) == 3, "3 Ready Pods of Deployment web")
    kube.apply(k.pod("load", k.shell("load", loop, image=k.AGNHOST)))
    kube.wait_ready("load")
    k.wait_for(lambda: "web-" in kube.run("logs", "load", "--tail=5"), "the load to flow")

    before = {p["metadata"]["name"] for p in kube.ready_pods("app=web")}
    kube.run("set", "env", "deployment/web", "GENERATION=2")
    kube.run("rollout", "status", "deployment/web", "--timeout=120s", timeout=150)
    after = {p["metadata"]["name"] for p in kube.ready_pods("app=web")}
    k.wait_for(
        lambda: set(k.lines(kube.run("logs", "load", "--tail=60"))) == after,
        "only new Pods to answer",
        seconds=30,
    )

    answers = list(k.lines(kube.run("logs", "load")))
    failures = [line for line in answers if line not in before | after]
    assert len(answers) > 100, "the load ran all along"
    assert not failures, f"{len(failures)} of {len(answers)} requests failed: {failures[:5]}"
