"""The watchdog: what other ranks say and do when one of them dies, stops, hangs, fails or finishes."""
import ctypes
import json
import multiprocessing
import os
import signal
import socket
import sys
import time

import common  # noqa: F401

import pytest

from distributed import connections, watchdog
from distributed.watchdog import Watchdog

HOST = socket.gethostname()
DEADLINE = 60    # seconds for anything, on a loaded machine


class Job:
    """Three ranks in processes of their own, which share no lock of Python's. This one is none of them."""

    def __init__(self, folder):
        self.folder, self.ranks, self._gathers = folder, [], 0

    def start(self, *bodies, **options):
        """Run each of three functions of (job, watchdog), once all ranks are watched. Returns: self"""
        fork = multiprocessing.get_context("fork")
        self.ranks = [fork.Process(target=self._run, args=(rank, body, options), daemon=True)
                      for rank, body in enumerate(bodies or [idle] * 3)]
        for process in self.ranks:
            process.start()
        self.wait_for_watching()
        return self

    def wait_for_watching(self):
        for rank in range(3):
            self.wait_for(f"watching{rank}")

    def _run(self, rank, body, options):
        os.dup2(os.open(self.folder / f"stderr{rank}", os.O_WRONLY | os.O_CREAT), 2)
        dog = Watchdog(rank, 3, lambda value: self._gather(rank, value), **options).start()
        self.touch(f"watching{rank}")
        self.wait_for_watching()
        body(self, dog)
        time.sleep(600)    # as if in a collective

    def _gather(self, rank, value):
        self._gathers += 1
        names = [f"{self._gathers}-{i}" for i in range(3)]
        self.touch(names[rank], json.dumps(value))
        for name in names:
            self.wait_for(name)
        return [json.loads((self.folder / name).read_text()) for name in names]

    def touch(self, name, text=""):
        (self.folder / f"{name}.part").write_text(text)
        os.rename(self.folder / f"{name}.part", self.folder / name)

    def wait_for(self, name):
        deadline = time.monotonic() + DEADLINE
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, f"no {name}"
            time.sleep(0.01)

    def signal(self, rank, number):
        os.kill(self.ranks[rank].pid, number)

    def end(self, rank):
        """Returns: (exit status, stderr) of a rank that ends by itself"""
        self.ranks[rank].join(DEADLINE)
        return self.ranks[rank].exitcode, (self.folder / f"stderr{rank}").read_text()

    def kill(self):
        for process in self.ranks:
            process.kill()
            process.join()


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(connections, "_PART_TIME", 0.3)
    monkeypatch.setattr(watchdog, "_WATCH_PERIOD", 0.1)
    job = Job(tmp_path)
    yield job
    job.kill()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(watchdog, "_ANSWER_TIME", 0.8)
    monkeypatch.setattr(watchdog, "_VERDICT_TIME", 1.2)


def idle(job, dog):
    pass


def fail_in_a_collective(job, dog):
    dog.stop(error="AllReduce failed", is_symptom=True)
    sys.exit(5)


def assert_one_line(end, text):
    status, stderr = end
    assert status == 1
    assert stderr.startswith(text), stderr
    assert stderr.count("\n") == 1 and stderr.endswith("\n")


@pytest.mark.parametrize("killed", [0, 1])
def test_all_name_a_killed_rank_and_end(job, killed):
    job.start()
    job.signal(killed, signal.SIGKILL)
    for rank in {0, 1, 2} - {killed}:
        end = job.end(rank)
        assert_one_line(end, f"rank {killed} (host {HOST}) ended unexpectedly; ")
        assert "--resume" in end[1]


@pytest.mark.parametrize("stopped", [0, 2])
def test_a_stopped_rank_is_named_when_a_collective_fails_for_it(job, impatient, stopped):
    def body(job, dog):
        job.wait_for("stopped")
        fail_in_a_collective(job, dog)

    job.start(*[body] * 3)
    job.signal(stopped, signal.SIGSTOP)
    job.touch("stopped")
    for rank in {0, 1, 2} - {stopped}:
        assert_one_line(job.end(rank), f"rank {stopped} (host {HOST}) does not answer; ")


