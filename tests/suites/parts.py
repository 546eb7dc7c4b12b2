# SPDX-License-Identifier: MIT
"""The parts of check-suites: whose tests, how they are started, and what
their output says of each test. A new suite is a class here; each has
name, seconds, missing(), command(), directory() and results().
"""
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent


class Part:
    seconds = 300
    # How often it is started: one that hangs goes on behind that test.
    starts = 1

    def complete(self, found):
        return True

    def missing(self):
        """Why it can't run here, or nothing."""
        return ""

    def directory(self, home):
        return home


class Python(Part):
    """A module of CPython's tests (package libpython3.N-testsuite)."""

    starts = 6

    def __init__(self, module, seconds=300):
        self.module = module
        self.name = "python/" + module
        self.seconds = seconds

    @staticmethod
    def interpreter():
        for minor in range(20, 8, -1):
            version = f"python3.{minor}"
            if (os.path.exists(f"/usr/bin/{version}") and
                    os.path.exists(f"/usr/lib/{version}/test/test_socket.py")):
                return f"/usr/bin/{version}"
        return ""

    def missing(self):
        interpreter = self.interpreter()
        if not interpreter:
            return "no libpython3.N-testsuite"
        tests = "/usr/lib/" + os.path.basename(interpreter) + "/test/"
        path = tests + self.module.replace(".", "/")
        if not os.path.exists(path + ".py") and not os.path.isdir(path):
            return "not in this version"
        return ""

    def command(self, home):
        return [self.interpreter(), str(HERE / "unittest_results.py"),
                str(home / "results"), "test." + self.module]

    def results(self, home, log, code):
        """A test begun and not ended has no end; one may be told twice."""
        path, found, ended = home / "results", {}, False
        for line in path.read_text().splitlines() if path.exists() else ():
            status, test = line.split("\t", 1)
            if status == "ended":
                ended = True
            elif status == "begun":
                found[test] = "no end"
            elif found.get(test) != "FAIL":
                found[test] = status
        if not ended:
            found["the whole"] = "no end"
        return found

    def complete(self, found):
        return "the whole" not in found


PYTHON = """
test_epoll test_selectors test_poll test_select test_socket test_socketserver
test_httpservers test_httplib test_ftplib test_smtplib test_smtpd test_poplib
test_imaplib test_nntplib test_telnetlib test_asyncore test_asynchat
test_xmlrpc test_docxmlrpc test_urllib2_localnet test_wsgiref test_timeout
test_ssl test_logging
test_asyncio.test_base_events test_asyncio.test_events
test_asyncio.test_selector_events test_asyncio.test_streams
test_asyncio.test_sslproto test_asyncio.test_ssl test_asyncio.test_sock_lowlevel
test_asyncio.test_server test_asyncio.test_sendfile test_asyncio.test_subprocess
test_asyncio.test_unix_events test_asyncio.test_buffered_proto
test_asyncio.test_pep492 test_asyncio.test_runners test_asyncio.test_threads
test_asyncio.test_tasks test_asyncio.test_waitfor test_asyncio.test_context
test_signal test_threadsignals test_eintr test_file_eintr test_subprocess
test_fork1 test_wait3 test_wait4 test_posix test_os test_pty test_popen
test_fcntl test_ioctl test_fileio test_io test_mmap test_resource test_threading
test_faulthandler test_atexit test_multiprocessing_fork
test_multiprocessing_spawn test_concurrent_futures
""".split()

LONG = {
    "test_multiprocessing_fork": 900, "test_multiprocessing_spawn": 900,
    "test_concurrent_futures": 900, "test_ssl": 600, "test_socket": 600,
}

PARTS = [Python(module, LONG.get(module, 300)) for module in PYTHON]
