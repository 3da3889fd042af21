"""The watchdog: what other ranks say and do when one of them dies, stops, hangs, fails or finishes."""
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from distributed.watchdog import Watchdog

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOST = socket.gethostname()
DEADLINE = 120    # seconds for anything, on a loaded machine

# a rank that starts its watchdog, waits until all are connected, does `body`, and sleeps as if in a collective
RANK = """
__file__ = "train.py"    # starts quietly, as a command
import json, os, subprocess, sys, time
from distributed.watchdog import Watchdog
rank, folder, body, options = int(sys.argv[1]), sys.argv[2], sys.argv[3], json.loads(sys.argv[4])

def touch(name, text=""):
    with open(os.path.join(folder, name + ".part"), "w") as f:
        f.write(text)
    os.rename(f.name, os.path.join(folder, name))

def wait_for(name):
    while not os.path.exists(os.path.join(folder, name)):
        time.sleep(0.05)

def exchange(address):
    if rank == 0:
        touch("address", json.dumps(address))
    wait_for("address")
    with open(os.path.join(folder, "address")) as f:
        return json.load(f)

watchdog = Watchdog(rank, 3, exchange, **options).start()
if rank == 0:
    while len(watchdog._seen) < 2:
        time.sleep(0.05)
    touch("watching")
wait_for("watching")
exec(body)
time.sleep(600)
"""


class Job:
    """Three ranks in processes of their own."""

    def __init__(self, folder):
        self.folder, self.ranks = folder, []

    def start(self, *bodies, **options):
        """Run each of the three `bodies`, Python source, once all ranks are watched. Returns: self"""
        options = json.dumps({"patience": 60, **options})
        self.ranks = [
            subprocess.Popen([sys.executable, "-c", RANK, str(rank), str(self.folder), body, options], cwd=ROOT,
                             stderr=subprocess.PIPE, text=True) for rank, body in enumerate(bodies or [""] * 3)]
        self.wait_for("watching")
        return self

    def wait_for(self, name):
        deadline = time.monotonic() + DEADLINE
        while not (self.folder / name).exists():
            assert time.monotonic() < deadline, f"no {name}"
            time.sleep(0.05)

    def end(self, rank):
        """Returns: (exit status, stderr) of a rank that ends by itself"""
        _, stderr = self.ranks[rank].communicate(timeout=DEADLINE)
        return self.ranks[rank].returncode, stderr

    def kill(self):
        for process in self.ranks:
            process.kill()
            process.wait()


@pytest.fixture
def job(tmp_path):
    job = Job(tmp_path)
    yield job
    job.kill()


def assert_one_line(end, text):
    status, stderr = end
    assert status == 1
    assert stderr.startswith(text), stderr
    assert stderr.count("\n") == 1 and stderr.endswith("\n")


def test_all_name_a_killed_rank_and_end(job):
    job.start()
    job.ranks[1].kill()
    for rank in (0, 2):
        end = job.end(rank)
        assert_one_line(end, f"rank 1 (host {HOST}) ended unexpectedly; ")
        assert "--resume" in end[1]


def test_all_name_rank_0_when_it_is_killed(job):
    job.start()
    job.ranks[0].kill()
    for rank in (1, 2):
        assert_one_line(job.end(rank), f"rank 0 (host {HOST}) ended unexpectedly; ")


@pytest.mark.parametrize("stopped", [0, 2])
def test_all_name_a_rank_that_is_stopped_for_longer_than_the_patience(job, stopped):
    job.start(patience=3)
    job.ranks[stopped].send_signal(signal.SIGSTOP)
    for rank in {0, 1, 2} - {stopped}:
        assert_one_line(job.end(rank), f"rank {stopped} (host {HOST}) does not answer for 3 s; ")


def test_a_stopped_rank_that_wakes_up_too_late_says_that_it_was_given_up(job):
    job.start(patience=3)
    job.ranks[2].send_signal(signal.SIGSTOP)
    job.end(0)
    job.ranks[2].send_signal(signal.SIGCONT)
    assert_one_line(job.end(2), f"rank 2 (host {HOST}) does not answer for 3 s; ")


