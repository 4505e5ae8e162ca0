"""Events are counted, summed up and throttled as client-go does."""

from datetime import UTC, datetime, timedelta

import msgspec

from nodekit.kube import correlate
from nodekit.objects import event, meta

NOW = datetime(2026, 11, 24, 10, 15, tzinfo=UTC)


def new(message: str, *, name: str = "web", reason: str = "Failed", serial: int = 0) -> event.Event:
    return event.Event(
        metadata=meta.ObjectMeta(name=f"{name}.{serial:x}", namespace="default"),
        involved_object=meta.ObjectReference(kind="Pod", namespace="default", name=name, uid="u"),
        reason=reason,
        message=message,
        type="Warning",
        count=1,
        first_timestamp=NOW,
        last_timestamp=NOW + timedelta(seconds=serial),
    )


def test_the_same_event_is_counted_up_under_its_first_name() -> None:
    correlator = correlate.Correlator()
    told = [correlator.tell(new("no", serial=serial), now=NOW) for serial in range(3)]
    assert [(t.event.metadata.name, t.event.count, t.again) for t in told if t] == [
        ("web.0", 1, False),
        ("web.0", 2, True),
        ("web.0", 3, True),
    ]
    assert told[2] is not None
    patch = msgspec.json.decode(correlate.increment(told[2]))
    assert patch == {"count": 3, "lastTimestamp": "2026-11-24T10:15:02Z", "message": "no"}


def test_what_the_server_stored_is_counted_on() -> None:
    correlator = correlate.Correlator()
    told = correlator.tell(new("no"), now=NOW)
    assert told is not None
    correlator.confirm(told, msgspec.structs.replace(told.event, count=7))
    again = correlator.tell(new("no", serial=1), now=NOW)
    assert again is not None
    assert again.event.count == 8


def test_from_the_tenth_message_on_similar_events_are_summed_up() -> None:
    correlator = correlate.Correlator()
    told = [correlator.tell(new(f"no {serial}", serial=serial), now=NOW) for serial in range(12)]
    messages = [t.event.message for t in told if t]
    assert messages[8:] == ["no 8", *(f"(combined from similar events): no {n}" for n in (9, 10, 11))]
    assert [t.event.count for t in told if t][9:] == [1, 2, 3]


def test_messages_far_apart_are_not_similar() -> None:
    correlator = correlate.Correlator()
    for serial in range(15):
        told = correlator.tell(new(f"no {serial}"), now=NOW + timedelta(seconds=601 * serial))
        assert told is not None
        assert told.event.message == f"no {serial}"


def test_an_object_may_cause_25_events_then_one_in_five_minutes() -> None:
    correlator = correlate.Correlator()
    accepted = [correlator.tell(new("no", serial=serial), now=NOW) is not None for serial in range(30)]
    assert accepted == [True] * 25 + [False] * 5
    assert correlator.tell(new("no", name="other"), now=NOW) is not None
    assert correlator.tell(new("no"), now=NOW + timedelta(seconds=299)) is None
    assert correlator.tell(new("no"), now=NOW + timedelta(seconds=301)) is not None
