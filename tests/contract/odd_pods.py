"""Pods that an API server may well accept and hardly anybody would write, drawn from a Random."""

from collections.abc import Callable
from random import Random
from typing import Any, Final

Json = dict[str, Any]

_NAMES: Final = ("a", "b-1", "x" * 63, "0")
_QUANTITIES: Final = (
    *("10m", "1Mi") * 4,
    "0",
    "1",
    "10m",
    "0.5",
    "1e3",
    "100Mi",
    "1Gi",
    "1.5Gi",
    "123456789",
    "1E",
    "1n",
    "3k",
)
_PORTS: Final = (1, 80, 65535)
_IMAGES: Final = (
    *("img:1",) * 12,
    "a",
    "img:1",
    "reg:5000/a/b@sha256:" + "a" * 64,
    "UPPER",
    "a b",
    "a:",
    "é",
    "x" * 300,
    "registry.k8s.io/pause:3.10.2",
)
_SECONDS: Final = (0, 1, 30, 2**31 - 1)
_PATHS: Final = ("/", "/a", "/a//b", "a", "/ ü", "/a:b", "/" + "a" * 200)


def _probe(draw: Random) -> Json:
    how = draw.choice(
        (
            {"exec": {"command": draw.choice(([""], ["true"], ["sh", "-c", "exit 1"] * 20))}},
            {
                "httpGet": {
                    "port": draw.choice((*_PORTS, "http")),
                    "path": draw.choice(("", "/", "x?y#z", "/%zz")),
                    "host": draw.choice(("", "h", "::1")),
                }
            },
            {"tcpSocket": {"port": draw.choice((*_PORTS, "http"))}},
            {"grpc": {"port": draw.choice(_PORTS), "service": draw.choice(("", "s"))}},
        )
    )
    times = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
    return {**how, **{name: draw.choice(_SECONDS) for name in times if draw.random() < 0.3}}


def _resources(draw: Random) -> Json:
    kinds = ("cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "example.com/thing")
    return {
        which: {kind: draw.choice(_QUANTITIES) for kind in draw.sample(kinds, draw.randint(0, 3))}
        for which in draw.sample(("limits", "requests"), draw.randint(0, 2))
    }


def _env(draw: Random) -> list[Json]:
    sources = (
        {"value": draw.choice(("", "$(A)", "$$(A)", "$(", "$(A)$(B)", "ü\n", "x" * 3000))},
        {
            "valueFrom": {
                "fieldRef": {
                    "fieldPath": draw.choice(
                        ("metadata.name", "status.podIP", "metadata.labels['x/y']", "spec.nodeName", "status.hostIPs")
                    )
                }
            }
        },
        {
            "valueFrom": {
                "resourceFieldRef": {
                    "resource": draw.choice(("limits.cpu", "requests.memory")),
                    "divisor": draw.choice(("0", "1m", "1Mi", "1")),
                }
            }
        },
        {"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k", "optional": draw.choice((True, False))}}},
        {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    )
    names = ("A", "B", "a.b", "a-b", "_", "A=B", "ü", "1")
    return [{"name": draw.choice(names), **draw.choice(sources)} for _ in range(draw.randint(0, 4))]


