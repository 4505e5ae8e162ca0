"""What a call to the container runtime can fail with, by what a caller can do about it."""

import grpc


class CriError(Exception):
    """A call failed: `call` is the RPC, `target` what it was about, `detail` the runtime's own words.

    Raised itself only for codes that call for no reaction of their own (Unknown, Internal, ...).
    """

    next_step = "see the container runtime's log"
    code = "Unknown"

    def __init__(self, call: str, *, target: str = "", detail: str = "") -> None:
        self.call, self.target, self.detail = call, target, detail
        super().__init__(call, target, detail)

    @property
    def said(self) -> str:
        """As Go's gRPC prints it: people and their tools look for these words in a Pod's events and status."""
        return f"rpc error: code = {self.code} desc = {self.detail}"

    def __str__(self) -> str:
        about = f" of {self.target}" if self.target else ""
        return f"{self.call}{about}: {self.detail or type(self).__name__} ({self.next_step})"


class NotFound(CriError):
    """The sandbox, container or image is not there."""

    next_step = "it is gone from the runtime; the next relist will not show it"
    code = "NotFound"


class AlreadyExists(CriError):
    """A sandbox or container of this name and attempt is there, or is being made."""

    next_step = "relist and adopt it, or use another attempt"


class Unavailable(CriError):
    """The runtime does not answer: not started, restarting, or its socket is elsewhere. To be tried again."""

    next_step = "check that the container runtime runs and listens on --container-runtime-endpoint"


class DeadlineExceeded(CriError):
    """No answer in time. What was asked may still be going on: relist before asking again."""

    next_step = "the runtime is slow or stuck; raise runtimeRequestTimeout if this is normal here"


class Unimplemented(CriError):
    """This runtime does not know the call."""

    next_step = "a newer container runtime has it"


class InvalidArgument(CriError):
    """The runtime refuses what was asked; asking again will not help."""

    next_step = "correct the Pod"


class FailedPrecondition(CriError):
    """Not in this state, such as starting a container that is not in state Created."""

    next_step = "relist: the state has changed"


class ResourceExhausted(CriError):
    """The runtime or the message size is at a limit."""

    next_step = "free space or processes on the node, or see the runtime's limits"


class PermissionDenied(CriError):
    """The runtime, or a registry behind it, refuses the credentials."""

    next_step = "check the pull secrets, or the permissions of the runtime's socket"


CLASSES: dict[grpc.StatusCode, type[CriError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.OUT_OF_RANGE: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: PermissionDenied,
}


NAME_TAKEN = "is reserved for"
"""containerd's words for a name and attempt in use; their code has been Unknown, then FailedPrecondition."""


def of(call: str, error: grpc.aio.AioRpcError, *, target: str = "") -> CriError:
    """Translate a gRPC error, once, at the edge."""
    detail = error.details() or error.code().name
    kind = AlreadyExists if NAME_TAKEN in detail else CLASSES.get(error.code(), CriError)
    found = kind(call, target=target, detail=detail)
    found.code = error.code().name.title().replace("_", "")
    return found
