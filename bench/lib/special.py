# SPDX-License-Identifier: MIT
"""Rows that are not a load: memory, what a start costs, a fork with many
connections, and instructions for a request.

Each has a function that makes one sample of one side, and units of what is in
it; a sample that can't be made is a failed run.
"""
import contextlib
import os
import shutil
import subprocess
import tempfile
import time

import clients
import postgres
from load import LOAD, PIN_CLIENT, PIN_SERVER, BUILD
from servers import Server, free_port, listens, talk, wait_for

REST = 3       # seconds after a burst


def directory_in(work):
    directory = tempfile.mkdtemp(dir=work)
    os.chmod(directory, 0o755)
    return directory


@contextlib.contextmanager
def served(row, env, work):
    server = Server(row, env, directory_in(work), PIN_SERVER,
                    {"www": work, "work": work, "upstream": "9",
                     "workers": "1", "listen": row.get("listen", "")})
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def held(server, count, asked=None):
    """So many connections until the block ends: silent, or such that ask for
    something and do not read the answer."""
    holder = subprocess.Popen(
        PIN_CLIENT + [LOAD, "-p", str(server.port), "-q", asked or "x", "-t",
                      "0", "-i", str(count)] + (["-s"] if asked else []),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if not holder.stdout.readline():
            raise clients.Failed("idle connections were refused")
        yield
    finally:
        holder.stdin.close()
        holder.wait()


def settled(server):
    """Memory once it has stopped changing."""
    before = -1
    while before != server.memory():
        before = server.memory()
        time.sleep(0.3)
    return before


def memory(row, env, work):
    """A worker that serves nobody; a silent connection; what a burst of
    answers takes while nobody reads them, and has left when it is over."""
    count = int(row["connections"])
    with served(row, env, work) as server:
        channel = settled(server)
        with held(server, count):
            idle = (settled(server) - channel) / count
        before = settled(server)
        with held(server, int(row["burst_connections"]), row["burst"]):
            burst = settled(server)
        time.sleep(REST)
        after = settled(server)
    return {"channel": channel / 1024, "connection": idle,
            "burst": (burst - before) / 1024,
            "left": (after - before) / 1024}


def starts(row, env, work):
    """From exec() to the end of a program that looks and ends, or to the
    first answer of one that serves."""
    directory, port = directory_in(work), free_port()
    words = {"port": str(port), "dir": directory, "www": work, "work": work,
             "user": "", "upstream": "9", "workers": "1", "listen": ""}
    command = Server.prepare(row, directory, words)
    command += row.get("arguments", "").split()
    out = subprocess.DEVNULL
    began = time.monotonic()
    process = subprocess.Popen(PIN_SERVER + command, stdin=out, stdout=out,
                               stderr=out, env=dict(os.environ, **env))
    if "stop" not in row:
        # Not with a time-out: that looks now and then.
        if process.wait():
            raise clients.Failed("it did not start")
        took = time.monotonic() - began
        shutil.rmtree(directory)
        return {"start": took * 1000}
    while not listens(port):
        if process.poll() is not None or time.monotonic() - began > 10:
            raise clients.Failed("it did not start")
    took = time.monotonic() - began
    talk(port, row["stop"])
    process.wait(10)
    shutil.rmtree(directory)
    return {"start": took * 1000}


def fork(row, env, work):
    """What the program says of its own fork with many connections."""
    with served(row, env, work) as server:
        talk(server.port, "DEBUG POPULATE 10000")
        with held(server, int(row["connections"])):
            took = []
            for _ in range(5):
                talk(server.port, "BGSAVE")
                wait_for(lambda: "rdb_bgsave_in_progress:0" in talk(
                    server.port, "INFO persistence"))
                said = talk(server.port, "INFO stats")
                took.append(int(said.split("latest_fork_usec:")[1].split()[0]))
    return {"fork": sorted(took)[len(took) // 2] / 1000}


def instructions(row, env, work):
    """Stepped through, one by one: the library's, libc's and all others."""
    tool = os.path.join(BUILD, "tests", "tools", "steps")
    with served(row, env, work) as server:
        done = subprocess.run(
            PIN_CLIENT + [tool, "-P", str(server.pids()[0]), "-p",
                          str(server.port), "-c", row["connections"], "-r",
                          row["rounds"], "-q", row["request"]] +
            row.get("arguments", "").split(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            check=False)
    if done.returncode:
        raise clients.Failed(done.stderr.strip())
    counts = dict(x.rsplit(" ", 1) for x in done.stdout.splitlines())
    n = int(counts.pop("requests"))
    if not counts:
        raise clients.Failed("the server executed nothing")
    library = int(counts.pop("libmegapipe-preload.so", 0))
    return {"library": library / n,
            "all": (library + sum(map(int, counts.values()))) / n}


KINDS = {
    "memory": (memory, {"channel": "KiB", "connection": "bytes",
                        "burst": "KiB", "left": "KiB"}),
    "start": (starts, {"start": "ms"}),
    "fork": (fork, {"fork": "ms"}),
    "instructions": (instructions, {"library": "instructions",
                                    "all": "instructions"}),
}


def in_turn(sample, row, work, sides, rounds):
    """One side after the other, the order turned every round."""
    order = list(sides)
    for _ in range(int(row.get("turns", rounds))):
        group = {}
        for name in order:
            env, different = sides[name]
            group[name] = sample(dict(row, **different), env, work)
        yield group
        order = order[1:] + order[:1]


def run(kind, row, work, sides, rounds):
    """The samples of a row, those of all sides side by side."""
    samples, errors = {name: [] for name in sides}, []
    if kind == "postgres":
        units, groups = {}, postgres.samples(row, work, sides, rounds)
    else:
        sample, units = KINDS[kind]
        groups = in_turn(sample, row, work, sides, rounds)
    try:
        for group in groups:
            for name, one in group.items():
                samples[name].append(one)
    except (clients.Failed, RuntimeError, subprocess.TimeoutExpired,
            OSError) as e:
        errors.append(str(e))
    return {"row": row, "samples": samples, "calls": {}, "errors": errors,
            "units": units}
