# SPDX-License-Identifier: MIT
"""A row that is a load: its servers, its rounds, its samples for each side.

What is the same for all sides comes first: they are started together, warmed
up, then measured in slices of time that they have in turn. Latency at half load
and system calls are measured apart, since counting slows a server down.
"""
import os
import resource
import shlex
import statistics
import subprocess
import tempfile

import clients
from servers import BUILD, Server, read

LOAD = os.path.join(BUILD, "bench", "load")
# What disturbs a machine that is shared lasts longer: no side has it alone.
SLICE = 0.02
PIECE = 0.1
PIN_SERVER, PIN_CLIENT = ["taskset", "-c", "0"], ["taskset", "-c", "1"]
WARM = 0.5
# Latency at half load is taken in many short pieces: in a long one of every
# side the machine's own pauses, of some milliseconds, are the 99th percentile.
HALF_SECONDS = 0.12
HALF_REQUESTS = 200     # at least
HALF_PIECES = 2         # in a round
# More than this a client that spins for punctuality can't send, and half
# of the server's power is not half of what the two can do together.
RATE_MAX = 30000
# What a connection takes of the machine's memory: both ends in the kernel,
# and the server's own.
IDLE_BYTES = 12288
# Descriptors for other things than idle connections.
FILES_OTHER = 1000


def busy_loops(n):
    """Others that share the server's CPU, so that it is the bottleneck."""
    return [subprocess.Popen(PIN_SERVER + ["sh", "-c", "while :; do :; done"])
            for _ in range(n)]


