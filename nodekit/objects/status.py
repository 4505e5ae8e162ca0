"""The API server's answer when it has no object to give: metav1.Status, and the options of a deletion."""

from nodekit.objects import base


class StatusCause(base.Object):
    """One reason among several, with the field it is about."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(base.Object):
    """What the answer is about, and when to ask again."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: int = 0


class Status(base.Object):
    """Success or failure, with the reason a program can act on and the message a person can read."""

    kind: str = ""
    status: str = ""
    message: str = ""
    reason: str = ""
    details: StatusDetails | None = None
    code: int = 0


class Preconditions(base.Object):
    """What must still be true of the object for the deletion to happen."""

    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(base.Object):
    """How to delete: the grace in seconds (0 is at once, None the object's own)."""

    grace_period_seconds: int | None = None
    preconditions: Preconditions | None = None
    propagation_policy: str | None = None
