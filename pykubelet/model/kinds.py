"""Where the kinds a kubelet reads live in the API, with the few structs that have no file of their own."""

import dataclasses
from typing import Final, TypeAlias

import msgspec

from nodekit.objects.base import Object
from nodekit.objects.meta import ApiObject
from nodekit.objects.resource import Resource
from pykubelet.model.pod import Pod


class ConfigMap(ApiObject):
    """Settings: text in `data`, anything in `binary_data`."""

    data: dict[str, str] = {}
    binary_data: dict[str, bytes] = {}
    immutable: bool = False


class Secret(ApiObject):
    """Secrets, decoded from their base64."""

    data: dict[str, bytes] = {}
    type: str = ""
    immutable: bool = False

    def __repr__(self) -> str:
        return f"Secret({self.key})"


@dataclasses.dataclass(frozen=True, slots=True)
class Missing:
    """The API server has no such object."""


@dataclasses.dataclass(frozen=True, slots=True)
class NotSynced:
    """Not known yet: nobody refers to it, or the API server has not answered."""


ConfigMapOrNot: TypeAlias = ConfigMap | Missing | NotSynced
SecretOrNot: TypeAlias = Secret | Missing | NotSynced


class ServicePort(Object):
    """A port of a Service, as environment variables name it."""

    port: int
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(Object):
    """What environment variables need of a Service."""

    cluster_ip: str = msgspec.field(name="clusterIP", default="")
    ports: tuple[ServicePort, ...] = ()


class ServiceAccount(ApiObject):
    """A ServiceAccount; its annotations are what is read of it."""


class Service(ApiObject):
    """A Service as a Pod's environment sees it."""

    spec: ServiceSpec = ServiceSpec()


class RuntimeClass(ApiObject):
    """A way to run Pods that the runtime knows by the name of a handler."""

    handler: str = ""


PODS: Final = Resource(Pod, "v1", "Pod", "pods")
CONFIG_MAPS: Final = Resource(ConfigMap, "v1", "ConfigMap", "configmaps")
SECRETS: Final = Resource(Secret, "v1", "Secret", "secrets")
SERVICE_ACCOUNTS: Final = Resource(ServiceAccount, "v1", "ServiceAccount", "serviceaccounts")
SERVICES: Final = Resource(Service, "v1", "Service", "services")
RUNTIME_CLASSES: Final = Resource(RuntimeClass, "node.k8s.io/v1", "RuntimeClass", "runtimeclasses", namespaced=False)