def test_a_job_that_is_stopped_as_a_whole_goes_on(job):
    job.start(patience=4)
    for process in job.ranks:
        process.send_signal(signal.SIGSTOP)
    time.sleep(8)
    for process in job.ranks:
        process.send_signal(signal.SIGCONT)
    time.sleep(2)
    assert [process.poll() for process in job.ranks] == [None] * 3


def test_a_killed_rank_is_noticed_although_its_forked_child_lives_on(job):
    job.start("", "if os.fork() == 0: os.close(2); time.sleep(20); os._exit(0)\ntouch('forked')", "")
    job.wait_for("forked")
    job.ranks[1].kill()
    for rank in (0, 2):
        assert_one_line(job.end(rank), f"rank 1 (host {HOST}) ended unexpectedly; ")


def test_the_line_is_printed_although_stderr_is_redirected_meanwhile(job):
    job.start("os.dup2(os.open(os.devnull, os.O_WRONLY), 2); touch('quiet')", "", "")
    job.wait_for("quiet")
    job.ranks[1].kill()
    assert_one_line(job.end(0), f"rank 1 (host {HOST}) ended unexpectedly; ")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_ranks_that_finish_at_different_times_do_not_alarm_each_other(job, order):
    job.start(*[f"wait_for('finish{rank}'); watchdog.stop(); sys.exit()" for rank in range(3)], patience=3)
    for rank in order:
        (job.folder / f"finish{rank}").touch()
        assert job.end(rank) == (0, "")
        time.sleep(1)


@pytest.mark.parametrize("failed", [0, 1])
def test_all_others_print_why_a_rank_fails_and_it_ends_by_itself(job, failed):
    bodies = [""] * 3
    bodies[failed] = "watchdog.stop(error='no space left\\n on /data'); sys.exit(5)"
    job.start(*bodies)
    for rank in {0, 1, 2} - {failed}:
        assert_one_line(job.end(rank), f"rank {failed} (host {HOST}): no space left on /data\n")
    assert job.end(failed) == (5, "")


def test_with_a_limit_the_rank_that_hangs_between_collectives_is_named(job):
    job.start(*[f"watchdog.progress(step={step})" for step in (7, 7, 6)], limit=8)
    for rank in range(3):
        status, stderr = job.end(rank)
        assert status == 1
        assert stderr.startswith(f"rank 2 (host {HOST}) has made no progress for ")


def test_with_a_limit_a_job_that_hangs_in_a_collective_ends_without_a_name(job):
    job.start(*["watchdog.progress(step=7)"] * 3, limit=8)
    for rank in range(3):
        assert_one_line(job.end(rank), "no rank has made progress for 8 s, and all are at step 7, ")


def test_with_a_limit_a_job_of_which_one_rank_makes_progress_goes_on(job):
    job.start("watchdog.progress(step=6)\n"
              "for _ in range(50): watchdog.progress(); time.sleep(0.2)\n"
              "touch('done'); watchdog.stop()", "watchdog.progress(step=7)", "watchdog.progress(step=7)", limit=6)
    job.wait_for("done")
    assert [process.poll() for process in job.ranks] == [None] * 3


def test_with_a_limit_a_rank_that_nobody_waits_for_goes_on(job):
    job.start("", *["watchdog.stop(); sys.exit()"] * 2, limit=3)
    assert [job.end(rank) for rank in (1, 2)] == [(0, "")] * 2
    time.sleep(6)
    assert job.ranks[0].poll() is None


@pytest.fixture
def rank_0():
    """A function that starts a rank 0 in this process. It returns the rank's address, and its list of failures."""
    watchdogs = []

    def start(size=2, **options):
        addresses, failures = [], []
        exchange = lambda address: addresses.append(address) or address
        watchdogs.append(Watchdog(0, size, exchange, on_failure=failures.append, **options).start())
        return addresses[0], failures

    yield start
    for watchdog in watchdogs:
        watchdog.stop()


def answer_to(address, **message):
    """Returns: bytes that rank 0 sends back until it closes the connection"""
    _, port, token = address
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock, sock.makefile("rwb") as stream:
        stream.write(json.dumps({"token": token, **message}).encode() + b"\n")
        stream.flush()
        return stream.readline()


