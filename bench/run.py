#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmark: plain and preload side by side, row by row.

Each file of bench/rows is a workload: a server with its configuration, and a
client. Both (or more) sides run at the same time, one measured after the
other, the order turned every round. A run with an error is a failed run.

  ROWS      names or globs of rows (all)
  SIDES     plain on off empty, or NAME=LIBRARY (plain on off)
  ROUNDS    rounds after the warm-up (5)
  SECONDS   length of one measurement (1)
"""
import configparser
import fnmatch
import glob
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))

import clients      # noqa: E402
import report       # noqa: E402
import special      # noqa: E402
from servers import Server, read      # noqa: E402

BUILD = os.environ.get("BUILD", os.path.join(os.path.dirname(HERE), "build"))
LIB = os.path.join(BUILD, "libmegapipe-preload.so")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = float(os.environ.get("SECONDS", "1"))
PIN_SERVER, PIN_CLIENT = ["taskset", "-c", "0"], ["taskset", "-c", "1"]


def sides():
    """Name and environment of each side."""
    out = {}
    for side in os.environ.get("SIDES", "plain on off").split():
        name, _, lib = side.partition("=")
        depth = name if name in ("on", "off") else "auto"
        out[name] = {} if name == "plain" else {
            "LD_PRELOAD": lib or LIB, "MEGAPIPE_LWSOCKET": depth}
        if name == "empty":
            out[name] = {"LD_PRELOAD": LIB, "MEGAPIPE": "off"}
    return out


def rows():
    """The rows that were asked for, in the order of their file names."""
    wanted = os.environ.get("ROWS", "*").split()
    for path in sorted(glob.glob(os.path.join(HERE, "rows", "*.row"))):
        name = os.path.basename(path)[:-4].partition("-")[2]
        if any(fnmatch.fnmatch(name, w) for w in wanted):
            parser = configparser.ConfigParser(interpolation=None)
            parser.read(path)
            yield dict(parser["row"], name=name)


def files(directory):
    for name, size in (("f612", 612), ("f64k", 65536), ("f1m", 1 << 20)):
        with open(os.path.join(directory, name), "wb") as f:
            f.write(os.urandom(size))
    key = os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048",
                    "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-keyout", key, "-out",
                    os.path.join(directory, "cert.pem")],
                   check=True, stderr=subprocess.DEVNULL)
    os.chmod(directory, 0o755)
    os.chmod(key, 0o644)


def busy_loops(n):
    """Others that share the server's CPU, so that it is the bottleneck."""
    return [subprocess.Popen(PIN_SERVER + ["sh", "-c", "while :; do :; done"])
            for _ in range(n)]


class Bench:
    """One row: its servers, its rounds, its samples for each side."""

    def __init__(self, row, work):
        self.row, self.work = row, work
        self.samples, self.calls, self.errors = {}, {}, []
        self.servers, self.others = {}, []
        self.words = {"www": work, "work": work, "upstream": "9",
                      "workers": row.get("workers", "1"),
                      "listen": row.get("listen", "")}
        self.rate = None

    def start(self):
        pin = ["taskset", "-c", self.row.get("cpus", "0")]
        if "upstream" in self.row:
            upstream = Server({"server": "nginx", "conf":
                               self.row["upstream"]}, {},
                              tempfile.mkdtemp(dir=self.work), PIN_CLIENT,
                              self.words)
            self.others.append(upstream)
            self.words["upstream"] = str(upstream.port)
        for name, env in sides().items():
            directory = tempfile.mkdtemp(dir=self.work)
            os.chmod(directory, 0o755)
            if env and "env" in self.row:
                env = dict([self.row["env"].split("=", 1)], **env)
            self.servers[name] = Server(self.row, env, directory, pin,
                                        self.words)
            self.samples[name] = []

    def command(self, server, seconds):
        # wrk knows whole seconds only.
        if self.row["client"].startswith("wrk"):
            seconds = max(1, round(seconds))
        words = {"seconds": str(seconds), "rate": str(self.rate or 0),
                 "n": str(int(float(self.row.get("per_second", "0")) *
                              seconds))}
        text = server.fill(self.row["client"])
        for key, value in words.items():
            text = text.replace("@" + key.upper() + "@", value)
        return [os.path.join(BUILD, "bench", "load") if w == "load" else w
                for w in shlex.split(text)]

    def measure(self, name, seconds):
        server = self.servers[name]
        before, ticks = server.cpu_ns(), server.user_system()
        result = clients.run(self.command(server, seconds), PIN_CLIENT)
        result["cpu"] = ((server.cpu_ns() - before) / 1000 /
                         result["requests"])
        user, system = (b - a for a, b in zip(ticks, server.user_system()))
        result["user"] = user / max(user + system, 1)
        return result

    def half_load(self):
        """A row with a fixed rate: half of what the first side can do."""
        if "@RATE@" not in self.row["client"]:
            return
        first = next(iter(self.servers))
        closed = self.measure(first, 1)
        self.rate = int(closed["rate"] / 2)

    def rounds(self):
        order = list(self.servers)
        for name in order:
            self.measure(name, 0.5)
        for turn in range(ROUNDS):
            for name in order:
                self.samples[name].append(self.measure(name, SECONDS))
            order = order[1:] + order[:1]
            if turn % len(order) == len(order) - 1:
                order.reverse()

    def count(self):
        for name, server in self.servers.items():
            counts, result = clients.count_calls(
                server.pids(), lambda n=name: self.measure(n, 0.5))
            if counts:
                self.calls[name] = [c / result["requests"] for c in counts]

    def run(self):
        busy = []
        try:
            self.start()
            self.half_load()
            busy = busy_loops(int(self.row.get("busy", "0")))
            self.rounds()
            self.count()
        except (clients.Failed, RuntimeError) as e:
            self.errors.append(str(e))
        finally:
            for p in busy:
                p.kill()
                p.wait()
            for server in list(self.servers.values()) + self.others:
                server.stop()
        return {"row": self.row, "samples": self.samples,
                "calls": self.calls, "errors": self.errors,
                "rate": self.rate}


def main():
    # In memory where there is some: a disk's turn would be the measurement.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = tempfile.mkdtemp(prefix="megapipe-bench.", dir=memory)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = []
    try:
        files(work)
        print(report.header(list(sides())), flush=True)
        for row in rows():
            kind = row.get("kind", "load")
            if kind == "load":
                result = Bench(row, work).run()
            else:
                result = special.RUN[kind](row, work, sides())
            results.append(result)
            print(report.line(result), flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report.save(results, BUILD, read("/proc/cpuinfo"))
    return any(r["errors"] for r in results) or not results


if __name__ == "__main__":
    sys.exit(main())
