# SPDX-License-Identifier: MIT
"""unittest_results.py FILE MODULE: runs one module of CPython's own tests and
writes a line "status TAB test" to FILE for each, and "begun TAB test" before
it: of a run that hangs, the last line says where. Statuses: ok, skip, FAIL.
A test that takes longer than a minute ends all; started again with the same
FILE, what has begun before is left out.
"""
import faulthandler
import os
import sys
import unittest

LONGEST = 60
# Not about us, and without an end where the machine is a virtual one.
LEFT_OUT = ("VSOCK",)
NOT_HERE = {"audio", "gui", "largefile", "urlfetch", "walltime"}


class Lines(unittest.TestResult):
    """Results as lines, each written at once."""

    def __init__(self, path):
        super().__init__()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # Far from the numbers that tests look at.
        low = os.open(path, flags, 0o644)
        self.fd = os.dup2(low, 900, inheritable=False)
        os.close(low)
        self.home = os.getpid()
        self.bad = set()

    def line(self, status, test):
        os.write(self.fd, f"{status}\t{test.id()}\n".encode())

    def startTest(self, test):
        super().startTest(test)
        faulthandler.dump_traceback_later(LONGEST, exit=True)
        self.line("begun", test)

    def stopTest(self, test):
        super().stopTest(test)
        if os.getpid() != self.home:
            os._exit(99)    # a child of a test came back from it

    def addSuccess(self, test):
        if test.id() not in self.bad:
            self.line("ok", test)

    def addSkip(self, test, reason):
        self.line("skip", test)

    def addExpectedFailure(self, test, err):
        self.line("ok", test)

    def addUnexpectedSuccess(self, test):
        self.line("FAIL", test)

    def failed(self, test, err):
        self.bad.add(test.id())
        self.line("FAIL", test)
        text = self._exc_info_to_string(err, test)
        print(f"--- {test.id()}\n{text}", flush=True)

    addError = addFailure = failed

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.failed(test, err)


def begun_before(path):
    with open(path, encoding="utf-8") as lines:
        return {line.split("\t", 1)[1].rstrip("\n") for line in lines}


def remaining(suite, begun):
    """The suite as it was, classes and modules together, less some tests."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield unittest.TestSuite(remaining(item, begun))
        elif item.id() not in begun and not any(
                word in item.id() for word in LEFT_OUT):
            yield item


def main():
    path, name = sys.argv[1:]
    faulthandler.enable()
    from test import support
    from test.libregrtest.setup import setup_tests  # noqa: F401
    support.use_resources = sorted({
        "audio", "cpu", "curses", "decimal", "gui", "largefile", "network",
        "subprocess", "tzdata", "urlfetch", "walltime"} - NOT_HERE)
    support.verbose = False
    # What libregrtest gives its tests.
    support.PGO = False
    results = Lines(path)
    loader = unittest.TestLoader()
    try:
        suite = loader.loadTestsFromName(name)
    except unittest.SkipTest as why:
        print(f"skipped: {why}")
        return 77
    rest = unittest.TestSuite(remaining(suite, begun_before(path)))
    rest.run(results)
    os.write(results.fd, b"ended\t.\n")
    os._exit(1 if results.bad else 0)


if __name__ == "__main__":
    main()
