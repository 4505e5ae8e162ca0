"""Talk nf_tables to the kernel: send transactions, list what a recovery needs, delete the table.

One send can hold a whole ruleset: the kernel applies a batch while `send` runs, so an answer is there when it returns.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from pyroute2.netlink.nlsocket import NetlinkSocket

from pyproxy import errors
from pyproxy.act.nftables import batch, elements
from pyproxy.act.nftables.batch import Command
from pyproxy.decide import clients
from pyproxy.decide.nft_text import Told
from pyproxy.model import ruleset as rs
from pyproxy.model.address import Family
from pyproxy.model.transaction import Transaction
from pyproxy.netlink import wire
from pyproxy.netlink.wire import Flag, Message

_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_RECEIVE_BUFFER: Final = 8 << 20
_NUMBERS: Final = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_SUBSYSTEM: Final = wire.NFNL_SUBSYS_NFTABLES << 8
_CAPPED, _EXTENDED = 0x100, 0x200


class Kernel:
    """A netlink socket in this network namespace, or in the named one `netns`. Raises RulesetError where it may not."""

    def __init__(self, netns: str | None = None) -> None:
        self._carrier = NetlinkSocket(family=wire.NETLINK_NETFILTER, netns=netns, ext_ack=True)
        self._socket: socket.socket = self._carrier.asyncore.socket
        try:
            self._socket.bind((0, 0))
            self._widen()
        except PermissionError as e:
            self._carrier.close()
            what = f"opening nf_tables: {e.strerror}"
            raise errors.RulesetError(f"{what}: run it as root, or with the capability CAP_NET_ADMIN") from e
        self._send_buffer = 0
        self._sequence = 1

    @property
    def port(self) -> int:
        """What the kernel calls this socket when it tells others of our changes."""
        return int(self._socket.getsockname()[0]) & 0xFFFFFFFF  # Python reads it signed

    def close(self) -> None:
        """Give the socket back."""
        self._carrier.close()

    def apply(self, transaction: Transaction, *, from_nothing: bool = False) -> None:
        """Apply a transaction whole or not at all. Raises RulesetError with the kernel's reason."""
        self._batch(batch.commands(transaction, from_nothing=from_nothing), transaction.family)

    def delete_table(self, family: Family, name: str = rs.TABLE) -> bool:
        """Remove our table, or another's that we take over from; whether there was one."""
        try:
            self._batch([batch.delete_table(name)], family)
        except errors.RulesetError as e:
            if isinstance(e.__cause__, FileNotFoundError):
                return False
            raise
        return True

    def chain_names(self, family: Family) -> set[str]:
        """The chains in our table. Their number does not depend on how many Services there are."""
        names = set()
        for answer in self._dump(Message.GETCHAIN, family, wire.string(1, rs.TABLE)):
            found = wire.attributes(answer)
            # The kernel lists every table's chains when it does not filter.
            if found.get(1) == rs.TABLE.encode() + b"\0":
                names.add(found[3].rstrip(b"\0").decode())
        return names

    def elements(self, family: Family, one: rs.Set) -> dict[bytes, Told]:
        """What a set holds now; a verdict in words, an interval's last key as its value.

        For tests, `dump` and `explain`: it costs about 5 us an element.
        """
        return dict(map(elements.read, self._listed(family, one)))

    def counts(self, family: Family, one: rs.Set) -> dict[bytes, int]:
        """How many packets each element of a counting set has met since it was added."""
        return dict(map(elements.read_count, self._listed(family, one)))

    def _listed(self, family: Family, one: rs.Set) -> Iterator[bytes]:
        body = wire.string(1, rs.TABLE) + wire.string(2, one.spec.name)
        for answer in self._dump(Message.GETSETELEM, family, body):
            listed = wire.attributes(answer).get(3, b"")
            offset = 0
            while offset + 4 <= len(listed):
                (length,) = struct.unpack_from("=H", listed, offset)
                yield listed[offset + 4 : offset + length]
                offset += (length + 3) & ~3

    def forget_clients(self, change: Transaction) -> None:
        """Let clients with session affinity go whose backend left with a change, so that their next call finds another.

        This reads the clients remembered, so it is for changes that take a backend from a Service with affinity alone.
        """
        remembered = self.elements(change.family, rs.Set.AFFINITY)
        for key in clients.left(change, remembered):
            try:
                self.apply(Transaction(change.family, removed={rs.Set.AFFINITY: (key,)}))
            except errors.RulesetError as error:
                if not isinstance(error.__cause__, FileNotFoundError):  # its time was up meanwhile
                    raise

    def there(self) -> bool:
        """Whether this kernel has nf_tables at all."""
        try:
            self.generation()
        except OSError:
            return False
        return True

    def generation(self) -> int:
        """A number that is one more with every change anybody makes to any table. Raises OSError."""
        self._sequence += 1
        self._send(wire.message(_SUBSYSTEM | Message.GETGEN, Flag.REQUEST, self._sequence))
        while True:
            for kind, _, sequence, _, payload in wire.messages(self._socket.recv(1 << 16)):
                if sequence != self._sequence:
                    continue
                if kind == wire.ERROR:
                    (code,) = struct.unpack_from("=i", payload)
                    raise OSError(-code, f"asking for the generation of nf_tables: {os.strerror(-code)}")
                return int(struct.unpack_from(">I", payload, 8)[0])

    def _batch(self, commands: Iterable[Command], family: Family) -> None:
        first = self._sequence + 1
        parts = [wire.message(wire.BATCH_BEGIN, Flag.REQUEST, first, resource=wire.NFNL_SUBSYS_NFTABLES)]
        labels = ["begin the batch"]
        number = first
        for command in commands:
            number += 1
            flags = Flag.REQUEST | command.flags
            kind = _SUBSYSTEM | command.message
            parts.append(wire.message(kind, flags, number, family=_NUMBERS[family], body=command.body))
            labels.append(command.label)
        parts.append(wire.message(wire.BATCH_END, Flag.REQUEST, number + 1, resource=wire.NFNL_SUBSYS_NFTABLES))
        self._sequence = number + 1
        data = b"".join(parts)
        try:
            self._send(data)
            self._drain(first, labels, family)
        except OSError as e:
            if e.errno == errno.ENOBUFS:  # an answer was lost, so nobody knows what became of the batch
                self._widen()
            what = f"{family.word} table {rs.TABLE}: sending {len(data)} bytes"
            raise errors.RulesetError(f"{what}: {os.strerror(e.errno or 0)}") from e

    def _send(self, data: bytes) -> None:
        """A batch must fit into the send buffer whole."""
        if len(data) * 2 > self._send_buffer:
            self._send_buffer = max(len(data) * 2, 1 << 20)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, self._send_buffer)
        self._socket.send(data)

    def _widen(self) -> None:
        """Make the receive buffer what it should be: somebody may have made it smaller."""
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)

    def _drain(self, first: int, labels: list[str], family: Family) -> None:
        """Read every answer; the first error is the reason, the others follow from it."""
        reasons = []
        while True:
            try:
                answers = self._socket.recv(1 << 20, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            for kind, flags, sequence, _, payload in wire.messages(answers):
                if kind == wire.ERROR:
                    (code,) = struct.unpack_from("=i", payload)
                    if code:
                        index = sequence - first
                        label = labels[index] if 0 <= index < len(labels) else "an earlier request"
                        reasons.append((-code, label, _explanation(payload, flags)))
        if reasons:
            code, label, explanation = reasons[0]
            reason = f"{errno.errorcode.get(code, code)}{': ' + explanation if explanation else ''}"
            cause = OSError(code, os.strerror(code))
            raise errors.RulesetError(f"{family.word} table {rs.TABLE}: {label}: {reason}") from cause

    def _dump(self, kind: Message, family: Family, body: bytes) -> Iterator[bytes]:
        self._sequence += 1
        flags = Flag.REQUEST | Flag.DUMP
        self._send(wire.message(_SUBSYSTEM | kind, flags, self._sequence, family=_NUMBERS[family], body=body))
        while True:
            for answer, _, sequence, _, payload in wire.messages(self._socket.recv(1 << 20)):
                if sequence != self._sequence:
                    continue
                if answer == wire.DONE:
                    return
                if answer == wire.ERROR:
                    (code,) = struct.unpack_from("=i", payload)
                    if -code == errno.ENOENT:
                        return
                    raise errors.RulesetError(f"listing table {rs.TABLE}: {os.strerror(-code)}")
                yield payload[4:]


def _explanation(payload: bytes, flags: int) -> str:
    """What the kernel adds to an error number, when it does."""
    if not flags & _EXTENDED:
        return ""
    (length,) = struct.unpack_from("=I", payload, 4)
    start = 20 if flags & _CAPPED else 4 + ((length + 3) & ~3)
    return wire.attributes(payload[start:]).get(1, b"").rstrip(b"\0").decode(errors="replace")
