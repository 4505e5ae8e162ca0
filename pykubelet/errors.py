"""What an operation on a Pod can fail with, in the words its status and events use."""


class PodError(Exception):
    """An operation failed: `reason` is the API's word (`ErrImagePull`, `CreateContainerError`), `message` prose.

    `retry_after` is how many seconds to wait before it is tried again; None leaves that to the Pod's worker.
    """

    def __init__(self, reason: str, message: str, *, retry_after: float | None = None) -> None:
        self.reason, self.message, self.retry_after = reason, message, retry_after
        super().__init__(reason, message)

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class StartupError(Exception):
    """pykubelet cannot start as asked: says which setting or file, and what to do about it."""
