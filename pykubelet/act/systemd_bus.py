"""A D-Bus connection to systemd: over the system bus, or to systemd itself where no bus runs, as on a node of kind.

Imported only where it is used: the library costs a kubelet without systemd time and memory.
Source: coreos/go-systemd, dbus.NewWithContext.
"""

from pathlib import Path
from typing import Final

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

PRIVATE: Final = Path("/run/systemd/private")
"""Where systemd listens by itself; for root only."""
_HELLO: Final = 1
"""The serial of the first message of a connection."""


async def connect() -> MessageBus:
    """The connection. OSError tells why there is none."""
    try:
        return await MessageBus(bus_type=BusType.SYSTEM).connect()
    except (OSError, EOFError) as no_bus:
        try:
            return await _Peer(bus_address=f"unix:path={PRIVATE}").connect()
        except (OSError, EOFError) as error:
            raise OSError(f"{no_bus}; {PRIVATE}: {error}") from error


class _Peer(MessageBus):
    """A connection without a bus between: nobody is there to say who we are when we say hello."""

    def _process_message(self, msg: Message) -> None:
        if msg.message_type is MessageType.ERROR and msg.reply_serial == _HELLO:
            msg = Message(message_type=MessageType.METHOD_RETURN, reply_serial=_HELLO, signature="s", body=[":peer.1"])
        super()._process_message(msg)
