"""
Notices that a process ("rank") of a distributed training died or hangs, says which one, and ends all the others.

A collective operation waits for every rank: one that is gone leaves the others waiting, or failing without a cause.
Here a thread of each rank talks to rank 0 over TCP, beside the collectives.
"""
import json
import os
import secrets
import selectors
import socket
import threading
import time

_MAX_BYTES = 8192    # of a message
_MAX_TEXT = 1000    # characters of a text in a message, each of which JSON may write in six bytes
_REPLY_TIMEOUT = 3.0    # seconds for what another rank answers at once
_SETTLE_TIME = 0.5    # seconds from a reported error to the verdict: a rank that died may be what caused the error
_ADVICE = "all ranks end; start the same command with --resume to go on from the last checkpoint"


def _one_line(text):
    return " ".join(str(text).split())[:_MAX_TEXT]


def _own_addresses():
    """Returns: list of names and IPv4 addresses that other machines may reach this one by, the likeliest first"""
    name, found = socket.gethostname(), []
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))    # sends nothing, but picks the interface that leads outside
            found.append(probe.getsockname()[0])
    except OSError:
        pass
    try:
        found += [info[4][0] for info in socket.getaddrinfo(name, None, socket.AF_INET)]
    except OSError:
        pass
    found = [ip for ip in found if not ip.startswith("127.")]
    return list(dict.fromkeys([*found, name, "127.0.0.1"]))


class _Link:
    """
    A connection with one JSON object a line in both directions.

    Attributes:
        rank (int): of the other side; None until it has shown the token
        joined (bool): whether a beat has come, so that both sides know of each other
        heard (float): when the last message came, in seconds of time.monotonic()
        step, age: the other side's last step, and the seconds since its last progress, when the last beat was sent
    """

    def __init__(self, sock):
        sock.settimeout(_REPLY_TIMEOUT)
        self.sock = sock
        self.rank, self.host, self.joined = None, "", False
        self.heard, self.step, self.age = time.monotonic(), 0, 0.0
        self._rest = b""

    def send(self, **message):
        try:
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass    # reading tells that the connection has ended

    def receive(self):
        """Returns: list of dicts; None when the connection has ended, or carries something else"""
        try:
            data = self.sock.recv(_MAX_BYTES)
            *lines, self._rest = (self._rest + data).split(b"\n")
            messages = [json.loads(line) for line in lines]
        except (OSError, ValueError, RecursionError):
            return None
        valid = data and len(self._rest) <= _MAX_BYTES and all(isinstance(message, dict) for message in messages)
        return messages if valid else None


