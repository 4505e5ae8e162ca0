"""The UID of a static Pod, the one the genuine kubelet gives it: either adopts what the other started. No I/O.

It is FNV-1a, 128 bits, over what Go prints for the Pod of the file with its defaults, the node's name and the file's
path. So it is that of one version of Kubernetes: another may have other fields, and then starts its static Pods anew,
as a genuine kubelet does after an upgrade. Source: applyDefaults in K/pkg/kubelet/config/common.go, DeepHashObject in
K/pkg/util/hash, the defaults in K/pkg/apis/core/v1/defaults.go.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from pykubelet.decide import go_quantity, go_structs

Tree: TypeAlias = dict[str, Any]

_OFFSET: Final = 0x6C62272E07BB014262B821756295C58D
_PRIME: Final = 0x0000000001000000000000000000013B
_ZERO_TIME: Final = "{Time:(time.Time){wall:(uint64)0 ext:(int64)0 loc:(*time.Location)<nil>}}"
_HTTP_GET: Final = {"path": "/", "scheme": "HTTP"}
_CONTAINER: Final = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}

# What takes the place of what is not there, or is zero and not a pointer.
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "core.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    "core.Container": _CONTAINER,
    "core.EphemeralContainerCommon": _CONTAINER,
    "core.ContainerPort": {"protocol": "TCP"},
    "core.Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "core.HTTPGetAction": _HTTP_GET,
    "core.GRPCAction": {"service": ""},
    "core.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.FileKeySelector": {"optional": False},
    "core.HostPathVolumeSource": {"type": ""},
    "core.SecretVolumeSource": {"defaultMode": 0o644},
    "core.ConfigMapVolumeSource": {"defaultMode": 0o644},
    "core.DownwardAPIVolumeSource": {"defaultMode": 0o644},
    "core.ProjectedVolumeSource": {"defaultMode": 0o644},
    "core.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.ISCSIVolumeSource": {"iscsiInterface": "default"},
    "core.RBDVolumeSource": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "core.AzureDiskVolumeSource": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    "core.ScaleIOVolumeSource": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "core.PersistentVolumeClaimSpec": {"volumeMode": "Filesystem"},
}


class Unprintable(ValueError):
    """The Pod has something that only Go itself can print, such as a time: no genuine UID can be told."""


def of(manifest: Tree, *, node_name: str, path: str) -> str:
    """32 hex digits for the Pod of a manifest. Raises Unprintable."""
    value = _OFFSET
    for byte in f"{printed(manifest)}host:{node_name}file:{path}".encode():
        value = ((value ^ byte) * _PRIME) & (1 << 128) - 1
    return f"{value:032x}"


def printed(manifest: Tree) -> str:
    """What Go prints for the Pod. Raises Unprintable."""
    tree = copy.deepcopy(manifest)
    if tree.get("status"):
        raise Unprintable("a status")
    try:
        tree["spec"] = spec = tree.get("spec") or {}
        _default_pod(spec)
        tree["apiVersion"] = tree["kind"] = ""  # the internal type carries none
        return "(*core.Pod)" + "".join(_struct("core.Pod", tree))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unprintable(str(error)) from error


def _default_pod(spec: Tree) -> None:
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        spec["terminationGracePeriodSeconds"] = 1
    account = spec.get("serviceAccountName") or spec.get("serviceAccount") or ""
    spec["serviceAccountName"] = spec["serviceAccount"] = account
    for container in _each(spec, "containers", "initContainers"):
        resources = container.get("resources") or {}
        if resources.get("limits") is not None:
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}
        for port in _each(container, "ports") if spec.get("hostNetwork") else ():
            port["hostPort"] = port.get("hostPort") or port.get("containerPort")
    for container in _each(spec, "containers", "initContainers", "ephemeralContainers"):
        container["imagePullPolicy"] = container.get("imagePullPolicy") or _policy(container.get("image") or "")
    for volume in _each(spec, "volumes"):
        if not any(source is not None for key, source in volume.items() if key != "name"):
            volume["emptyDir"] = {}
        image = volume.get("image")
        if image is not None:
            image["pullPolicy"] = image.get("pullPolicy") or _policy(image.get("reference") or "")


def _each(tree: Tree, *keys: str) -> Iterator[Tree]:
    return (item for key in keys for item in tree.get(key) or ())


def _policy(image: str) -> str:
    name = image.rpartition("/")[2]
    latest = bool(image) and "@" not in name and (":" not in name or name.endswith(":latest"))
    return "Always" if latest else "IfNotPresent"


def _struct(name: str, tree: Tree) -> Iterator[str]:
    """The braces and what is in them."""
    defaults = _DEFAULTS.get(name, {})
    yield "{"
    for number, field in enumerate(go_structs.structs()[name]):
        value = tree if field.key == "-" else tree.get(field.key)
        if field.key in defaults and (value is None or (not value and not field.type.startswith("*"))):
            value = defaults[field.key]
        yield f"{' ' if number else ''}{field.name}:({field.type}){_value(field.type, value)}"
    yield "}"


def _value(type_: str, value: Any) -> str:
    """A value of this type without its type in front; None is Go's zero."""
    if type_.startswith("*"):
        return "<nil>" if value is None else _value(type_[1:], value)
    if type_.startswith("[]"):
        return "<nil>" if value is None else f"[{' '.join(_value(type_[2:], item) for item in value)}]"
    if type_.startswith("map[") or type_ == "core.ResourceList":
        return _map(type_, value)
    if type_ == "resource.Quantity":
        return go_quantity.ZERO if value is None else go_quantity.printed(str(value).strip(), rounded=False)
    if type_ == "intstr.IntOrString":
        kind, number, text = (1, 0, value) if isinstance(value, str) else (0, value or 0, "")
        return f"{{Type:(intstr.Type){kind} IntVal:(int32){number} StrVal:(string){text}}}"
    if type_ == "v1.Time":
        if value is not None:
            raise Unprintable("a time")
        return _ZERO_TIME
    if type_ in go_structs.structs():
        return "".join(_struct(type_, value or {}))
    if type_ in ("int32", "int64"):
        return str(int(value or 0))
    if type_ == "bool":
        return "true" if value else "false"
    if value is not None and not isinstance(value, str):
        raise Unprintable(f"{value!r} where Go has a {type_}")
    return value or ""


def _map(type_: str, value: Any) -> str:
    if value is None:
        return "<nil>"
    rounded = type_ == "core.ResourceList"
    items = (
        (key, go_quantity.printed(str(item).strip(), rounded=True) if rounded else _value("string", item))
        for key, item in sorted(value.items())
    )
    return f"map[{' '.join(f'{key}:{text}' for key, text in items)}]"