def test_a_stopped_rank_that_wakes_up_too_late_says_that_it_was_given_up(job, impatient):
    def body(job, dog):
        job.wait_for("stopped")
        fail_in_a_collective(job, dog)

    job.start(body, idle, idle)
    job.signal(2, signal.SIGSTOP)
    job.touch("stopped")
    job.end(0)
    job.signal(2, signal.SIGCONT)
    assert_one_line(job.end(2), f"rank 2 (host {HOST}) does not answer; ")


def test_a_dead_rank_is_named_in_place_of_the_collective_that_fails_for_it(job):
    def keep_lock(job, dog):
        job.touch("busy")
        ctypes.PyDLL(None).sleep(100)    # so that it does not answer

    def fail(job, dog):
        job.wait_for("busy")
        time.sleep(0.2)
        job.touch("failing")
        fail_in_a_collective(job, dog)

    job.start(idle, keep_lock, fail)
    job.wait_for("failing")
    time.sleep(0.2)
    job.signal(1, signal.SIGKILL)
    for rank in (0, 2):
        assert_one_line(job.end(rank), f"rank 1 (host {HOST}) ended unexpectedly; ")


@pytest.mark.parametrize("failed", [0, 1])
def test_all_others_print_the_error_of_a_collective_when_all_ranks_are_well(job, failed):
    bodies = [idle] * 3
    bodies[failed] = fail_in_a_collective
    job.start(*bodies)
    for rank in {0, 1, 2} - {failed}:
        assert_one_line(job.end(rank), f"rank {failed} (host {HOST}): AllReduce failed\n")
    assert job.end(failed) == (5, "")


def test_a_rank_that_keeps_pythons_lock_is_not_taken_for_dead(job):
    def keep_lock(job, dog):
        dog.progress(step=6)
        ctypes.PyDLL(None).usleep(1_200_000)    # as PyDLL, it keeps the lock
        job.touch("back")

    def work(job, dog):
        while True:
            dog.progress(step=7)
            time.sleep(0.1)

    job.start(work, keep_lock, work, limit=0.3)
    job.wait_for("back")
    time.sleep(0.3)
    assert [process.exitcode for process in job.ranks] == [None] * 3


def test_a_job_that_is_stopped_as_a_whole_goes_on(job):
    def work(job, dog):
        while True:
            dog.progress(step=7)
            time.sleep(0.1)

    job.start(*[work] * 3, limit=0.6)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for rank in range(3):
            job.signal(rank, number)
        time.sleep(0.8)
    assert [process.exitcode for process in job.ranks] == [None] * 3


def test_a_killed_rank_is_noticed_although_its_forked_child_lives_on(job):
    def fork(job, dog):
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
        job.touch("forked")

    job.start(idle, fork, idle)
    job.wait_for("forked")
    job.signal(1, signal.SIGKILL)
    for rank in (0, 2):
        assert_one_line(job.end(rank), f"rank 1 (host {HOST}) ended unexpectedly; ")


def test_a_forked_child_that_ends_ends_nothing(job):
    def fork(job, dog):
        if os.fork() == 0:
            dog.progress(step=1)
            dog.stop()
            os._exit(0)
        os.wait()
        job.touch("forked")

    job.start(fork, fork, idle)
    job.wait_for("forked")
    time.sleep(0.3)
    assert [process.exitcode for process in job.ranks] == [None] * 3


def test_the_line_is_printed_although_stderr_is_redirected_meanwhile(job):
    def redirect(job, dog):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        job.touch("quiet")

    job.start(redirect, idle, idle)
    job.wait_for("quiet")
    job.signal(1, signal.SIGKILL)
    assert_one_line(job.end(0), f"rank 1 (host {HOST}) ended unexpectedly; ")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_ranks_that_finish_at_different_times_do_not_alarm_each_other(job, order):
    def finish_at(rank):
        def body(job, dog):
            job.wait_for(f"finish{rank}")
            dog.stop()
            sys.exit()
        return body

    job.start(*map(finish_at, range(3)))
    for rank in order:
        job.touch(f"finish{rank}")
        assert job.end(rank) == (0, "")
        time.sleep(0.1)


