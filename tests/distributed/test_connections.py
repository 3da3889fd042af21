"""The connections of rank 0 with the others: who is let in, and who finds it."""
import json
import socket
import threading

import common  # noqa: F401

import pytest

from distributed import connections
from distributed.watchdog import Watchdog

HOST = socket.gethostname()
DEADLINE = 60    # seconds for anything, on a loaded machine


class RankZero:
    """A rank 0 of two in this process that waits for rank 1 until `watch`."""

    def __init__(self):
        self.address, self._is_listening, self._connected = None, threading.Event(), threading.Event()
        self.watchdog = Watchdog(0, 2, self._gather)
        self._thread = threading.Thread(target=self.watchdog.start)
        self._thread.start()
        self._is_listening.wait(DEADLINE)

    def _gather(self, value):
        if self.address is None:
            self.address = value
            self._is_listening.set()
            return [value, None]
        self._connected.wait(DEADLINE)
        return [True, bool(self.watchdog._connections.peers)]

    def watch(self):
        self._connected.set()
        self._thread.join()

    def answer_to(self, **message):
        """Returns: bytes that it sends back until it closes the connection"""
        return self.answer_to_line(json.dumps({"token": self.address[2], "host": "a", **message}).encode() + b"\n")

    def answer_to_line(self, line):
        with socket.create_connection(("127.0.0.1", self.address[1]), timeout=DEADLINE) as sock:
            try:
                sock.sendall(line)
                return sock.makefile("rb").readline()
            except (ConnectionResetError, BrokenPipeError):
                return b""

    def is_well(self):
        return json.loads(self.answer_to(rank=1))["host"] == HOST


@pytest.fixture
def rank_0(monkeypatch):
    monkeypatch.setattr(Watchdog, "_end", lambda *args: None)    # a rank that leaves would end this process
    rank_0 = RankZero()
    yield rank_0
    rank_0.watch()
    rank_0.watchdog.stop()


def test_strangers_are_sent_away_and_end_nothing(rank_0):
    for message in ({"rank": 1, "token": "0" * 64}, {"rank": 1, "token": None}, {"rank": 1, "token": "\ud800"},
                    {"rank": 0}, {"rank": 2}, {"rank": [1]}, {"verdict": "x"}, {"rank": 1, "token": "0" * 9999}):
        assert rank_0.answer_to(**message) == b"", message
    for line in (b"[" * 5000 + b"\n", b"\xff\n", b"1\n", b"x" * 50000):
        assert rank_0.answer_to_line(line) == b"", line
    assert rank_0.is_well()


def test_a_stranger_that_says_nothing_is_sent_away(monkeypatch, rank_0):
    monkeypatch.setattr(connections, "_CONNECT_TIME", 0.2)
    assert rank_0.answer_to_line(b"") == b""
    assert rank_0.is_well()


def test_rank_0_warns_of_a_rank_that_cannot_connect_and_goes_on(capfd):
    rank_0 = RankZero()
    rank_0.watch()
    stderr = capfd.readouterr().err
    rank_0.watchdog.stop()
    assert stderr.startswith(f"warning: not connected to rank 0 (host {HOST}), TCP port ")
    assert "not watched: rank 1. " in stderr and stderr.endswith("the training goes on\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid", ""])
def test_a_rank_that_cannot_reach_rank_0_goes_on(host):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gathered = []

    def gather(value):
        gathered.append(value)
        return [[[host], port, "0" * 64], value]

    Watchdog(1, 2, gather).start().stop()
    assert gathered == [None, False]


def test_rank_0_is_found_behind_the_first_address_that_works(rank_0):
    _, port, token = rank_0.address
    gathered = []

    def gather(value):
        gathered.append(value)
        return [[["no.such.host.invalid", "127.0.0.1"], port, token], value]

    dog = Watchdog(1, 2, gather).start()
    assert gathered == [None, True]
    dog.stop()
