"""Decide why and by when a Pod must end; an ending that is set only ever gets nearer. No I/O."""

import dataclasses

from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import Ending, EndingCause

_DEADLINE_REASON = "DeadlineExceeded"
_DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


def of_deletion(pod: Pod, previous: Ending | None, *, now: float) -> Ending | None:
    """The ending of a Pod whose API object is being deleted; of any other, `previous`.

    An ending for another cause keeps it (an evicted Pod stays Failed when it is deleted), but may be hurried.
    """
    if pod.metadata.deletion_timestamp is None:
        return previous
    grace = pod.metadata.deletion_grace_period_seconds
    if grace is None:
        grace = pod.spec.termination_grace_period_seconds
    grace = max(grace, 1)
    if previous is None:
        return Ending(EndingCause.DELETED, grace, now + grace)
    return sooner(previous, grace, now=now)


def of_vanished(previous: Ending | None, pod: Pod, *, now: float) -> Ending:
    """The ending of a Pod whose API object is gone: removed by force, or by us when it was finished."""
    if previous is not None:
        return dataclasses.replace(previous, gone=True)
    grace = pod.metadata.deletion_grace_period_seconds
    if grace is None:
        grace = pod.spec.termination_grace_period_seconds
    return Ending(EndingCause.DELETED, max(grace, 1), now + max(grace, 1), gone=True)


def of_deadline(pod: Pod, *, now: float) -> Ending | None:
    """The ending of a Pod that has been active longer than its activeDeadlineSeconds."""
    at = deadline(pod)
    if at is None or now < at:
        return None
    grace = pod.spec.termination_grace_period_seconds
    return Ending(EndingCause.DEADLINE_EXCEEDED, grace, now + grace, _DEADLINE_REASON, _DEADLINE_MESSAGE)


def of_rejection(reason: str, message: str, *, now: float) -> Ending:
    """The ending of a Pod that admission refused."""
    return Ending(EndingCause.REJECTED, 1, now + 1, reason, f"Pod was rejected: {message}")


def deadline(pod: Pod) -> float | None:
    """When the Pod must end by its activeDeadlineSeconds (epoch seconds), counted from its startTime."""
    seconds, start = pod.spec.active_deadline_seconds, pod.status.start_time
    return None if seconds is None or start is None else start.timestamp() + seconds


def sooner(previous: Ending, grace: int, *, now: float) -> Ending:
    """The same ending, with a shorter grace if this one is."""
    if grace >= previous.grace:
        return previous
    return dataclasses.replace(previous, grace=grace, kill_at=min(previous.kill_at, now + grace))
