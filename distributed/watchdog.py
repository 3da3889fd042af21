"""
Says which process ("rank") of a job died or hangs, and ends all the others.

When a rank is gone, Horovod lets the collective operations of the others fail, without a name, or never end where a GPU
waits; `horovodrun` ends only what runs on its own machine. So each rank has a connection with rank 0. Nothing is asked
while all goes well: a rank that keeps Python's lock for long is never taken for dead.
"""
import asyncio
import os
import select
import signal
import socket
import threading
import time

from distributed.connections import Connections

_MAX_TEXT = 1000    # characters of an error, each of which JSON may write in six bytes
_ANSWER_TIME = 10.0    # seconds for a rank to answer, once the job has failed or hangs
_VERDICT_TIME = 16.0    # seconds for rank 0 to find the cause of an error
_WATCH_PERIOD = 5.0    # seconds
_ORPHAN_TIME = 15.0    # seconds without a reader of its output, until a rank is stopped as its launcher would
_ADVICE = "all ranks end; start the same command with --resume to go on from the last checkpoint"


class Watchdog:
    """
    Ends all ranks with the same line on stderr and status 1 when one of them

    - died: at once, "rank 3 (host node7) ended unexpectedly; …";
    - is gone with its machine or network: after 30 s, "rank 3 (host node7) does not answer; …";
    - is stopped, so that the collective operations of the others fail: after 10 s more, likewise;
    - left by an exception: `stop(error=…)` tells the others, "rank 3 (host node7): …";
    - hangs, if `limit` is given: see `progress`.

    A rank whose launcher is gone gets SIGTERM. One that cannot connect to rank 0 is not watched; a warning names it.
    Start it on all ranks at the same point, and stop it after the last collective.

    Args:
        rank, size (int): of this process, and number of processes. A single process is not watched.
        gather (callable): a collective, which gives a list of its arguments on all ranks
        limit (float): seconds without progress on any rank until the job counts as hanging; None: never
    """

    def __init__(self, rank, size, gather, limit=None):
        self.rank, self.size, self.limit = rank, size, limit
        self._gather, self._name = gather, f"rank {rank} (host {socket.gethostname()})"
        self._connections = Connections(rank, size, self._obey, self._lose)
        self._loop, self._tasks = None, set()
        self._error, self._searching, self._ended = None, False, False
        self._step, self._progressed = 0, None

    def start(self):
        """Begin to watch. Errors of `gather` pass. Returns: self"""
        if self.size > 1:
            self._stderr = os.dup(2)    # file descriptor 2 itself may be redirected when the line is due
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="watchdog", daemon=True).start()
            self._verdict = self._wait_for(_new_event())
            os.register_at_fork(after_in_child=self._forget)
            address = self._gather(None if self.rank else self._wait_for(self._connections.listen()))[0]
            watched = self._gather(not self.rank or self._wait_for(self._connections.connect(*address)))
            self._wait_for(self._watch(watched, address[1]))
        return self

    def stop(self, error=None, is_symptom=False):
        """
        Say goodbye to the other ranks, who go on. A process that ends without it counts as failed.

        Args:
            error (str): one line that says why this rank fails. All others print it and end; this one returns from
                here, unless another rank's failure came first, which then ends this one as well.
            is_symptom (bool): it is the error of a collective operation, so another rank is named if one is gone
        """
        if self._loop:
            self._error = error and " ".join(error.split())[:_MAX_TEXT]
            self._wait_for(self._leave(is_symptom))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

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

    def pause(self):
        """What this rank does before its next `progress` may take any time, as may what it does before its first."""
        self._progressed = None

    def _state(self):
        """Returns: list of the last step, and of the seconds since the last progress"""
        return [self._step, 0 if self._progressed is None else time.monotonic() - self._progressed]

    def _wait_for(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _begin(self, coroutine):
        self._tasks.add(asyncio.ensure_future(coroutine))    # asyncio itself may forget it

    def _forget(self):
        self._loop = None
        self._connections.forget()

    async def _watch(self, watched, port):
        if self.rank == 0:
            self._connections.close_port()
            if not all(watched):
                missing = ", ".join(str(rank) for rank in range(self.size) if not watched[rank])
                self._print(f"warning: not connected to {self._name}, TCP port {port}, so not watched: rank {missing}. "
                            "Let the hosts of the job connect to each other by TCP; the training goes on")
            if self.limit:
                self._begin(self._watch_progress())
        self._begin(self._watch_launcher())

    def _lose(self, peer, error):
        if not peer.leaves:
            how = "does not answer" if isinstance(error, TimeoutError) else "ended unexpectedly"
            self._end(peer.rank, f"{_name(peer)} {how}; {_ADVICE}")

    def _obey(self, peer, message):
        if "question" in message:
            peer.send(answer=self._state())
        elif "answer" in message:
            peer.answer = message["answer"]
        elif "verdict" in message:
            self._end(message["rank"], message["verdict"])
        else:
            peer.leaves = True
            if "error" in message:
                self._begin(self._judge(peer.rank, f"{_name(peer)}: {message['error']}", message["is_symptom"]))

    async def _leave(self, is_symptom):
        if self._error is None and not self._ended:
            self._ended = True
            await self._connections.part(goodbye=True)
        elif self.rank == 0:
            await self._judge(0, f"{self._name}: {self._error}", is_symptom)
            await self._verdict.wait()
        else:
            for peer in list(self._connections.peers.values()):    # rank 0, unless it has ended well
                peer.send(error=self._error, is_symptom=is_symptom)
                try:
                    await asyncio.wait_for(self._verdict.wait(), _VERDICT_TIME)
                except asyncio.TimeoutError:    # TimeoutError itself from Python 3.11 on
                    if is_symptom:
                        self._end(0, f"{_name(peer)} does not answer; {_ADVICE}")

    async def _judge(self, rank, error, is_symptom):
        """Rank 0 ends the job for an error, or for a rank that is gone and may have caused it."""
        if self._ended or is_symptom and self._searching:
            return
        if is_symptom:
            self._searching = True
            for peer in await self._ask():
                self._end(peer.rank, f"{_name(peer)} does not answer; {_ADVICE}")
        self._end(rank, error)

    async def _ask(self):
        """Ask the others for their state. Returns: list of those that do not answer"""
        peers = self._connections.peers
        for peer in peers.values():
            peer.answer = None
            peer.send(question=True)
        deadline = time.monotonic() + _ANSWER_TIME
        while (silent := [peer for peer in peers.values() if not peer.answer]) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        return silent

    async def _watch_progress(self):
        while True:
            before = time.monotonic()
            await asyncio.sleep(min(_WATCH_PERIOD, self.limit / 4))
            if time.monotonic() - before > self.limit / 2:
                self.progress()    # the job was itself stopped meanwhile
            if self._state()[1] > self.limit:
                await self._judge_progress()

    async def _judge_progress(self):
        silent, peers = await self._ask(), self._connections.peers.values()
        states = [(*self._state(), self._name), *((*peer.answer, _name(peer)) for peer in peers if peer.answer)]
        if not peers or min(age for _, age, _ in states) < self.limit:
            return    # nobody waits for this rank, or it waits for others that go on
        step, age, name = min(states)
        if silent:
            line = f"{_name(silent[0])} does not answer"
        elif step < max(states)[0]:
            line = f"{name} has made no progress for {age:.0f} s while others wait"
        else:
            line = (f"no rank has made progress for {self.limit:.0f} s, and all are at step {step}, so which one hangs "
                    "is not known")
        self._end(None, f"{line}; {_ADVICE}")

    async def _watch_launcher(self):
        """End this rank as its launcher would, when nobody reads its output any more."""
        output = select.poll()
        output.register(1, 0)
        periods = 0
        while periods * _WATCH_PERIOD < _ORPHAN_TIME:
            await asyncio.sleep(_WATCH_PERIOD)
            is_lost = any(event & (select.POLLERR | select.POLLHUP) for _, event in output.poll(0))
            periods = periods + 1 if is_lost else 0
        os.kill(os.getpid(), signal.SIGTERM)

    def _end(self, rank, line):
        """End all ranks for a failure of `rank`, this one too, unless it is that rank and in `stop`."""
        if not self._ended:
            self._ended = True
            self._begin(self._tell(rank, line))

    async def _tell(self, rank, line):
        ends_by_itself = rank == self.rank and self._error is not None
        try:
            if not ends_by_itself:
                self._print(line)    # first, as a launcher may kill this rank once another has ended
            if self.rank == 0:
                await self._connections.part(verdict=line, rank=rank)
        finally:
            if not ends_by_itself:
                os._exit(1)    # the main thread waits in a collective and cannot be interrupted
        self._verdict.set()

    def _print(self, line):
        os.write(self._stderr, (line + "\n").encode(errors="replace"))


async def _new_event():
    """Returns: asyncio.Event of the running loop, to which Python 3.9 ties it when it is made"""
    return asyncio.Event()


def _name(peer):
    return f"rank {peer.rank} (host {peer.host})"
