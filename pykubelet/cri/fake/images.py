"""The fake runtime's images: pulled from a set of names, there at once."""

import hashlib

from pykubelet.cri import errors
from pykubelet.cri.fake.world import World
from pykubelet.model import observed, runtime_config

SIZE = 10 * 1024 * 1024


class FakeImages:
    """Satisfies runtime_api.ImageService."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def list_images(self) -> tuple[observed.Image, ...]:
        await self.world.enter("ListImages")
        return tuple({image.id: image for image in self.world.images.values()}.values())

    async def image_status(self, image: runtime_config.ImageSpec) -> observed.Image | None:
        await self.world.enter("ImageStatus", image.image)
        return self._find(image.image)

    async def pull_image(
        self, image: runtime_config.ImageSpec, *, auth: runtime_config.AuthConfig | None = None
    ) -> str:
        await self.world.enter("PullImage", image.image)
        if self.world.registry is not None and image.image not in self.world.registry:
            raise errors.NotFound("PullImage", target=image.image, detail=f"{image.image}: not found")
        digest = f"sha256:{hashlib.sha256(image.image.encode()).hexdigest()}"
        name = image.image.partition("@")[0]
        self.world.images[image.image] = observed.Image(
            id=digest,
            repo_tags=(image.image,) if "@" not in image.image else (),
            repo_digests=(f"{name.rpartition(':')[0] or name}@{digest}",),
            size=SIZE,
        )
        return digest

    async def remove_image(self, image: runtime_config.ImageSpec) -> None:
        await self.world.enter("RemoveImage", image.image)
        found = self._find(image.image)
        self.world.images = {name: i for name, i in self.world.images.items() if i != found}

    async def filesystems(self) -> observed.ImageFilesystems:
        await self.world.enter("ImageFsInfo")
        used = sum(image.size for image in set(self.world.images.values()))
        usage = observed.FilesystemUsage(at=self.world.now(), mountpoint="/fake", used_bytes=used, inodes_used=1)
        return observed.ImageFilesystems(images=(usage,), containers=(usage,))

    def _find(self, name: str) -> observed.Image | None:
        for key, image in self.world.images.items():
            if name in (key, image.id, *image.repo_tags, *image.repo_digests):
                return image
        return None
