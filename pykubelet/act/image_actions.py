"""Makes sure of an image for one start of a container: pull policy, credentials, events, and what is remembered."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence

from pykubelet import meters
from pykubelet.act import ports
from pykubelet.act.credential_plugins import Credentials
from pykubelet.act.images import ALWAYS, NEVER, Images
from pykubelet.act.pod_memory import PodMemory
from pykubelet.act.pulled_images import PulledImages
from pykubelet.decide import counted
from pykubelet.errors import PodError
from pykubelet.model import observed
from pykubelet.model.actions import EnsureImage
from pykubelet.model.ids import Uid
from pykubelet.model.image_access import EVERYBODY, Credential
from pykubelet.model.pod import Pod
from pykubelet.model.pod_state import ImageState


class ImageActions:
    """`credentials(pod, image)` gives what the Pod's pull secrets and the node have for an image, best first.

    `pulled` knows whose Pods may use an image that is here already. `on_pull(uid, began, ended)` hears when a Pod has
    waited for a pull (monotonic seconds).
    """

    def __init__(
        self, images: Images, recorder: ports.Recorder, *, credentials: Credentials, pulled: PulledImages
    ) -> None:
        self._images = images
        self._pulled = pulled
        self._recorder = recorder
        self._credentials = credentials
        self.on_pull: Callable[[Uid, float, float], None] = lambda uid, began, ended: None

    async def ensure(self, memory: PodMemory, action: EnsureImage) -> None:
        """Have the image and remember it. Raises PodError with the API's words."""
        try:
            image = await self._have(memory.pod, action)
        except PodError as error:
            if error.reason != "ErrImagePull":
                self._tell(memory.pod, action, "Warning", "Failed", f"Error: {error.reason}")
            raise
        if action.volume:
            memory.image_volumes[action.volume] = image.id
        else:
            memory.found[action.container] = image
            memory.images[action.container] = ImageState(image_id=image.id, attempt=action.attempt)

    async def _have(self, pod: Pod, action: EnsureImage) -> observed.Image:
        name = action.image
        # Looked up when something depends on them, and once: a program of the node may have to be run for that.
        credentials = functools.cache(lambda: asyncio.ensure_future(self._credentials(pod, name)))
        present = "unknown"
        if action.policy != ALWAYS:
            try:
                found = await self._images.find(name)
            except PodError as error:
                _asked(action)
                self._tell(pod, action, "Warning", "InspectFailed", error.message)
                raise
            present = "false" if found is None else "true"
            if found is not None and await self._pulled.may_use(name, found.id, credentials):
                _asked(action, present=present, needed="false")
                said = f'Container image "{name}" already present on machine and can be accessed by the pod'
                self._tell(pod, action, "Normal", "Pulled", said)
                return found
            if action.policy == NEVER:
                # The same words for an image that is not there and for one that is somebody else's.
                _asked(action, present=present, needed="unknown" if found is None else "true")
                said = f'Container image "{name}" is not present with pull policy of Never'
                self._tell(pod, action, "Warning", "ErrImageNeverPull", said)
                raise PodError("ErrImageNeverPull", said)
        _asked(action, present=present, needed="true")
        return await self._pull(pod, action, credentials)

    async def _pull(
        self, pod: Pod, action: EnsureImage, offers: Callable[[], Awaitable[Sequence[Credential]]]
    ) -> observed.Image:
        name = action.image
        self._tell(pod, action, "Normal", "Pulling", f'Pulling image "{name}"')
        began = time.monotonic()
        try:
            credentials = await offers()
            with self._pulled.pulling(name) as record:
                pulled = await self._images.pull(name, [credential.auth for credential in credentials])
                record(pulled.image.id, credentials[pulled.used].access if credentials else EVERYBODY)
            meters.image_pull.labels(counted.image_size(pulled.image.size)).observe(time.monotonic() - began)
        except PodError as error:
            self._tell(pod, action, "Warning", "Failed", f'Failed to pull image "{name}": {error.message}')
            self._tell(pod, action, "Warning", "Failed", f"Error: {error.reason}")
            raise
        finally:
            self.on_pull(pod.uid, began, time.monotonic())
        took = f"{_duration(pulled.seconds)} ({_duration(pulled.waited)} including waiting)"
        said = f'Successfully pulled image "{name}" in {took}. Image size: {pulled.image.size} bytes.'
        self._tell(pod, action, "Normal", "Pulled", said)
        return pulled.image

    def _tell(self, pod: Pod, action: EnsureImage, type_: str, reason: str, message: str) -> None:
        self._recorder.event(pod, type_, reason, message, container=action.container)


def _asked(action: EnsureImage, *, present: str = "unknown", needed: str = "unknown") -> None:
    meters.ensured_images.labels(action.policy.lower(), present, needed).inc()


def _duration(seconds: float) -> str:
    """As Go prints a duration cut to milliseconds."""
    if seconds < 1:
        return f"{int(seconds * 1000)}ms"
    minutes, rest = divmod(int(seconds * 1000) / 1000, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
