"""What every part of the runtime client holds: the stub and the time a call may take."""

import grpc

from cri_protos import api_pb2_grpc


class Client:
    """`timeout` in seconds is KubeletConfiguration.runtimeRequestTimeout; the channel stays its maker's to close."""

    def __init__(self, connection: grpc.aio.Channel, *, timeout: float = 120.0) -> None:
        self._stub = api_pb2_grpc.RuntimeServiceStub(connection)
        self._timeout = timeout
