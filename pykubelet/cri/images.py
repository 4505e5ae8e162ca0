"""CRI's ImageService over gRPC, in plain values."""

import grpc

from cri_protos import api_pb2 as pb
from cri_protos import api_pb2_grpc
from pykubelet.cri import channel, convert_config, convert_observed, errors
from pykubelet.model import observed, runtime_config


class Images:
    """Satisfies runtime_api.ImageService. `timeout` in seconds holds for every call but a pull."""

    def __init__(self, connection: grpc.aio.Channel, *, timeout: float = 120.0) -> None:
        self._stub = api_pb2_grpc.ImageServiceStub(connection)
        self._timeout = timeout

    async def list_images(self) -> tuple[observed.Image, ...]:
        answer = await channel.call(self._stub.ListImages, pb.ListImagesRequest(), timeout=self._timeout)
        return tuple(convert_observed.image(i) for i in answer.images)

    async def image_status(self, image: runtime_config.ImageSpec) -> observed.Image | None:
        request = pb.ImageStatusRequest(image=convert_config.image(image))
        try:
            answer = await channel.call(self._stub.ImageStatus, request, target=image.image, timeout=self._timeout)
        except errors.NotFound:
            return None
        return convert_observed.image(answer.image) if answer.HasField("image") else None

    async def pull_image(
        self, image: runtime_config.ImageSpec, *, auth: runtime_config.AuthConfig | None = None
    ) -> str:
        request = pb.PullImageRequest(
            image=convert_config.image(image),
            auth=None if auth is None else convert_config.auth(auth),
        )
        answer = await channel.call(self._stub.PullImage, request, target=image.image, timeout=None)
        return answer.image_ref

    async def remove_image(self, image: runtime_config.ImageSpec) -> None:
        request = pb.RemoveImageRequest(image=convert_config.image(image))
        try:
            await channel.call(self._stub.RemoveImage, request, target=image.image, timeout=self._timeout)
        except errors.NotFound:
            return

    async def filesystems(self) -> observed.ImageFilesystems:
        answer = await channel.call(self._stub.ImageFsInfo, pb.ImageFsInfoRequest(), timeout=self._timeout)
        return observed.ImageFilesystems(
            images=tuple(convert_observed.filesystem(f) for f in answer.image_filesystems),
            containers=tuple(convert_observed.filesystem(f) for f in answer.container_filesystems),
        )