class Watchdog:
    """
    Ends all ranks with the same line, like "rank 3 (host node7) ended unexpectedly; …", when one of them

    - died, or lost its connection: at once, "ended unexpectedly";
    - is stopped, or its machine is gone: after `patience`, "does not answer";
    - left by an exception: `stop(error=…)` tells the others, "rank 3 (host node7): …";
    - hangs, if `limit` is given: see `progress`.

    Rank 0 watches the others, who watch rank 0. It tells them what it saw before it ends. A rank that cannot connect to
    rank 0 is not watched; rank 0 prints a warning about it.

    Start it on all ranks at the same point, before the first step, and stop it after the last collective.

    Args:
        rank, size (int): of this process, and number of processes. A single process is not watched.
        exchange (callable): a collective that takes rank 0's address, None on other ranks, and returns rank 0's on all.
            An address is a tuple (host names, TCP port, secret) of list[str], int, str, or None.
        patience (float): seconds without a beat until a rank counts as lost. Ten beats are sent in this time.
        limit (float): seconds without progress on any rank until the job counts as hanging; None: never
        on_failure (callable): called in the watchdog's thread with the line to print. By default the line goes to what
            is stderr when the watchdog starts, and the process ends at once with status 1.
    """

    def __init__(self, rank, size, exchange, patience=30.0, limit=None, on_failure=None):
        self.rank, self.size, self.patience, self.limit = rank, size, patience, limit
        self._exchange, self._on_failure = exchange, on_failure or self._end_process
        self._host = _one_line(socket.gethostname())
        self._stderr, self._thread, self._listener = 2, None, None
        self._links, self._seen = set(), set()
        self._stop_asked, self._error, self._verdict, self._done = threading.Event(), None, None, False
        self._step, self._progressed = 0, time.monotonic()

    def start(self):
        """Begin to watch, without waiting for the other ranks but in `exchange`, whose errors pass. Returns: self"""
        if self.size == 1 or self._thread is not None:
            return self
        self._stderr = os.dup(2)    # file descriptor 2 itself may be redirected when the line is due
        address = self._exchange(self._listen() if self.rank == 0 else None)
        if address is None:
            return self
        self._addresses, self._port, self._token = address
        self._selector = selectors.DefaultSelector()
        self._alarm, self._alarmed = socket.socketpair()
        os.register_at_fork(after_in_child=self._forget)
        self._progressed = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self._thread.start()
        return self

    def stop(self, error=None):
        """
        Say goodbye to the other ranks, who go on. A process that ends without it counts as failed.

        Args:
            error (str): one line that says why this rank fails. All others print it and end; this one returns from
                here, unless another rank's failure came first, which then ends this one as well.
        """
        if self._thread is None:
            return
        self._error = error and _one_line(error)
        self._stop_asked.set()
        try:
            self._alarm.send(b"!")
        except OSError:
            pass    # the thread has ended: rank 0 said goodbye
        self._thread.join(10)
        self._thread = None
        self._alarm.close()

    def progress(self, step=None):
        """
        Tell that the main thread got something done. With `limit`, the job ends when no rank has told so for that long.

        Ranks wait for each other, so all stall when one hangs. It is named if it is at a smaller `step` than others:
        call this right before the collective of each step, and a rank that hangs between two collectives is named.
        One that hangs inside a collective cannot be: all are at the same step then, and the line says no more.

        Args:
            step (int): number of the step, the same on all ranks; without it still the one before
        """
        self._step = self._step if step is None else int(step)
        self._progressed = time.monotonic()

    def _end_process(self, message):
        try:
            os.write(self._stderr, (message + "\n").encode(errors="replace"))
        finally:
            os._exit(1)    # the main thread waits in a collective and cannot be interrupted

    def _warn(self, message):
        os.write(self._stderr, f"warning: {message}; the training goes on\n".encode(errors="replace"))

    def _listen(self):
        try:
            self._listener = socket.create_server(("", 0), backlog=self.size)
        except OSError as e:
            self._warn(f"rank 0 (host {self._host}) cannot listen on a TCP port ({e}), so no rank is watched")
            return None
        return _own_addresses(), self._listener.getsockname()[1], secrets.token_hex()

    def _run(self):
        try:
            if self.rank:
                self._connect()
            self._watch()
        except Exception as e:    # a fault in here must not end the training
            self._warn(f"rank {self.rank} (host {self._host}) watches no more: {type(e).__name__}: {e}")
            self._part(goodbye=True)
        finally:
            self._close()

    def _connect(self):
        deadline = time.monotonic() + self.patience
        while not self._links and time.monotonic() < deadline and not self._stop_asked.wait(0.2):
            for host in self._addresses:
                if self._greet(host):
                    break

    def _greet(self, host):
        """Returns: whether rank 0 was found at `host`"""
        try:
            link = _Link(socket.create_connection((host, self._port), timeout=_REPLY_TIMEOUT))
        except (OSError, UnicodeError):
            return False
        link.send(hello=self.rank, host=self._host, token=self._token)
        first, *rest = link.receive() or [{}]
        if "welcome" not in first:
            link.sock.close()
            return False
        link.rank, link.host, link.joined = 0, first["welcome"], True
        self._add(link)
        for message in rest:
            self._take(link, message)
        return True

    def _watch(self):
        self._selector.register(self._alarmed, selectors.EVENT_READ, self._obey_stop)
        if self._listener:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        beat_due, join_due = 0, time.monotonic() + self.patience
        while not self._done and (self.rank == 0 or self._links):
            before = time.monotonic()
            if before >= beat_due:
                beat_due = before + self.patience / 10
                self._beat(before)
            for key, _ in self._selector.select(min(beat_due - before, _SETTLE_TIME)):
                key.data()
            now = time.monotonic()
            if now - before > self.patience / 2:
                self._forgive(now)
            if self.rank == 0 and now > join_due:
                join_due = float("inf")
                self._report_missing()
            self._judge(now)

    def _beat(self, now):
        for link in self._links:
            if link.rank is not None:
                link.send(beat=self._step, age=now - self._progressed)

    def _forgive(self, now):
        """This process was itself stopped for a while: what it missed is not the others' fault."""
        self._progressed = now
        for link in self._links:
            link.heard = now

    def _judge(self, now):
        """Find ranks that are silent, an error whose verdict is due, and a job without progress."""
        for link in list(self._links):
            silence = now - link.heard
            if link.rank is None and silence > _REPLY_TIMEOUT:
                self._drop(link)
            elif link.rank is not None and silence > self.patience:
                self._lose(link, f"does not answer for {self.patience:.0f} s")
        if self._verdict and now >= self._verdict[0]:
            self._conclude(*self._verdict[1:])
        elif self.limit and self.rank == 0:
            self._judge_progress(now)

    def _judge_progress(self, now):
        others = [(link.step, link.age + now - link.heard, link.rank, link.host) for link in self._links if link.joined]
        if not others:
            return    # nobody waits for this rank, which may compute metrics
        ranks = [(self._step, now - self._progressed, 0, self._host), *others]
        if min(age for _, age, _, _ in ranks) < self.limit:
            return
        step, age, rank, host = min(ranks)
        if step < max(ranks)[0]:
            self._conclude(
                rank, f"rank {rank} (host {host}) has made no progress for {age:.0f} s while others wait; {_ADVICE}")
        else:
            self._conclude(None, f"no rank has made progress for {self.limit:.0f} s, and all are at step {step}, so "
                                 f"which one hangs is not known; {_ADVICE}")

    def _report_missing(self):
        missing = ", ".join(map(str, sorted(set(range(1, self.size)) - self._seen)))
        if missing:
            self._warn(f"not connected to rank 0 (host {self._host}, TCP port {self._port}) after {self.patience:.0f} "
                       f"s, so not watched: rank {missing}. Let the hosts of the job connect to each other by TCP")

    def _accept(self):
        try:
            self._add(_Link(self._listener.accept()[0]))
        except OSError:
            time.sleep(0.1)    # without a free file descriptor, say, it would be asked again at once

    def _add(self, link):
        self._links.add(link)
        self._selector.register(link.sock, selectors.EVENT_READ, lambda: self._read(link))

    def _drop(self, link):
        if link in self._links:
            self._links.remove(link)
            self._selector.unregister(link.sock)
            link.sock.close()

    def _read(self, link):
        if link not in self._links or self._done:
            return
        messages = link.receive()
        if messages is None and link.joined:
            self._lose(link, "ended unexpectedly")
        elif messages is None:
            self._drop(link)
        for message in messages or []:
            self._take(link, message)

    def _take(self, link, message):
        link.heard = time.monotonic()
        if link.rank is None:
            self._admit(link, message)
        elif "beat" in message:
            link.joined, link.step, link.age = True, message["beat"], message["age"]
            self._seen.add(link.rank)
        elif "goodbye" in message:
            self._drop(link)
        elif "error" in message:
            self._suspect(link.rank, link.host, message["error"])
        elif "failure" in message:
            self._conclude(message["rank"], message["failure"])

    def _admit(self, link, message):
        """Take a connection for the rank that it says it is from, if it has the token."""
        token, rank = str(message.get("token")).encode(errors="replace"), message.get("hello")
        known = secrets.compare_digest(token, self._token.encode())
        if not known or rank not in range(1, self.size) or rank in self._seen:
            self._drop(link)
            return
        for other in [other for other in self._links if other.rank == rank]:
            self._drop(other)    # an attempt that took too long
        link.rank, link.host = rank, _one_line(message.get("host"))
        link.send(welcome=self._host)

    def _suspect(self, rank, host, error):
        """An error is the cause unless a rank turns out to have died: then others fail in their collectives."""
        if self._verdict is None:
            self._verdict = time.monotonic() + _SETTLE_TIME, rank, f"rank {rank} (host {host}): {error}"

    def _lose(self, link, how):
        message = f"rank {link.rank} (host {link.host}) {how}; {_ADVICE}"
        link.send(failure=message, rank=link.rank)    # read if it wakes up
        self._drop(link)
        self._conclude(link.rank, message)

    def _conclude(self, rank, message):
        """Tell the others about the failure of `rank`, and end this one too, unless it is that rank and in `stop`."""
        if self._done:
            return
        self._part(failure=message, rank=rank)
        if rank != self.rank or self._error is None:
            self._on_failure(message)

    def _obey_stop(self):
        self._selector.unregister(self._alarmed)
        if self._error is not None and self.rank == 0:
            self._suspect(0, self._host, self._error)
        elif self._error is not None:
            for link in self._links:
                link.send(error=self._error)
        elif self._verdict is None and not self._done:
            self._part(goodbye=True)

    def _part(self, **message):
        """Send the last message and wait until the others have closed: to close first could discard it."""
        self._done = True
        for link in self._links:
            if link.rank is not None:
                link.send(**message)
            try:
                link.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        deadline = time.monotonic() + _REPLY_TIMEOUT
        for link in self._links:
            link.sock.settimeout(max(deadline - time.monotonic(), 0))
            while link.rank is not None and link.receive() is not None:
                link.sock.settimeout(max(deadline - time.monotonic(), 0))

    def _close(self):
        for thing in (self._selector, self._alarmed, self._listener, *(link.sock for link in self._links)):
            if thing:
                thing.close()

    def _forget(self):
        """In a forked child: its copy of a connection would keep that open when this rank has ended."""
        if self._thread is not None:
            self._thread = None
            self._alarm.close()
            self._close()