def idle_possible(wanted, workers, servers):
    """As many idle connections as descriptors and memory allow. Several
    workers don't share them evenly."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - FILES_OTHER
    wanted = min(wanted, files if workers == 1 else files * workers * 4 // 5)
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024 // 2
            wanted = min(wanted, free // (IDLE_BYTES * servers))
    return wanted


class Bench:
    """One row."""

    def __init__(self, row, work, sides):
        self.row, self.work, self.sides = row, work, sides
        self.samples, self.half = {}, {}
        self.calls, self.memory, self.errors = {}, {}, []
        self.servers, self.others, self.holders = {}, [], []
        self.words = {"www": work, "work": work, "upstream": "9"}
        self.rate = None

    def start(self):
        if "upstream" in self.row:
            upstream = Server({"server": "nginx", "conf":
                               self.row["upstream"]}, {},
                              tempfile.mkdtemp(dir=self.work), PIN_CLIENT,
                              dict(self.words, workers="1", listen=""))
            self.others.append(upstream)
            self.words["upstream"] = str(upstream.port)
        for name, (env, different) in self.sides.items():
            row = dict(self.row, **different)
            directory = tempfile.mkdtemp(dir=self.work)
            os.chmod(directory, 0o755)
            words = dict(self.words, workers=row.get("workers", "1"),
                         listen=row.get("listen", ""))
            pin = ["taskset", "-c", row.get("cpus", "0")]
            self.servers[name] = Server(row, env, directory, pin, words)
            self.samples[name] = []
            self.half[name] = []
        if "idle" in self.row:
            self.hold_idle()

    def hold_idle(self):
        """Connections that stay silent, held by processes of each side."""
        wanted = int(self.row["idle"])
        count = idle_possible(wanted, int(self.row.get("workers", "1")),
                              len(self.servers))
        if count < wanted:
            self.row["title"] = self.row["title"].replace(
                f"{wanted} idle", f"{count} idle")
            self.row["scale"] = self.row.get("scale", "").replace(
                f"{wanted} idle", f"{count} idle")
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - FILES_OTHER
        for server in self.servers.values():
            for first in range(0, count, most):
                self.holders.append(subprocess.Popen(
                    PIN_CLIENT + [LOAD, "-p", str(server.port), "-q", "x",
                                  "-t", "0", "-i",
                                  str(min(most, count - first))],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for holder in self.holders:
            if not holder.stdout.readline():
                raise clients.Failed("idle connections were refused")

    def command(self, text, server, seconds):
        # wrk knows whole seconds only.
        if text.startswith("wrk"):
            seconds = max(1, round(seconds))
        words = {"seconds": str(seconds), "rate": str(self.rate or 0),
                 "n": str(int(float(self.row.get("per_second", "0")) *
                              seconds))}
        text = server.fill(text)
        for key, value in words.items():
            text = text.replace("@" + key.upper() + "@", value)
        return [LOAD if w == "load" else w for w in shlex.split(text)]

    def client(self, name, text, seconds, begin=clients.nothing,
               end=clients.nothing):
        return clients.Client(
            self.command(text, self.servers[name], seconds), PIN_CLIENT,
            begin, end)

    def alone(self, name, text, seconds, *looks):
        client = self.client(name, text, seconds, *looks)
        client.go()
        client.ended(None)
        try:
            return client.result()
        except clients.Failed as e:
            raise clients.Failed(f"{name}: {e}") from e

    def look(self, name):
        server = self.servers[name]
        return [server.cpu_ns()] + list(server.user_system())

    def in_slices(self, names, seconds):
        """All of them at once, of which one goes on: results by name, with
        what look() said before and after."""
        looks, them = {name: [] for name in names}, {}
        try:
            for name in names:
                def look(name=name):
                    looks[name].append(self.look(name))
                them[name] = self.client(name, self.row["client"],
                                         seconds * len(names), look, look)
            results = clients.slices(them, SLICE)
        finally:
            for client in them.values():
                client.kill()
        return {name: (results[name], *looks[name]) for name in names}

    def in_pieces(self, names, seconds):
        """A schedule cannot be stopped, and a server that spins would go on
        doing so: short loads one after the other."""
        count = max(1, round(seconds / PIECE))
        total, used = {}, {name: [0, 0, 0] for name in names}
        for _ in range(count):
            for name in names:
                looks = []
                result = self.alone(name, self.row["client"],
                                    seconds / count,
                                    lambda: looks.append(self.look(name)),
                                    lambda: looks.append(self.look(name)))
                used[name] = [u + b - a for u, a, b
                              in zip(used[name], *looks)]
                if name in total:
                    result["requests"] += total[name]["requests"]
                    result["rate"] += total[name]["rate"]
                total[name] = result
        for result in total.values():
            result["rate"] /= count
        return {name: (total[name], [0, 0, 0], used[name])
                for name in names}

    def measure(self, names, seconds):
        """A sample of each side, together."""
        apart = " -r " in self.row["client"] or "apart" in self.row
        how = self.in_pieces if apart else self.in_slices
        samples = {}
        for name, (result, before, after) in how(names, seconds).items():
            cpu, user, system = (b - a for a, b in zip(before, after))
            result["cpu"] = cpu / 1000 / result["requests"]
            result["ticks"] = [user, system]
            samples[name] = result
        return samples

    def orders(self, rounds):
        """The sides, in another order every round."""
        order = list(self.servers)
        for turn in range(rounds):
            yield order
            order = order[1:] + order[:1]
            if turn % len(order) == len(order) - 1:
                order.reverse()

    def fixed_rate(self):
        """A row of a fixed rate: half of what the first side can do."""
        if "@RATE@" not in self.row["client"]:
            return
        first = next(iter(self.servers))
        rate = self.alone(first, self.row["client"], 1)["rate"]
        self.rate = int(rate / 2)

    def half_load(self, rounds):
        """Latency at half of what the first side can do."""
        if "half" not in self.row:
            return
        if not self.rate and "@RATE@" in self.row["half"]:
            first = self.samples[next(iter(self.servers))]
            rate = statistics.median(s["rate"] for s in first) / 2
            rate /= float(self.row.get("half_batch", "1"))
            self.rate = int(min(rate, RATE_MAX))

        seconds = max(HALF_SECONDS, HALF_REQUESTS / (self.rate or 1e9))
        for order in self.orders(rounds * HALF_PIECES):
            for name in order:
                self.half[name].append(
                    self.alone(name, self.row["half"], seconds))

    def count(self):
        for name, server in self.servers.items():
            calls = clients.Calls(server.pids())
            result = self.alone(name, self.row["client"], WARM, calls.begin,
                                calls.end)
            if calls.counts:
                self.calls[name] = [c / result["requests"]
                                    for c in calls.counts]

    def check(self):
        """A side that was not what it says it is has failed, too."""
        for name, server in self.servers.items():
            self.memory[name] = server.memory()
            env = self.sides[name][0]
            driven = env and env.get("MEGAPIPE") != "off"
            if driven and not server.accepted(BUILD):
                raise clients.Failed(f"{name}: ran plainly")
            complaint = server.complaint()
            if complaint:
                raise clients.Failed(f"{name}: {complaint}")

    def run(self, rounds, seconds):
        busy = []
        try:
            self.start()
            self.fixed_rate()
            busy = busy_loops(int(self.row.get("busy", "0")))
            self.measure(list(self.servers), WARM)
            for order in self.orders(rounds):
                for name, sample in self.measure(order, seconds).items():
                    self.samples[name].append(sample)
            self.count()
            self.check()
            for p in busy:
                p.kill()
            self.half_load(rounds)
        except (clients.Failed, RuntimeError, subprocess.TimeoutExpired) as e:
            self.errors.append(str(e))
        finally:
            for p in busy:
                p.kill()
                p.wait()
            for holder in self.holders:
                holder.stdin.close()
                holder.wait()
            for server in list(self.servers.values()) + self.others:
                server.stop()
        return {"row": self.row, "samples": self.samples, "half": self.half,
                "calls": self.calls, "memory": self.memory,
                "errors": self.errors, "rate": self.rate}
