# SPDX-License-Identifier: MIT
"""Clients: run a row's command, and say how many requests it made.

A client that reports any error, or ends with one, makes the run a failed
run; there is no result then.
"""
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time

LONGEST = 120       # seconds that a client may take


class Failed(Exception):
    """The run had an error."""


def wrk_result(out):
    if re.search(r"Socket errors|Non-2xx", out):
        raise Failed(out.strip().splitlines()[-3:])
    n = int(re.search(r"(\d+) requests in", out).group(1))
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1))
    return {"requests": n, "rate": rate}


def redis_result(out, command):
    n = int(command[command.index("-n") + 1])
    rates = [float(line.split(",")[1].strip('"'))
             for line in out.splitlines()[1:] if line.count(",") > 1]
    if not rates:
        raise Failed(out)
    return {"requests": n * len(rates),
            "rate": len(rates) / sum(1 / r for r in rates)}


def pgbench_result(out):
    n = int(re.search(r"actually processed: (\d+)", out).group(1))
    failed = re.search(r"failed transactions: (\d+)", out)
    if not n or failed and failed.group(1) != "0":
        raise Failed(out[-300:])
    return {"requests": n,
            "rate": float(re.search(r"tps = ([\d.]+)", out).group(1))}


def load_result(out):
    r = json.loads(out)
    if r["errors"] or not r["requests"]:
        raise Failed(out)
    r["rate"] = r["requests"] / r["seconds"]
    return r


def nothing():
    """For who does not measure."""


class Client:
    """A command that makes requests. begin() and end() are called around
    the load; a client that can wait has all its connections before begin()
    and still has them at end()."""

    def __init__(self, command, pin, begin=nothing, end=nothing):
        self.command, self.pin = command, pin
        self.begin, self.end = begin, end
        self.name = os.path.basename(command[0])
        self.waits = self.name == "load" and "-w" in command
        self.process = self.pidfd = self.said = self.timer = None
        if self.waits:
            self.start()
            self.process.stdout.readline()

    def start(self):
        self.process = subprocess.Popen(
            self.pin + self.command, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pidfd = os.pidfd_open(self.process.pid)
        self.timer = threading.Timer(LONGEST, self.process.kill)
        self.timer.start()

    def go(self):
        self.begin()
        if not self.waits:
            self.start()
            return
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def signal(self, number):
        self.process.send_signal(number)

    def ended(self, seconds):
        """Waits so long for the end of the load: has it come?"""
        poll = select.poll()
        poll.register(self.process.stdout if self.waits else self.pidfd,
                      select.POLLIN)
        return bool(poll.poll(seconds and seconds * 1000))

    def result(self):
        """Its requests and rate, p50 and p99 where it can, once it has
        ended."""
        try:
            if self.waits:
                self.said = self.process.stdout.readline()
            self.end()
            out, err = self.process.communicate(None, LONGEST)
        finally:
            self.timer.cancel()
            os.close(self.pidfd)
            self.pidfd = None
        out = self.said or out
        if self.process.returncode:
            raise Failed(f"{self.name}: {out[-300:]}{err[-300:]}")
        if self.name == "wrk":
            return wrk_result(out)
        if self.name == "redis-benchmark":
            return redis_result(out, self.command)
        if self.name == "pgbench":
            return pgbench_result(out)
        return load_result(out)

    def kill(self):
        """When others have failed."""
        if self.pidfd is not None:
            self.timer.cancel()
            self.process.kill()
            self.process.communicate()
            os.close(self.pidfd)


def run(command, pin, begin=nothing, end=nothing):
    """Runs the client alone: its result."""
    client = Client(command, pin, begin, end)
    client.go()
    client.ended(None)
    return client.result()


def slices(them, seconds):
    """Runs clients, by name, in slices of so many seconds: while one goes on
    the others are stopped, so what disturbs the machine disturbs them all.
    Their results; the rate is that of the time that each had."""
    time_of, results = dict.fromkeys(them, 0.0), {}
    for client in them.values():
        client.go()
        client.signal(signal.SIGSTOP)
    while len(results) < len(them):
        for name in [n for n in them if n not in results]:
            client = them[name]
            began = time.monotonic()
            client.signal(signal.SIGCONT)
            ended = client.ended(seconds)
            if not ended:
                client.signal(signal.SIGSTOP)
            time_of[name] += time.monotonic() - began
            if ended:
                results[name] = client.result()
    for name, result in results.items():
        result["rate"] = result["requests"] / time_of[name]
    return results


COUNTERS = ("raw_syscalls:sys_enter", "syscalls:sys_enter_io_uring_enter")


class Calls:
    """System calls and io_uring_enter made between begin() and end():
    counts, or None where nobody may count them."""

    def __init__(self, pids):
        self.pids = ",".join(str(p) for p in pids)
        self.perf = self.counts = None

    def begin(self):
        try:
            self.perf = subprocess.Popen(
                ["perf", "stat", "-x,", "-e", ",".join(COUNTERS), "-p",
                 self.pids], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        except OSError:
            return
        time.sleep(0.3)

    def end(self):
        if not self.perf:
            return
        self.perf.send_signal(signal.SIGINT)
        lines = self.perf.communicate(timeout=10)[1].splitlines()
        counts = [int(line.split(",")[0]) for line in lines
                  if line.split(",")[0].isdigit()]
        if len(counts) == len(COUNTERS):
            self.counts = counts
