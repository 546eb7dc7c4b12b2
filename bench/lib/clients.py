# SPDX-License-Identifier: MIT
"""Clients: run a row's command, and say how many requests it made.

A client that reports any error, or ends with one, makes the run a failed
run; there is no result then.
"""
import json
import os
import re
import subprocess
import time


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


def run(command, pin):
    """Runs the client; its requests and rate, p50 and p99 where it can."""
    done = subprocess.run(pin + command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=120, check=False)
    if done.returncode:
        raise Failed(f"{command[0]}: {done.stdout[-300:]}"
                     f"{done.stderr[-300:]}")
    name = os.path.basename(command[0])
    if name == "wrk":
        return wrk_result(done.stdout)
    if name == "redis-benchmark":
        return redis_result(done.stdout, command)
    return load_result(done.stdout)


COUNTERS = ("raw_syscalls:sys_enter", "syscalls:sys_enter_io_uring_enter")


def count_calls(pids, what):
    """System calls and io_uring_enter made while what() runs, or None where
    nobody may count them."""
    pids = ",".join(str(p) for p in pids)
    try:
        perf = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", ",".join(COUNTERS), "-p", pids],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
    except OSError:
        return None, what()
    time.sleep(0.3)
    result = what()
    perf.send_signal(2)
    lines = perf.communicate(timeout=10)[1].splitlines()
    counts = [int(line.split(",")[0]) for line in lines
              if line.split(",")[0].isdigit()]
    return (counts if len(counts) == 2 else None), result
