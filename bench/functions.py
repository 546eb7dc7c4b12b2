#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the instructions of a request go: functions.py FILE LIBRARY REQUESTS

FILE is what `tests/tools/steps -o FILE` has written about a server under
LIBRARY, REQUESTS the number that it printed. One line a function: its own
instructions and how often it was called, both for a request.
"""
import bisect
import collections
import os
import subprocess
import sys


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.splitlines()


def functions(library):
    """Where each begins: address and name."""
    fields = (line.split() for line in output("nm", "--defined-only",
                                              library))
    return sorted((int(f[0], 16), f[2]) for f in fields
                  if len(f) == 3 and f[1] in "tTwW")


def shift(library):
    """From an offset in the file to an address, of what is executable."""
    for line in output("readelf", "-lW", library):
        fields = line.split()
        if fields[:1] == ["LOAD"] and "E" in "".join(fields[6:-1]):
            return int(fields[2], 16) - int(fields[1], 16)
    return 0


def main():
    path, library, requests = sys.argv[1:]
    begins, by = functions(library), shift(library)
    addresses = [a for a, _ in begins]
    own, calls = collections.Counter(), collections.Counter()
    with open(path, encoding="ascii") as f:
        for line in f:
            name, offset, count = line.rsplit(" ", 2)
            if name != os.path.basename(library):
                continue
            at = int(offset, 16) + by
            start, function = begins[bisect.bisect_right(addresses, at) - 1]
            own[function] += int(count)
            if at == start:
                calls[function] = int(count)
    n = int(requests)
    print(f"{sum(own.values()) / n:8.1f} instructions a request")
    for function, count in own.most_common():
        print(f"{count / n:8.1f} {calls[function] / n:7.2f} calls  "
              f"{function}")


if __name__ == "__main__":
    sys.exit(main())
