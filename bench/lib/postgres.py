# SPDX-License-Identifier: MIT
"""A row of PostgreSQL: a process for each connection, which waits for it and
nothing else. It is to be left alone.

Each side has a server with a copy of the database, made once for a benchmark.
Its CPU time is the postmaster's with that of the back ends it has reaped, in
ticks: 1 % of a second.
"""
import glob
import os
import shutil
import signal
import subprocess
import time

import clients
from load import PIN_CLIENT, PIN_SERVER, SLICE
from servers import free_port, read, wait_for

TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def program(name):
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/" + name))
    if not found:
        raise clients.Failed("postgresql is not installed")
    return found[-1]


def as_user():
    """It refuses to be root."""
    if os.geteuid():
        return []
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres",
            "--clear-groups"]


def quietly(command, **how):
    done = subprocess.run(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, timeout=60, **how)
    if done.returncode:
        raise clients.Failed(done.stdout[-300:])
    return done.stdout


def children(pid):
    return read(f"/proc/{pid}/task/{pid}/children").split()


def ticks(pid):
    """User and system time, of the children that have ended, too."""
    fields = [int(f) for f in
              read(f"/proc/{pid}/stat").rsplit(")", 1)[-1].split()[11:15]]
    return [fields[0] + fields[2], fields[1] + fields[3]]


class Postgres:
    """One server, in the given environment."""

    def __init__(self, env, work, name):
        self.port = free_port()
        self.data = made = os.path.join(work, "postgres")
        if not os.path.exists(made):
            self.make()
        self.data += "." + name
        if not os.path.exists(self.data):
            quietly(["cp", "-a", made, self.data])
        self.process = self.start(env)
        self.others = len(children(self.process.pid))

    def make(self):
        os.mkdir(self.data)
        if not os.geteuid():
            shutil.chown(self.data, "postgres")
        quietly(as_user() + [program("initdb"), "-D", self.data, "-A",
                             "trust", "-U", "postgres", "-N"], cwd="/")
        self.process = self.start({})
        quietly([program("pgbench"), "-q", "-i", "-s", "1"] + self.where())
        self.stop()

    def start(self, env):
        process = subprocess.Popen(
            PIN_SERVER + as_user() + ["env"] +
            [f"{k}={v}" for k, v in env.items()] +
            [program("postgres"), "-D", self.data, "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c",
             "unix_socket_directories=", "-c", "autovacuum=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/")
        ready = [program("pg_isready"), "-q"] + self.where()[:-1]
        wait_for(lambda: not subprocess.run(ready, check=False).returncode)
        return process

    def where(self):
        return ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres",
                "postgres"]

    def client(self, words, seconds, looks):
        def look():
            wait_for(lambda: len(children(self.process.pid)) <= self.others)
            looks.append(ticks(self.process.pid))
        return clients.Client(
            [program("pgbench"), "-n", "-j", "1", "-T", str(seconds)] +
            words.split() + self.where(), PIN_CLIENT, look, look)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)


def measure(row, servers):
    """A sample of each side, together."""
    looks = {name: [] for name in servers}
    them = {name: server.client(row["client"], len(servers), looks[name])
            for name, server in servers.items()}
    try:
        results = clients.slices(them, SLICE)
    finally:
        for client in them.values():
            client.kill()
    for name, result in results.items():
        result["ticks"] = [b - a for a, b in zip(*looks[name])]
        result["cpu"] = sum(result["ticks"]) * TICK_US / result["requests"]
    return results


def samples(row, work, sides, rounds):
    """The samples of all sides, one group after the other."""
    servers = {}
    try:
        for name, (env, _) in sides.items():
            servers[name] = Postgres(env, work, name)
        time.sleep(0.1)
        measure(row, servers)
        for _ in range(rounds):
            yield measure(row, servers)
    finally:
        for server in servers.values():
            server.stop()