def _security(draw: Random) -> Json:
    fields = {
        "runAsUser": draw.choice((0, 1, 2**31 - 1)),
        "runAsGroup": draw.choice((0, 2**31 - 1)),
        "runAsNonRoot": draw.choice((True, False)),
        "privileged": draw.choice((True, False)),
        "readOnlyRootFilesystem": True,
        "capabilities": {"add": draw.choice((["ALL"], ["NET_ADMIN", "nonsense"], [""])), "drop": ["ALL"]},
        "seccompProfile": draw.choice(
            ({"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "a/b.json"})
        ),
        "procMount": draw.choice(("Default", "Unmasked")),
        "seLinuxOptions": {"level": "s0:c1,c2", "user": "ü"},
        "allowPrivilegeEscalation": draw.choice((True, False)),
    }
    return {name: fields[name] for name in draw.sample(sorted(fields), draw.randint(0, 3))}


def _volumes(draw: Random) -> list[Json]:
    sources: tuple[Json, ...] = (
        {},
        {"emptyDir": {"medium": draw.choice(("", "Memory", "HugePages-2Mi")), "sizeLimit": draw.choice(_QUANTITIES)}},
        {"hostPath": {"path": draw.choice(_PATHS), "type": draw.choice(("", "File", "Socket", "DirectoryOrCreate"))}},
        {
            "configMap": {
                "name": "c",
                "defaultMode": draw.choice((0, 0o777, 0o400)),
                "items": [{"key": "k", "path": draw.choice(("a", "a/b", "..a", "x" * 200))}],
            }
        },
        {"secret": {"secretName": "s", "optional": True}},
        {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.annotations"}}]}},
        {
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "t", "expirationSeconds": 600, "audience": "ü"}},
                    {"configMap": {"name": "c"}},
                ]
            }
        },
        {"nfs": {"server": "nowhere", "path": "/"}},
        {"persistentVolumeClaim": {"claimName": "p", "readOnly": True}},
        {"csi": {"driver": "example.com", "volumeAttributes": {"": ""}}},
        {
            "ephemeral": {
                "volumeClaimTemplate": {
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}
                }
            }
        },
        {"image": {"reference": draw.choice(_IMAGES)}},
        {"awsElasticBlockStore": {"volumeID": "v"}},
        {"iscsi": {"targetPortal": "h", "iqn": "iqn.2026-01.a:b", "lun": 0}},
    )
    return [{"name": f"v{number}", **draw.choice(sources)} for number in range(draw.randint(0, 3))]


def _mounts(draw: Random, volumes: list[Json]) -> list[Json]:
    made = []
    for number, volume in enumerate(volumes):
        more = draw.choice(
            (
                {},
                {"subPath": "a/b"},
                {"subPathExpr": "$(A)/x"},
                {"readOnly": True},
                {"mountPropagation": "HostToContainer"},
            )
        )
        made.append({"name": volume["name"], "mountPath": f"{draw.choice(_PATHS)}{number}", **more})
    return made


def _container(draw: Random, name: str, volumes: list[Json]) -> Json:
    hook = draw.choice(({"exec": {"command": ["x"]}}, {"sleep": {"seconds": 1}}, {"httpGet": {"port": 80}}))
    twists: dict[str, Callable[[], Any]] = {
        "command": lambda: draw.choice(([], [""], ["$(A)", "$(NOPE)", "ü"], ["x"] * 200)),
        "args": lambda: draw.choice(([], ["$(HOSTNAME)"], [""])),
        "env": lambda: _env(draw),
        "envFrom": lambda: [{"prefix": draw.choice(("", "P_", "1")), "configMapRef": {"name": "c", "optional": True}}],
        "imagePullPolicy": lambda: draw.choice(("Always", "Never", "IfNotPresent")),
        "lifecycle": lambda: {draw.choice(("postStart", "preStop")): hook},
        "livenessProbe": lambda: _probe(draw),
        "readinessProbe": lambda: _probe(draw),
        "startupProbe": lambda: _probe(draw),
        "ports": lambda: [
            {"containerPort": port, "name": "http" if port == 80 else ""} for port in draw.sample(_PORTS, 2)
        ],
        "resources": lambda: _resources(draw),
        "securityContext": lambda: _security(draw),
        "stdin": lambda: True,
        "tty": lambda: True,
        "terminationMessagePath": lambda: draw.choice(_PATHS),
        "terminationMessagePolicy": lambda: "FallbackToLogsOnError",
        "volumeMounts": lambda: _mounts(draw, volumes),
        "workingDir": lambda: draw.choice(("", *_PATHS)),
    }
    chosen = draw.sample(sorted(twists), draw.randint(0, 6))
    return {"name": name, "image": draw.choice(_IMAGES), **{twist: twists[twist]() for twist in chosen}}


