"""TCP connections between rank 0 of a job and every other rank, beside the job's collective operations."""
import asyncio
import contextlib
import json
import os
import secrets
import socket
import time

_MAX_BYTES = 8192    # of a message
_CONNECT_TIME = 10.0    # seconds to connect with rank 0
_PART_TIME = 3.0    # seconds for the others to close their connections
# a machine that says nothing for 10 s is asked 4 times, 5 s apart; macOS has the second name for the first
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPALIVE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}


class Peer:
    """
    Another rank, with which one JSON object a line is exchanged.

    Attributes:
        rank (int), host (str): of the other side
        leaves (bool): whether it said why its connection will end
        answer: what it answered to the last question
    """

    def __init__(self, rank, host, reader, writer):
        self.rank, self.host, self.reader, self.writer = rank, " ".join(str(host).split()), reader, writer
        self.leaves, self.answer = False, None
        self.socket = writer.get_extra_info("socket")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if hasattr(socket, option):
                self.socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def send(self, **message):
        self.writer.write(json.dumps(message).encode() + b"\n")


class Connections:
    """
    The connections of one rank: of rank 0 with all others, of the others with rank 0.

    The coroutines run in one event loop. A connection that ends is noticed at once when the process at its other end is
    gone, and after 30 s when the machine or the network is.

    Args:
        rank, size (int): of this process, and number of processes
        on_message (callable): takes a Peer and a dict, its message
        on_end (callable): takes a Peer whose connection has ended, and the OSError or None

    Attributes:
        peers (dict): of Peer by rank, which are connected
    """

    def __init__(self, rank, size, on_message, on_end):
        self.rank, self.size, self.peers = rank, size, {}
        self._on_message, self._on_end, self._tasks = on_message, on_end, set()

    async def listen(self):
        """Returns: (host names and addresses of this rank, TCP port, secret), for `connect` on the other ranks"""
        self._token = secrets.token_hex()
        self._server = await asyncio.start_server(self._greet, "0.0.0.0", 0, backlog=self.size, limit=_MAX_BYTES)
        return _own_addresses(), self._server.sockets[0].getsockname()[1], self._token

    def close_port(self):
        """Take no more connections."""
        self._server.close()

    async def connect(self, hosts, port, token):
        """Returns: whether rank 0 was found at one of the `hosts`"""
        self._token = token
        for host in hosts:
            with contextlib.suppress(OSError, UnicodeError, asyncio.TimeoutError):    # an OSError from Python 3.11 on
                connection = asyncio.open_connection(host, port, limit=_MAX_BYTES)
                if await self._greet(*await asyncio.wait_for(connection, _CONNECT_TIME)):
                    return True
        return False

    async def part(self, **message):
        """Send all a last message, and wait until they have closed: to close first could discard it."""
        for peer in self.peers.values():
            peer.send(**message)
            with contextlib.suppress(OSError):    # it may be gone already
                peer.writer.write_eof()
        deadline = time.monotonic() + _PART_TIME
        while self.peers and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def forget(self):
        """In a forked child: its copies would keep the connections open when this rank has ended."""
        with open(os.devnull) as null:
            for peer in self.peers.values():
                os.dup2(null.fileno(), peer.socket.fileno(), inheritable=False)

    async def _greet(self, reader, writer):
        """Exchange names with what may be a rank. Returns: whether it is, which its token tells"""
        hello = json.dumps({"rank": self.rank, "host": socket.gethostname(), "token": self._token}).encode() + b"\n"
        try:
            if self.rank:
                writer.write(hello)
            answer = json.loads(await asyncio.wait_for(reader.readline(), _CONNECT_TIME))
            rank, host, token = answer["rank"], answer["host"], str(answer["token"]).encode(errors="replace")
            is_known = secrets.compare_digest(token, self._token.encode())
            if not is_known or rank == self.rank or rank not in range(self.size):
                raise ValueError(rank)
        except (OSError, asyncio.TimeoutError, ValueError, TypeError, LookupError, RecursionError):
            writer.close()
            return False
        if not self.rank:
            writer.write(hello)
        self.peers[rank] = Peer(rank, host, reader, writer)
        task = asyncio.ensure_future(self._follow(self.peers[rank]))
        self._tasks.add(task)    # asyncio itself may forget it
        return True

    async def _follow(self, peer):
        error = None
        try:
            async for line in peer.reader:
                self._on_message(peer, json.loads(line))
        except (OSError, ValueError) as e:
            error = e
        peer.writer.close()
        if self.peers.get(peer.rank) is peer:
            del self.peers[peer.rank]
            self._on_end(peer, error)


def _own_addresses():
    """Returns: list of names and IPv4 addresses that other machines may reach this one by, the likeliest first"""
    addresses = [socket.gethostname(), "127.0.0.1"]
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))    # sends nothing, but picks the interface that leads outside
        addresses.insert(0, probe.getsockname()[0])
    return addresses
