"""Events: what happened to an object, for people to read. Source: k8s.io/api core/v1."""

from datetime import datetime
from typing import Final

from nodekit.objects import base, meta
from nodekit.objects.resource import Resource
from nodekit.objects.times import MicroTime


class EventSource(base.Object):
    """Which agent saw it, on which machine."""

    component: str = ""
    host: str = ""


class EventSeries(base.Object):
    """How often it was seen, in the newer form."""

    count: int = 0
    last_observed_time: MicroTime | None = None


class Event(meta.ApiObject):
    """One thing that happened, counted when it happens again; `type` is Normal or Warning."""

    involved_object: meta.ObjectReference = meta.ObjectReference()
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    count: int = 0
    type: str = ""
    event_time: MicroTime | None = None
    series: EventSeries | None = None
    action: str = ""
    related: meta.ObjectReference | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


EVENTS: Final = Resource(Event, "v1", "Event", "events")
