"""What can go wrong between an agent and the API server, by what the caller can do about it."""

from nodekit.objects import status


class ApiError(Exception):
    """A request failed. Says which verb on what, at which server, and the server's own words."""

    def __init__(self, request: str, *, server: str, code: int = 0, reason: str = "", message: str = "") -> None:
        super().__init__(request, server, code, reason, message)
        self.request = request
        self.server = server
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after: float | None = None
        self.details: status.StatusDetails | None = None

    def __str__(self) -> str:
        what = self.reason or type(self).__name__
        number = f" ({self.code})" if self.code else ""
        return f"{self.request} at {self.server}: {what}{number}: {self.message}"

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed later: ask again, after `retry_after` seconds when it is given."""
        return self.code == 0 or self.code == 429 or self.code >= 500


class Unreachable(ApiError):
    """No server answered: refused, timed out or hung up. Whether it acted on the request is unknown."""


class BadAnswer(ApiError):
    """The server answered with something that is not the object asked for."""

    @property
    def transient(self) -> bool:
        """The same object would be sent again."""
        return False


class BadRequest(ApiError):
    """400: the request makes no sense to the server."""


class Unauthorized(ApiError):
    """401: the credentials are missing, expired or unknown."""


class Forbidden(ApiError):
    """403: this identity may not do that."""

    @property
    def namespace_ends(self) -> bool:
        """Whether it may not only because the namespace is being deleted: nothing is made there any more."""
        causes = self.details.causes if self.details is not None else ()
        return any(cause.reason == "NamespaceTerminating" for cause in causes)


class NotFound(ApiError):
    """404: there is no such object, or no such kind."""


class Conflict(ApiError):
    """409: the object changed since it was read, or a precondition failed."""


class AlreadyExists(Conflict):
    """409: an object of that name exists."""


class Expired(ApiError):
    """410: the resource version or continue token is too old; list anew."""


class Invalid(ApiError):
    """422: a field has a value the server refuses; `details.causes` names the fields."""


class TooManyRequests(ApiError):
    """429: the server is busy, or an eviction would break a budget; ask again after `retry_after`."""


class ServerError(ApiError):
    """5xx: the server or something behind it failed."""


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}
_BY_REASON: dict[str, type[ApiError]] = {
    "AlreadyExists": AlreadyExists,
    "Expired": Expired,
    "Gone": Expired,
}


def of(request: str, answer: status.Status, *, server: str, retry_after: float | None = None) -> ApiError:
    """The error for a Status the server sent, in a body or in a watch."""
    kind = _BY_REASON.get(answer.reason) or _BY_CODE.get(answer.code)
    if kind is None:
        kind = ServerError if answer.code >= 500 else ApiError
    error = kind(request, server=server, code=answer.code, reason=answer.reason, message=answer.message)
    error.details = answer.details
    if retry_after is None and answer.details is not None and answer.details.retry_after_seconds:
        retry_after = float(answer.details.retry_after_seconds)
    error.retry_after = retry_after
    return error