def pod(draw: Random, number: int) -> Json:
    """A manifest of a Pod for node n1 of namespace default; the API server may refuse it."""
    volumes = _volumes(draw)
    twists: dict[str, Callable[[], Any]] = {
        "activeDeadlineSeconds": lambda: draw.choice((1, 30, 2**31 - 1)),
        "dnsPolicy": lambda: draw.choice(("ClusterFirst", "Default", "ClusterFirstWithHostNet", "None")),
        "dnsConfig": lambda: {
            "nameservers": draw.choice((["198.18.0.1"], ["::1"])),
            "options": [{"name": "ndots"}, {"name": "x", "value": ""}],
            "searches": draw.choice(([], ["a." * 20 + "b"] * 10)),
        },
        "enableServiceLinks": lambda: False,
        "hostAliases": lambda: [
            {"ip": draw.choice(("198.18.0.1", "::1")), "hostnames": draw.choice(([], ["a", "b.c"]))}
        ],
        "hostIPC": lambda: True,
        "hostNetwork": lambda: True,
        "hostPID": lambda: True,
        "hostUsers": lambda: draw.choice((True, False)),
        "hostname": lambda: draw.choice(_NAMES),
        "imagePullSecrets": lambda: [{"name": draw.choice(("", "s"))}],
        "nodeSelector": lambda: draw.choice(({}, {"kubernetes.io/hostname": "other"})),
        "os": lambda: {"name": draw.choice(("linux", "windows"))},
        "overhead": lambda: {"cpu": draw.choice(_QUANTITIES)},
        "priority": lambda: 0,
        "readinessGates": lambda: [{"conditionType": "example.com/gate"}],
        "resources": lambda: _resources(draw),
        "restartPolicy": lambda: draw.choice(("Always", "OnFailure", "Never")),
        "runtimeClassName": lambda: "nowhere",
        "schedulerName": lambda: "nobody",
        "securityContext": lambda: {
            "fsGroup": draw.choice((0, 2**31 - 1)),
            "supplementalGroups": [1] * draw.randint(0, 20),
            "sysctls": draw.choice(
                ([], [{"name": "kernel.shm_rmid_forced", "value": "x"}, {"name": "net.core.somaxconn", "value": ""}])
            ),
        },
        "setHostnameAsFQDN": lambda: True,
        "shareProcessNamespace": lambda: True,
        "subdomain": lambda: draw.choice(_NAMES),
        "terminationGracePeriodSeconds": lambda: draw.choice((-1, *_SECONDS)),
        "tolerations": lambda: draw.choice(
            (
                [{"operator": "Exists"}],
                [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": -5}],
            )
        ),
        "topologySpreadConstraints": lambda: [{"maxSkew": 1, "topologyKey": "x", "whenUnsatisfiable": "DoNotSchedule"}],
        "affinity": lambda: {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": draw.choice(
                        ([{}], [{"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}])
                    )
                }
            }
        },
    }
    init = [_container(draw, f"init-{n}", volumes) for n in range(draw.choice((0, 0, 1, 2)))]
    for one in init:
        if draw.random() < 0.4:
            one["restartPolicy"] = "Always"
        else:
            for name in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                one.pop(name, None)
    chosen = draw.sample(sorted(twists), draw.randint(0, 5))
    labels = draw.choice(({}, {"x/y": "", "a": "b"}, {"k" * 63: "v" * 63}))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"odd-{number}", "labels": labels, "annotations": draw.choice(({}, {"a": "ü\n" * 500}))},
        "spec": {
            "nodeName": "n1",
            "volumes": volumes,
            "containers": [_container(draw, f"c{n}", volumes) for n in range(draw.randint(1, 3))],
            **({"initContainers": init} if init else {}),
            **{twist: twists[twist]() for twist in chosen},
        },
    }