def test_an_error_that_a_dead_rank_caused_is_not_taken_for_the_cause(rank_0, monkeypatch):
    monkeypatch.setattr("watchdog._SETTLE_TIME", 20)
    (_, port, token), failures = rank_0(size=3)
    rank_0_at = "127.0.0.1", port
    with socket.create_connection(rank_0_at) as rank_1, socket.create_connection(rank_0_at) as rank_2:
        for rank, sock in (1, rank_1), (2, rank_2):
            for message in {"hello": rank, "host": "a", "token": token}, {"beat": 0, "age": 0}:
                sock.sendall(json.dumps(message).encode() + b"\n")
        rank_2.sendall(b'{"error": "AllReduce failed"}\n')
        time.sleep(1)
        rank_1.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + DEADLINE
        while not failures and time.monotonic() < deadline:
            time.sleep(0.05)
    assert [failure.partition(";")[0] for failure in failures] == ["rank 1 (host a) ended unexpectedly"]


def test_a_connection_with_the_token_is_welcome(rank_0):
    address, _ = rank_0()
    assert json.loads(answer_to(address, hello=1, host="a")) == {"welcome": HOST}


@pytest.mark.parametrize("message", [
    {"hello": 1, "token": "0" * 64}, {"hello": 1, "token": None}, {"hello": 1, "token": "\ud800"}, {"hello": 0},
    {"hello": 2}, {"hello": [1]}, {"beat": 1}, {"failure": "x", "rank": 1}, {"hello": 1, "token": "0" * 9999}])
def test_a_stranger_is_sent_away_and_ends_nothing(rank_0, message):
    address, failures = rank_0()
    try:
        assert answer_to(address, **message) == b""
    except ConnectionResetError:
        pass
    assert json.loads(answer_to(address, hello=1, host="a")) == {"welcome": HOST}
    assert not failures


def test_a_stranger_that_says_nothing_is_sent_away(rank_0):
    (_, port, _), failures = rank_0()
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        assert sock.recv(1) == b""
    assert not failures


@pytest.mark.parametrize("line", [b"[" * 5000 + b"\n", b"\xff\n", b"1\n", b"x" * 50000])
def test_what_is_no_message_is_sent_away(rank_0, line):
    (_, port, token), failures = rank_0()
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
        try:
            sock.sendall(line)
            assert sock.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert json.loads(answer_to((None, port, token), hello=1, host="a")) == {"welcome": HOST}
    assert not failures


def test_rank_0_warns_of_a_rank_that_cannot_connect_and_goes_on(rank_0, capfd):
    _, failures = rank_0(patience=2)
    deadline, stderr = time.monotonic() + DEADLINE, ""
    while not stderr and time.monotonic() < deadline:
        time.sleep(0.2)
        stderr = capfd.readouterr().err
    assert stderr.startswith(f"warning: not connected to rank 0 (host {HOST}, TCP port ")
    assert "not watched: rank 1. " in stderr and stderr.endswith("the training goes on\n")
    assert not failures


@pytest.mark.parametrize("host", ["127.0.0.1", "no.such.host.invalid", ""])
def test_a_rank_that_cannot_reach_rank_0_goes_on(host):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    failures = []
    watchdog = Watchdog(1, 2, lambda _: ([host], port, "0" * 64), patience=2, on_failure=failures.append).start()
    watchdog._thread.join(DEADLINE)
    assert not watchdog._thread.is_alive()
    watchdog.stop()
    assert not failures


def test_rank_0_is_found_behind_the_first_address_that_works(rank_0):
    (_, port, token), _ = rank_0()
    watchdog = Watchdog(1, 2, lambda _: (["no.such.host.invalid", "127.0.0.1"], port, token)).start()
    deadline = time.monotonic() + DEADLINE
    while not watchdog._links and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [link.host for link in watchdog._links] == [HOST]
    watchdog.stop()


def test_without_an_address_of_rank_0_nothing_is_watched():
    watchdog = Watchdog(1, 2, lambda _: None).start()
    watchdog.progress(step=1)
    watchdog.stop()


def test_a_single_rank_is_not_watched():
    def exchange(_):
        raise AssertionError("nobody to exchange with")

    watchdog = Watchdog(0, 1, exchange).start()
    watchdog.progress(step=1)
    assert watchdog._thread is None
    watchdog.stop()
