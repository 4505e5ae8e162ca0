"""Tokens of Pods outlive the API server's absence, and our own process."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nodekit.kube import fake
from nodekit.kube.client import Client
from nodekit.kube.shelf import Shelves
from nodekit.objects import codec
from nodekit.objects.meta import ObjectMeta
from pykubelet.act.volumes.tokens import RETRY, Token, Tokens
from pykubelet.decide.volume_content import ContentError
from pykubelet.model.ids import Uid
from pykubelet.model.pod import Pod

POD = Pod(metadata=ObjectMeta(name="web", namespace="default", uid=Uid("u1")))
START = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Machine:
    """An API server that issues tokens, and processes on a node one after another."""

    def __init__(self, folder: Path) -> None:
        self.api = fake.FakeApi()
        self.time = START
        self.issued = 0
        self._folder = folder
        self.api.answer("POST", ".*/serviceaccounts/default/token", lambda _: self._issue())
        self.process()

    def process(self) -> None:
        """A new process: nothing is remembered but what is on disk."""
        self.shelves = Shelves(self._folder)
        self.tokens = Tokens(
            Client(self.api),
            now=self._now,
            shelf=lambda uid: self.shelves.of(f"tokens/{uid}", Token),
        )

    async def get(self) -> str:
        return await self.tokens.get(POD, audience="", seconds=3600)

    def _now(self) -> float:
        return self.time.timestamp()

    def _issue(self) -> bytes:
        self.issued += 1
        ends = (self.time + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return codec.encode({"status": {"token": f"token-{self.issued}", "expirationTimestamp": ends}})


async def test_a_token_that_cannot_be_renewed_is_used_on_and_asked_for_now_and_then(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert await machine.get() == "token-1"
    machine.api.go_down()
    machine.time += timedelta(hours=2)
    assert await machine.get() == "token-1"
    assert machine.tokens.renew_at(POD.uid) == machine.time.timestamp() + RETRY, "not at once, again and again"
    machine.api.come_up()
    machine.time += timedelta(seconds=RETRY)
    assert await machine.get() == "token-2"


async def test_a_new_process_without_api_server_has_the_old_token(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    await machine.get()
    await machine.shelves.flush()
    machine.api.go_down()
    machine.process()
    assert await machine.get() == "token-1"
    machine.tokens.forget(POD.uid)
    machine.process()
    with pytest.raises(ContentError, match="failed to fetch token"):
        await machine.get()
