# SPDX-License-Identifier: MIT
"""Clients: run a row's command, and say how many requests it made.

A client that reports any error, or ends with one, makes the run a failed
run; there is no result then.
"""
import json
import os
import re
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


def load_result(out):
    r = json.loads(out)
    if r["errors"] or not r["requests"]:
        raise Failed(out)
    r["rate"] = r["requests"] / r["seconds"]
    return r


def answer(client, waits, begin, end):
    """What the client prints; where it can wait, begin() and end() are
    called while all its connections are there."""
    if not waits:
        return client.communicate(None, LONGEST)
    client.stdout.readline()
    begin()
    client.stdin.write("\n")
    client.stdin.flush()
    out = client.stdout.readline()
    end()
    return out, client.communicate(None, LONGEST)[1]


def nothing():
    """For who does not measure."""


def run(command, pin, begin=nothing, end=nothing):
    """Runs the client; its requests and rate, p50 and p99 where it can.
    begin() and end() are called around the load."""
    name = os.path.basename(command[0])
    waits = name == "load" and "-w" in command
    if not waits:
        begin()
    with subprocess.Popen(pin + command, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as client:
        timer = threading.Timer(LONGEST, client.kill)
        timer.start()
        try:
            out, err = answer(client, waits, begin, end)
        except BrokenPipeError:
            out, err = "", "it ended early"
        finally:
            timer.cancel()
    if not waits:
        end()
    if client.returncode:
        raise Failed(f"{name}: {out[-300:]}{err[-300:]}")
    if name == "wrk":
        return wrk_result(out)
    if name == "redis-benchmark":
        return redis_result(out, command)
    return load_result(out)


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
