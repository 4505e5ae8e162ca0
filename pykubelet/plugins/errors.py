"""How a call to a plugin fails: whether it may still take effect is what decides the next step."""

import grpc

_MAY_GO_ON = {
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
}


class PluginError(Exception):
    """A call failed. `final`: it surely had no effect; otherwise the plugin may still be at it, and undoing is due.

    Source: IsOperationFinishedError, isFinalError in pkg/volume/csi/csi_client.go.
    """

    def __init__(self, call: str, *, plugin: str, detail: str, final: bool) -> None:
        self.call, self.plugin, self.detail, self.final = call, plugin, detail, final
        super().__init__(call, plugin, detail)

    def __str__(self) -> str:
        return f"{self.call} of {self.plugin}: {self.detail}"


def of(call: str, plugin: str, error: grpc.aio.AioRpcError) -> PluginError:
    """Translate; the detail is as Go prints it, as people search for that."""
    code = error.code()
    detail = f"rpc error: code = {word(code)} desc = {error.details()}"
    return PluginError(call, plugin=plugin, detail=detail, final=code not in _MAY_GO_ON)


def word(code: grpc.StatusCode) -> str:
    """As Go prints it: `DeadlineExceeded`."""
    return "".join(part.capitalize() for part in code.name.split("_"))
