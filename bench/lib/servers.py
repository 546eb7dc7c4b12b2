# SPDX-License-Identifier: MIT
"""Servers under test: started from a configuration file, measured by /proc.

Owns the processes that it starts; each ends with stop(). The measured
processes are the workers: what has no children of the same program.
"""
import glob
import os
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


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


class Server:
    """One process tree with one configuration and one environment."""

    def __init__(self, row, env, directory, pin, words):
        self.dir = directory
        self.port = free_port()
        self.words = dict(words, port=str(self.port), dir=directory,
                          here=HERE, user="user www-data;" if
                          os.geteuid() == 0 else "")
        for sub in ("stored", "body"):
            os.makedirs(os.path.join(directory, sub), exist_ok=True)
            os.chmod(os.path.join(directory, sub), 0o777)
        # An upload replaces a file: each answer is the same 204.
        with open(os.path.join(directory, "stored", "a"), "wb"):
            pass
        conf = self.fill(read(os.path.join(HERE, "conf", row["conf"])))
        path = os.path.join(directory, "conf")
        with open(path, "w", encoding="ascii") as f:
            f.write(conf)
        command = pin + self.command(row["server"], path, conf)
        with open(os.path.join(directory, "log"), "wb") as log:
            self.process = subprocess.Popen(
                command, env=dict(os.environ, **env), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        wait_for(lambda: listens(self.port))
        time.sleep(0.2)

    def fill(self, text):
        for key, value in self.words.items():
            text = text.replace("@" + key.upper() + "@", value)
        return text

    def command(self, server, path, conf):
        binary = shutil.which(server) or shutil.which("/usr/sbin/" + server)
        if server == "nginx":
            return [binary, "-p", self.dir, "-c", path, "-e",
                    os.path.join(self.dir, "error.log")]
        if server == "redis-server":
            return [binary, path]
        return [binary] + conf.split()      # options, one a line

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

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
