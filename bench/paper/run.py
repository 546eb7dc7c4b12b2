#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The paper's figures on this machine: `make bench-paper`.

Every side is the same server apart from its interface (bench/paper/*.c). The
sides of one column run one after the other, the order turned every round; a
run with an error has no result. Writes the tables of docs/paper.md between
their markers when UPDATE=1, the pictures beside it, and build/paper.json.

  ROWS      parts counts sizes cores hello locks1 locks8 (all)
  ROUNDS    rounds of each (3)
  SECONDS   length of one measurement (0.8)
"""
import glob
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "lib"))

import clients      # noqa: E402
import locks        # noqa: E402
import tables       # noqa: E402
from servers import Server, read      # noqa: E402

BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = float(os.environ.get("SECONDS", "0.8"))
CPUS = sorted(os.sched_getaffinity(0))
CONNECTIONS = 256
LOCK_SECONDS = 5

# Each adds one part to the one before it, as the paper's Table 3 does.
SIDES = {
    "epoll, shared": ["epoll", "exclusive"],
    "epoll, SO_REUSEPORT": ["epoll", "reuseport"],
    "interface": ["megapipe"],
    "+P": ["megapipe", "partition"],
    "+P+B": ["megapipe", "partition", "batch"],
    "+P+B+L": ["megapipe", "partition", "batch", "lwsocket"],
}
LONGEST = 128


class PingPong:
    """A server of one side, measured by the CPU time of its threads."""

    def __init__(self, side, threads, size):
        self.size = size
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "bench/paper/server"), str(threads),
             str(size)] + SIDES[side], stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().strip()
        if not self.port:
            raise RuntimeError(f"{side}: the server did not start")

    def cpu_ns(self):
        path = f"/proc/{self.process.pid}/task/*/schedstat"
        return sum(int(read(p).split()[0]) for p in glob.glob(path))

    def measure(self, transactions, load_cpus):
        """Each load process is one client machine, on a CPU of its own."""
        before, clients_ = self.cpu_ns(), []
        for cpu in load_cpus:
            clients_.append(subprocess.Popen(
                ["taskset", "-c", str(cpu),
                 os.path.join(BUILD, "bench/paper/load"), self.port,
                 str(CONNECTIONS // len(load_cpus)), str(transactions),
                 str(self.size), str(SECONDS)],
                stdout=subprocess.PIPE, text=True))
        done, rate = 0, 0.0
        for c in clients_:
            out, _ = c.communicate(timeout=60)
            if c.returncode:
                raise RuntimeError("a client had an error")
            n, _, seconds = out.split()
            done, rate = done + int(n), rate + int(n) / float(seconds)
        cpu = self.cpu_ns() - before
        return {"rate": rate, "us": cpu / 1000 / max(done, 1)}

    def stop(self):
        self.process.kill()
        self.process.wait()


def medians(samples):
    """Side -> medians, the first side being the base of "times": how many times
    its CPU time a request took in the same round. A machine whose speed changes
    in between leaves that alone."""
    base = next(iter(samples.values()))
    out = {}
    for side, own in samples.items():
        out[side] = {key: statistics.median(s[key] for s in own)
                     for key in own[0]}
        out[side]["times"] = statistics.median(
            s["us"] / b["us"] for s, b in zip(own, base))
    return out


def column(sides, threads, size, transactions, load_cpus):
    """All sides with the same load: side -> medians."""
    servers = {s: PingPong(s, threads, size) for s in sides}
    samples, order = {s: [] for s in sides}, list(sides)
    try:
        for _ in range(ROUNDS):
            for side in order:
                samples[side].append(
                    servers[side].measure(transactions, load_cpus))
            order = order[1:] + order[:1]
    finally:
        for server in servers.values():
            server.stop()
    return medians(samples)


def parts():
    """Table 3 and Figure 1(a): connection lengths, one part at a time."""
    out = {}
    length = 1
    while length <= LONGEST:
        out[length] = column(list(SIDES), len(CPUS), 64, length, CPUS)
        tables.progress(f"{length} transactions", out[length])
        length *= 2
    return out


def perf(side, length):
    """System calls, and locks that had to be waited for, a transaction."""
    server = PingPong(side, len(CPUS), 64)
    events = ["raw_syscalls:sys_enter", "lock:contention_begin"]
    try:
        watch = subprocess.Popen(
            ["perf", "stat", "-x,", "-e", ",".join(events), "-p",
             str(server.process.pid)], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)
        result = server.measure(length, CPUS)
        watch.send_signal(2)
        lines = watch.communicate(timeout=10)[1].splitlines()
    finally:
        server.stop()
    done = result["rate"] * SECONDS
    return {line.split(",")[2]: int(line.split(",")[0]) / done
            for line in lines if line.split(",")[0].isdigit()}


def counts():
    """What does not depend on how many CPUs a machine has."""
    out = {}
    for length in (1, 8, LONGEST):
        out[length] = {side: perf(side, length) for side in SIDES}
    return out


def sizes():
    """Figure 1(b): message sizes, 10 transactions a connection."""
    out = {}
    for size in (64, 256, 512, 1024, 2048, 4096, 8192, 16384):
        out[size] = column(["epoll, shared", "epoll, SO_REUSEPORT", "+P+B+L"],
                           len(CPUS), size, 10, CPUS)
        tables.progress(f"{size} B", out[size])
    return out


def cores():
    """Figure 1(c): threads of the server, each on its CPU."""
    out = {}
    for threads in range(1, min(len(CPUS), 8) + 1):
        out[threads] = column(["epoll, shared", "epoll, SO_REUSEPORT",
                               "+P+B+L"], threads, 64, 10, CPUS)
        tables.progress(f"{threads} threads", out[threads])
    return out


class Native:
    """A server on libmegapipe, in the shape of lib/servers.Server."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", os.path.join(BUILD, program), "0"],
            stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().split(":")[1].strip()

    def cpu_ns(self):
        return int(read(f"/proc/{self.process.pid}/schedstat").split()[0])

    def stop(self):
        self.process.kill()
        self.process.wait()


def unmodified(server, work, env):
    row = {"server": server, "conf": server.split("-")[0] + ".conf"}
    directory = tempfile.mkdtemp(dir=work)
    os.chmod(directory, 0o755)
    return Server(row, env, directory, ["taskset", "-c", "0"],
                  {"www": work, "work": work, "upstream": "9",
                   "workers": "1", "listen": ""})


def wrk(pipelined):
    script = os.path.join(os.path.dirname(HERE), "lib", "pipeline.lua")
    return ["wrk", "-t1", "-c64", "-d1"] + \
        (["-s", script] if pipelined else []) + ["http://127.0.0.1:@/hello"]


def redis(count, *more):
    return ["redis-benchmark", "-p", "@", "-c", "64", "-n", str(count), "-t",
            "get,set", "--csv", *more]


# What is asked, the unmodified server, the native one.
NATIVE = (
    ("keep-alive", wrk(False), "nginx", "hello"),
    ("16 pipelined", wrk(True), "nginx", "hello"),
    ("GET and SET", redis(60000), "redis-server", "store"),
    ("GET and SET, -P 16", redis(500000, "-P", "16"), "redis-server", "store"),
)


def native_once(server, command):
    before = server.cpu_ns()
    result = clients.run([word.replace("@", str(server.port))
                          for word in command], ["taskset", "-c", "1"])
    return {"rate": result["rate"],
            "us": (server.cpu_ns() - before) / 1000 / result["requests"]}


def native_sides(command, servers):
    samples, order = {s: [] for s in servers}, list(servers)
    for _ in range(ROUNDS):
        for side in order:
            samples[side].append(native_once(servers[side], command))
        order = order[1:] + order[:1]
    return medians(samples)


def hello():
    """The shim against the physical limit: what a native program needs."""
    library = os.path.join(BUILD, "libmegapipe-preload.so")
    work = tempfile.mkdtemp(prefix="megapipe-paper.")
    os.chmod(work, 0o755)
    servers = {
        "nginx": unmodified("nginx", work, {}),
        "nginx, preload": unmodified("nginx", work, {"LD_PRELOAD": library}),
        "hello, libmegapipe": Native("examples/http_hello"),
        "redis-server": unmodified("redis-server", work, {}),
        "redis-server, preload": unmodified("redis-server", work,
                                            {"LD_PRELOAD": library}),
        "store, libmegapipe": Native("bench/paper/resp")}
    out = {}
    try:
        for what, command, *names in NATIVE:
            out[what] = native_sides(command, {
                side: server for side, server in servers.items()
                if side.split(",")[0] in names})
            tables.progress(what, out[what])
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(work, ignore_errors=True)
    return out


def waited(length):
    """Locks that were waited for on 8 CPUs, which are emulated."""
    sides = {s: SIDES[s] for s in ("epoll, shared", "epoll, SO_REUSEPORT",
                                   "interface", "+P+B+L")}
    return locks.run(sides, LOCK_SECONDS, CONNECTIONS, length)


RUN = {"parts": parts, "counts": counts, "sizes": sizes, "cores": cores,
       "hello": hello, "locks1": lambda: waited(1),
       "locks8": lambda: waited(8)}


def machine(name):
    if name.startswith("locks"):
        return (f"8 emulated CPUs, Debian's newest kernel, {LOCK_SECONDS} s, "
                f"{CONNECTIONS} connections")
    here = (f"{len(CPUS)} CPUs, Linux {platform.release().split('-')[0]}, "
            f"{ROUNDS} rounds of ")
    if name == "hello":
        return here + "a second or two, 64 connections"
    return here + f"{SECONDS} s, {CONNECTIONS} connections"


def main():
    wanted = os.environ.get("ROWS", " ".join(RUN)).split()
    path = os.path.join(BUILD, "paper.json")
    results = json.loads(read(path) or "{}")
    for name in wanted:
        # Keys are numbers in Python and text in JSON: the latter.
        results[name] = json.loads(json.dumps(RUN[name]()))
        results[name + "_machine"] = machine(name)
        with open(path, "w", encoding="ascii") as f:
            json.dump(results, f, indent=1)
    tables.write(results, BUILD)
    if os.environ.get("UPDATE"):
        tables.write(results, os.path.join(ROOT, "docs"))
        tables.update(results, os.path.join(ROOT, "docs", "paper.md"))


if __name__ == "__main__":
    main()