@pytest.mark.parametrize("failed", [0, 1])
def test_all_others_print_why_a_rank_fails_and_it_ends_by_itself(job, failed):
    def fail(job, dog):
        dog.stop(error="no space left\n on /data")
        sys.exit(5)

    bodies = [idle] * 3
    bodies[failed] = fail
    job.start(*bodies)
    for rank in {0, 1, 2} - {failed}:
        assert_one_line(job.end(rank), f"rank {failed} (host {HOST}): no space left on /data\n")
    assert job.end(failed) == (5, "")


def test_a_collective_that_fails_since_a_rank_left_does_not_hide_why_it_left(job):
    def fail(job, dog):
        dog.stop(error="no space left on /data")
        job.touch("left")    # as if Horovod ended here, before the process and its connection do

    def wait(job, dog):
        job.wait_for("left")
        fail_in_a_collective(job, dog)

    job.start(wait, fail, wait)
    for rank in (0, 2):
        assert_one_line(job.end(rank), f"rank 1 (host {HOST}): no space left on /data\n")


def at_step(step):
    return lambda job, dog: dog.progress(step=step)


def test_with_a_limit_the_rank_that_hangs_between_collectives_is_named(job):
    job.start(*map(at_step, (7, 7, 6)), limit=0.6)
    for rank in range(3):
        assert_one_line(job.end(rank), f"rank 2 (host {HOST}) has made no progress for 1 s while others wait; ")


def test_with_a_limit_a_rank_that_hangs_with_pythons_lock_is_named(job, impatient):
    def hang(job, dog):
        dog.progress(step=7)
        ctypes.PyDLL(None).sleep(100)

    job.start(at_step(7), hang, at_step(7), limit=0.5)
    for rank in (0, 2):
        assert_one_line(job.end(rank), f"rank 1 (host {HOST}) does not answer; ")


def test_with_a_limit_a_job_that_hangs_in_a_collective_ends_without_a_name(job):
    job.start(*[at_step(7)] * 3, limit=0.6)
    for rank in range(3):
        assert_one_line(job.end(rank), "no rank has made progress for 1 s, and all are at step 7, ")


def test_with_a_limit_a_job_of_which_one_rank_makes_progress_goes_on(job):
    def work(job, dog):
        dog.progress(step=6)
        for _ in range(12):
            dog.progress()
            time.sleep(0.1)
        job.touch("done")
        dog.stop()

    job.start(at_step(7), work, at_step(7), limit=0.5)
    job.wait_for("done")
    assert [process.exitcode for process in job.ranks] == [None] * 3


@pytest.mark.parametrize("paused", [0, 1])
def test_with_a_limit_a_rank_that_paused_takes_any_time(job, paused):
    def compute_metrics(job, dog):
        dog.progress(step=7)
        dog.pause()

    bodies = [at_step(7)] * 3
    bodies[paused] = compute_metrics
    job.start(*bodies, limit=0.2)
    time.sleep(0.6)
    assert [process.exitcode for process in job.ranks] == [None] * 3


def test_with_a_limit_what_comes_before_the_first_step_takes_any_time(job):
    job.start(limit=0.2)
    time.sleep(0.6)
    assert [process.exitcode for process in job.ranks] == [None] * 3


def test_with_a_limit_a_rank_that_nobody_waits_for_goes_on(job):
    def finish(job, dog):
        dog.stop()
        sys.exit()

    job.start(at_step(7), finish, finish, limit=0.2)
    assert [job.end(rank) for rank in (1, 2)] == [(0, "")] * 2
    time.sleep(0.6)
    assert job.ranks[0].exitcode is None


def test_a_rank_whose_launcher_was_killed_is_asked_to_stop_as_the_launcher_would(job, monkeypatch):
    monkeypatch.setattr(watchdog, "_ORPHAN_TIME", 0.1)

    def lose_launcher(job, dog):
        signal.signal(signal.SIGTERM, lambda *_: job.touch("asked"))
        reader, writer = os.pipe()
        os.dup2(writer, 1)
        time.sleep(0.3)
        assert not (job.folder / "asked").exists()
        os.close(reader)

    job.start(idle, lose_launcher, idle)
    job.wait_for("asked")


def test_a_single_rank_is_not_watched():
    def gather(_):
        raise AssertionError("nobody to gather from")

    dog = Watchdog(0, 1, gather).start()
    dog.progress(step=1)
    dog.stop()
