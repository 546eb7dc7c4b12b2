#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Other projects' own test suites, run plainly and under the library.

run.py [GLOB...]: the parts whose names fit (all by default), as TAP, one test
for each part and depth. The plain run is the oracle: a test that fails there
may fail with us. A test that ends differently is run twice more both ways; it
counts when it differs in two of three. Modes, which depths: $MODES.
The output of every run is in build/check/log/suites/. $UNDER is a command to start each
run with, such as nice.
"""
import fnmatch
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from parts import PARTS

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build")).resolve()
LOGS = BUILD / "check/log/suites"
LIBRARY = BUILD / "libmegapipe-preload.so"
AGAIN = 2


def environment(mode, home):
    env = {
        "PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
        "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if mode != "plain":
        env["LD_PRELOAD"] = str(LIBRARY)
        env["MEGAPIPE_LWSOCKET"] = mode
        # Most have one connection: the library is to be asked all the same.
        env["MEGAPIPE_MIN_CONNECTIONS"] = "1"
        env["MEGAPIPE_STATS"] = str(LOGS / "counters")
    return env


def end_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def start(part, mode, home, out):
    """One start; its exit status."""
    under = os.environ.get("UNDER", "").split()
    variables = [f"{k}={v}" for k, v in environment(mode, home).items()]
    process = subprocess.Popen(
        under + ["timeout", "-k", "5", str(part.seconds), "env", "-i"] +
        variables + part.command(home), cwd=part.directory(home), stdout=out,
        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        start_new_session=True)
    process.wait()
    end_group(process)
    return process.returncode


def run(part, mode, turn):
    """{test: status} of one run; a test without an end is "no end"."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="suite-"))
    log = LOGS / f"{part.name.replace('/', '-')}.{mode}.{turn}.log"
    try:
        with open(log, "wb") as out:
            for _ in range(part.starts):
                code = start(part, mode, home, out)
                found = part.results(home, log.read_text(errors="replace"),
                                     code)
                if part.complete(found):
                    break
        return found
    finally:
        shutil.rmtree(home, ignore_errors=True)


def differing(plain, ours):
    return {test for test in plain.keys() | ours.keys()
            if plain.get(test) != ours.get(test)}


def steady(part, mode, plain, ours):
    """Of the tests that end differently those that go on doing so, and those
    that did so once."""
    seen, first = {test: 1 for test in differing(plain, ours)}, plain
    for turn in range(2, 2 + AGAIN) if seen else ():
        plain, ours = run(part, "plain", turn), run(part, mode, turn)
        for test in differing(plain, ours) & seen.keys():
            # What is not steady plainly says nothing of us.
            seen[test] += plain.get(test) == first.get(test)
    return ({t for t, n in seen.items() if n > 1},
            {t for t, n in seen.items() if n == 1})


def report(number, part, mode, plain, ours):
    always, once = steady(part, mode, plain, ours)
    counted = f"{len(ours)} tests, {list(plain.values()).count('FAIL')} fail"
    print(f"{'not ' if always else ''}ok {number} - "
          f"{part.name}[{mode}] ({counted} plainly)", flush=True)
    for test in sorted(always):
        print(f"# {test}: plain {plain.get(test)}, {mode} {ours.get(test)}")
    for test in sorted(once):
        print(f"# once only: {test}: plain {plain.get(test)}, "
              f"{mode} {ours.get(test)}")


def main():
    globs = sys.argv[1:] or ["*"]
    modes = [m for m in os.environ.get("MODES", "on off").split()
             if m != "plain"]
    parts = [p for p in PARTS
             if any(fnmatch.fnmatch(p.name, g) for g in globs)]
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"1..{len(parts) * len(modes)}")
    number = 0
    for part in parts:
        missing = part.missing()
        plain = {} if missing else run(part, "plain", 1)
        if not missing and not plain:
            missing = "the plain run has no results"
        for mode in modes:
            number += 1
            if missing:
                print(f"ok {number} - {part.name}[{mode}] # SKIP {missing}",
                      flush=True)
            else:
                report(number, part, mode, plain, run(part, mode, 1))


if __name__ == "__main__":
    main()
