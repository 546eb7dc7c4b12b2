#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The benchmark: plain and preload side by side, row by row.

Each file of bench/rows is a workload: a server with its configuration, and a
client. All sides run at the same time and take turns of milliseconds, in
another order every round. A run with an error is a failed run.

  ROWS      names or globs of rows (all)
  SIDES     plain on off empty, or NAME=LIBRARY (plain on off; only
            plain on in rows of latency, scale and light load)
  ROUNDS    rounds after the warm-up (5)
  SECONDS   of each side in a round (0.6; wrk knows whole ones only)
  UPDATE    1: writes the tables and pictures of README.md and docs/bench.md,
            also from what is there (ROWS=none)

Each row that ran replaces that row in build/bench.json; the pictures
build/bench.svg and build/bench-scale.svg, and the documents, show what is
there.
"""
import configparser
import contextlib
import fnmatch
import glob
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "lib"))

import document     # noqa: E402
import report       # noqa: E402
import special      # noqa: E402
from load import Bench      # noqa: E402

ROOT = os.path.dirname(HERE)
BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
LIB = os.path.join(BUILD, "libmegapipe-preload.so")
ROUNDS = int(os.environ.get("ROUNDS", "5"))
FILES = 131072
SECONDS = float(os.environ.get("SECONDS", "0.6"))


def side_env(name, lib):
    if name == "plain":
        return {}
    if name == "empty":
        return {"LD_PRELOAD": LIB, "MEGAPIPE": "off"}
    depth = name if name in ("on", "off") else "auto"
    return {"LD_PRELOAD": lib or LIB, "MEGAPIPE_LWSOCKET": depth}


def sides(row):
    """Of one row: name to environment and what differs in the row."""
    out = {}
    expert = {k[7:]: v for k, v in row.items() if k.startswith("expert_")}
    for side in (os.environ.get("SIDES") or
                 row.get("sides", "plain on off")).split():
        name, _, lib = side.partition("=")
        env = side_env(name, lib)
        if not expert:
            out[name] = env, {}
        elif name == "plain":
            out["expert"] = env, expert
        elif name != "off":
            out[name] = env, {}
            out[name + "+exp"] = env, expert
    if "limit" in row:
        out["limit"] = {}, {"server": row["limit"], "conf": "example.opts"}
    return out


def rows():
    """The rows that were asked for, in the order of their file names."""
    wanted = os.environ.get("ROWS", "*").split()
    for path in sorted(glob.glob(os.path.join(HERE, "rows", "*.row"))):
        number, _, name = os.path.basename(path)[:-4].partition("-")
        if any(fnmatch.fnmatch(name, w) for w in wanted):
            parser = configparser.ConfigParser(interpolation=None)
            parser.read(path)
            yield dict(parser["row"], name=name, number=number)


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


def allow_descriptors():
    """For all servers and clients: as many as a row needs, or the machine
    allows."""
    for limit in (FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return


def run(row, work):
    kind = row.get("kind", "load")
    began = time.monotonic()
    if kind == "load":
        result = Bench(row, work, sides(row)).run(ROUNDS, SECONDS)
    else:
        result = special.run(kind, row, work, sides(row), ROUNDS)
    result["took"] = time.monotonic() - began
    return result


def main():
    # In memory where there is some: a disk's turn would be the measurement.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = tempfile.mkdtemp(prefix="megapipe-bench.", dir=memory)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results, began = [], time.monotonic()
    how = {"rounds": ROUNDS, "seconds": SECONDS}
    allow_descriptors()
    try:
        files(work)
        print(report.header(), flush=True)
        for row in rows():
            results.append(run(row, work))
            print(report.text(results[-1]), flush=True)
            report.save(results[-1], BUILD, how)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    failed = sum(1 for r in results if r["errors"])
    print(f"\n{len(results)} rows, {failed} failed, "
          f"{time.monotonic() - began:.0f} s")
    saved, write = report.earlier(BUILD), os.environ.get("UPDATE") == "1"
    document.pictures(saved, BUILD)
    if write:
        document.update(saved, ROOT)
    return bool(failed) or not (results or write)


if __name__ == "__main__":
    sys.exit(main())
