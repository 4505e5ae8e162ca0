"""What a Pod does on a node: volumes, restarts, images, logs, exec, deletion."""

import json
import time

import pytest

from tests.e2e import kube as k
from tests.e2e.kube import Kube, Manifest
from tests.e2e.lab import Registry


def test_config_map_and_secret_are_files_and_follow_changes(kube: Kube) -> None:
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"colour": "red"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"token": "s3cret"}},
        k.pod(
            "reader",
            k.shell(
                "reader",
                "sleep 3600",
                volumeMounts=[{"name": "c", "mountPath": "/c"}, {"name": "s", "mountPath": "/s"}],
            ),
            volumes=[
                {"name": "c", "configMap": {"name": "settings"}},
                {"name": "s", "secret": {"secretName": "key", "defaultMode": 0o400}},
            ],
        ),
    )
    kube.wait_ready("reader")
    assert kube.exec("reader", "cat", "/c/colour", "/s/token") == "reds3cret"
    assert kube.exec("reader", "stat", "-L", "-c", "%a", "/s/token").strip() == "400"

    kube.run("patch", "configmap", "settings", "-p", json.dumps({"data": {"colour": "blue"}}))
    k.wait_for(lambda: kube.exec("reader", "cat", "/c/colour") == "blue", "the change in the volume", seconds=10)


def test_environment_from_everywhere(kube: Kube) -> None:
    kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"COLOUR": "red"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"token": "s3cret"}},
        k.pod(
            "env",
            k.shell(
                "env",
                "env",
                envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "P_"}],
                env=[
                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}},
                    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                    {"name": "BOTH", "value": "$(TOKEN)-$(P_COLOUR)-$$(TOKEN)"},
                ],
                resources={"limits": {"cpu": "250m"}},
            ),
            restartPolicy="Never",
        ),
    )
    pod = kube.wait_phase("env", "Succeeded")
    env = dict(line.split("=", 1) for line in kube.run("logs", "env").splitlines() if "=" in line)
    assert env["P_COLOUR"] == "red"
    assert env["TOKEN"] == "s3cret"
    assert env["NODE"] == pod["spec"]["nodeName"]
    assert env["IP"]
    assert env["LIMIT"] == "250"
    assert env["BOTH"] == "s3cret-red-$(TOKEN)"
    assert env["KUBERNETES_SERVICE_PORT"] == "443"


def test_a_crashing_container_backs_off_and_says_so(kube: Kube) -> None:
    kube.apply(k.pod("crash", k.shell("crash", "echo once; exit 3")))

    def backing_off() -> Manifest | None:
        status = k.container_status(kube.get("pod", "crash"))
        waiting = status["state"].get("waiting", {})
        return status if waiting.get("reason") == "CrashLoopBackOff" and status["restartCount"] >= 1 else None

    # The genuine kubelet shows it at its next resync, which can be more than a minute away.
    status = k.wait_for(backing_off, "CrashLoopBackOff after a restart", seconds=150)
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert kube.run("logs", "crash", "--previous").strip() == "once"
    wanted = {"Created", "Started", "BackOff"}
    k.wait_for(lambda: wanted <= {e["reason"] for e in kube.events("crash")}, "its events")


def test_a_missing_image_is_reported_and_the_pod_recovers_by_itself(kube: Kube, registry: Registry) -> None:
    image = registry.unused_name()
    kube.apply(k.pod("late", k.container("late", image=image)))

    def refused() -> Manifest | None:
        waiting = k.container_status(kube.get("pod", "late"))["state"].get("waiting", {})
        return waiting if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff") else None

    waiting = k.wait_for(refused, "the pull to fail")
    assert image in waiting["message"]
    k.wait_for(lambda: {"Failed", "BackOff"} <= {e["reason"] for e in kube.events("late")}, "events Failed and BackOff")
    registry.publish(image)
    kube.wait_ready("late", seconds=60)


def test_logs_follow_and_exec_with_stdin_and_exit_code(kube: Kube) -> None:
    kube.apply(k.pod("talk", k.shell("talk", "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.2; done")))
    kube.wait_ready("talk")
    follow = kube.start("logs", "-f", "talk")
    assert follow.stdout is not None
    seen = [follow.stdout.readline().strip() for _ in range(10)]
    follow.terminate()
    follow.communicate(timeout=10)
    assert seen == [f"line {i}" for i in range(10)]

    assert kube.run("exec", "-i", "talk", "--", "cat", stdin="through stdin") == "through stdin"
    with pytest.raises(k.CommandError, match="exit code 7"):
        kube.exec("talk", "sh", "-c", "exit 7")


def test_deletion_is_graceful_and_then_quick(kube: Kube) -> None:
    trap = "trap 'echo asked to stop; sleep 2; echo bye; exit 0' TERM; while true; do sleep 0.1; done"
    kube.apply(k.pod("polite", k.shell("polite", trap), terminationGracePeriodSeconds=20))
    kube.wait_ready("polite")
    follow = kube.start("logs", "-f", "polite")
    began = time.monotonic()
    kube.delete("pod", "polite")
    took = time.monotonic() - began
    out, _ = follow.communicate(timeout=10)
    assert out.split("\n")[-3:-1] == ["asked to stop", "bye"]
    assert 2 <= took < 10


def test_phases_follow_exit_codes_and_restart_policy(kube: Kube) -> None:
    kube.apply(
        k.pod("ok", k.shell("a", "exit 0"), restartPolicy="Never"),
        k.pod("bad", k.shell("a", "exit 1"), k.shell("b", "exit 0"), restartPolicy="Never"),
        k.pod(
            "again",
            k.shell(
                "a",
                "test -f /d/x || { touch /d/x; exit 1; }",
                volumeMounts=[{"name": "d", "mountPath": "/d"}],
            ),
            restartPolicy="OnFailure",
            volumes=[{"name": "d", "emptyDir": {}}],
        ),
    )
    assert k.container_status(kube.wait_phase("ok", "Succeeded"))["state"]["terminated"]["reason"] == "Completed"
    kube.wait_phase("bad", "Failed")
    assert k.container_status(kube.wait_phase("again", "Succeeded"))["restartCount"] == 1


def test_init_containers_run_in_order_before_the_others(kube: Kube) -> None:
    mount = [{"name": "d", "mountPath": "/d"}]
    kube.apply(
        k.pod(
            "ordered",
            k.shell("main", "echo main >> /d/log; cat /d/log", volumeMounts=mount),
            initContainers=[
                k.shell("one", "sleep 1; echo one >> /d/log", volumeMounts=mount),
                k.shell("two", "echo two >> /d/log", volumeMounts=mount),
            ],
            volumes=[{"name": "d", "emptyDir": {"medium": "Memory"}}],
            restartPolicy="Never",
        )
    )
    kube.wait_phase("ordered", "Succeeded")
    assert kube.run("logs", "ordered", "-c", "main").split() == ["one", "two", "main"]
