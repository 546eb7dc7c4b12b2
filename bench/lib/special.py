# SPDX-License-Identifier: MIT
"""Rows that are not a load: idle memory, and what a start costs."""
import os
import shutil
import subprocess
import tempfile
import time

from servers import HERE, Server

CONNECTIONS = 4000


def load_tool():
    build = os.environ.get("BUILD",
                           os.path.join(os.path.dirname(HERE), "build"))
    return os.path.join(build, "bench", "load")


def one_memory(row, env, work):
    directory = tempfile.mkdtemp(dir=work)
    os.chmod(directory, 0o755)
    server = Server(row, env, directory, ["taskset", "-c", "0"],
                    {"www": work, "work": work, "upstream": "9"})
    try:
        before = server.memory()
        holder = subprocess.Popen(
            [load_tool(), "-p", str(server.port), "-q", "x", "-t", "0",
             "-i", str(CONNECTIONS)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        holder.stdout.readline()
        time.sleep(1)
        after = server.memory()
        holder.stdin.close()
        holder.wait()
    finally:
        server.stop()
    return {"channel": before, "connection": (after - before) / CONNECTIONS}


def memory(row, work, sides):
    samples, errors = {}, []
    for name, env in sides.items():
        try:
            samples[name] = [one_memory(row, env, work)]
        except RuntimeError as e:
            errors.append(str(e))
    return {"row": row, "samples": samples, "calls": {}, "errors": errors,
            "rate": None}


def start(row, work, sides):
    """Milliseconds of a command that starts, looks and ends."""
    directory = tempfile.mkdtemp(dir=work)
    os.chmod(directory, 0o755)
    conf = os.path.join(directory, "conf")
    with open(os.path.join(HERE, "conf", row["conf"]),
              encoding="ascii") as f:
        text = f.read()
    for key, value in (("PORT", "1"), ("DIR", directory), ("WWW", work),
                       ("WORK", work), ("USER", ""), ("UPSTREAM", "9")):
        text = text.replace(f"@{key}@", value)
    with open(conf, "w", encoding="ascii") as f:
        f.write(text)
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    samples = {name: [] for name in sides}
    for _ in range(40):
        for name, env in sides.items():
            began = time.monotonic()
            subprocess.run(["taskset", "-c", "0", nginx, "-t", "-p",
                            directory, "-c", conf, "-e", "/dev/null"],
                           env=dict(os.environ, **env), check=False,
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            samples[name].append(
                {"ms": (time.monotonic() - began) * 1000})
    return {"row": row, "samples": samples, "calls": {}, "errors": [],
            "rate": None}


RUN = {"memory": memory, "start": start}
