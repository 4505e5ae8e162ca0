"""The Lease a node renews to show it lives. Source: k8s.io/api coordination/v1."""

from typing import Final

from nodekit.objects import base, meta
from nodekit.objects.resource import Resource
from nodekit.objects.times import MicroTime


class LeaseSpec(base.Object):
    """Who holds it, for how many seconds, since when."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: MicroTime | None = None
    renew_time: MicroTime | None = None
    lease_transitions: int | None = None


class Lease(meta.ApiObject):
    """A claim that expires unless it is renewed."""

    spec: LeaseSpec = LeaseSpec()


LEASES: Final = Resource(Lease, "coordination.k8s.io/v1", "Lease", "leases")
