# SPDX-License-Identifier: MIT
"""Servers under test: started from a configuration file, measured by /proc.

Owns the processes that it starts; each ends with stop(). The measured
processes are the workers: what has no children of the same program.
"""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get(
    "BUILD", os.path.join(os.path.dirname(HERE), "build")))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds=10):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise RuntimeError("a server did not start")
        time.sleep(0.01)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def read(path):
    try:
        with open(path, encoding="ascii", errors="replace") as f:
            return f.read()
    except OSError:
        return ""


def talk(port, line):
    """One line to a server, and what it answers at once."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(line.encode() + b"\r\n")
        return s.recv(1 << 16).decode("utf-8", "replace")


def fill(text, words):
    for key, value in words.items():
        text = text.replace("@" + key.upper() + "@", value)
    return text


class Server:
    """One process tree with one configuration and one environment."""

    def __init__(self, row, env, directory, pin, words):
        self.dir = directory
        self.port = free_port()
        self.words = dict(words, port=str(self.port), dir=directory,
                          here=HERE, user="user www-data;" if
                          os.geteuid() == 0 else "")
        command = pin + self.prepare(row, directory, self.words)
        with open(os.path.join(directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                command, env=dict(os.environ, **env), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: listens(self.port))
        # It listens before it has workers.
        if row["server"] == "nginx":
            wait_for(lambda: self.pids() != [self.process.pid])
        time.sleep(0.2)

    @staticmethod
    def prepare(row, directory, words):
        """Writes what the server reads; the command that starts it."""
        for sub in ("stored", "body"):
            os.makedirs(os.path.join(directory, sub), exist_ok=True)
            os.chmod(os.path.join(directory, sub), 0o777)
        # An upload replaces a file: each answer is the same 204.
        with open(os.path.join(directory, "stored", "a"), "wb"):
            pass
        conf = fill(read(os.path.join(HERE, "conf", row["conf"])), words)
        path = os.path.join(directory, "conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(conf)
        server = row["server"]
        binary = shutil.which(server) or shutil.which("/usr/sbin/" + server) \
            or os.path.join(BUILD, "examples", server)
        if server == "nginx":
            return [binary, "-p", directory, "-c", path, "-e",
                    os.path.join(directory, "error.log")]
        if server == "haproxy":
            return [binary, "-db", "-f", path]
        if server in ("redis-server", "node", "python3"):
            return [binary, path]
        return [binary] + conf.split()      # options, one a line

    def fill(self, text):
        return fill(text, self.words)

    def pids(self):
        master = self.process.pid
        children = read(f"/proc/{master}/task/{master}/children").split()
        return [int(p) for p in children] or [master]

    def cpu_ns(self):
        """CPU time of all threads; ticks would be too coarse."""
        total = 0
        for pid in self.pids():
            for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
                total += int((read(path).split() or ["0"])[0])
        return total

    def user_system(self):
        """Ticks in user and system mode: a coarse division."""
        user = system = 0
        for pid in self.pids():
            fields = read(f"/proc/{pid}/stat").rsplit(")", 1)[-1].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user, system

    def memory(self):
        """Bytes of private memory in all workers."""
        total = 0
        for pid in self.pids():
            for line in read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith(("Private_Dirty:", "Private_Clean:")):
                    total += 1024 * int(line.split()[1])
        return total

    def accepted(self, build):
        """Connections that the workers accepted through channels."""
        out = subprocess.run([os.path.join(build, "megapipe"), "stat",
                              "--json", str(self.process.pid)],
                             stdout=subprocess.PIPE, check=False).stdout
        return sum(channel["counters"]["accepted"]
                   for process in json.loads(out or "[]")
                   for channel in process["channels"])

    def complaint(self):
        """The first line in which the server says that something failed."""
        for name in ("error.log", "log"):
            for line in read(os.path.join(self.dir, name)).splitlines():
                if re.search(r"\[(alert|crit|emerg)\]|exited on signal|"
                             r"megapipe:", line):
                    return line
        return ""

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
