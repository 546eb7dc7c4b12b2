# SPDX-License-Identifier: MIT
"""The parts of check-suites: whose tests, how they are started, and what
their output says of each test. A new suite is a class here; each has
name, seconds, missing(), command(), directory() and results().
"""
import os
import pathlib
import random
import re
import shutil

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD", TOP / "build")).resolve()
# Unpacked and built by sources.bash.
SOURCES = BUILD / "suites"


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


class Source(Part):
    """Tests out of a Debian source package, on the packaged program."""
    source = ""
    program = ""

    def tree(self):
        return SOURCES / self.source

    def missing(self):
        if self.program and not os.path.exists(self.program):
            return f"no {self.program}"
        if not (self.tree() / "ready").exists():
            return f"no source of {self.source} (tests/suites/sources.bash)"
        return ""


def tap_results(log):
    """{test: status} of TAP. Keys and sizes that are made up for each run are
    not part of a name, and how many have none differs."""
    found = {}
    for line in log.splitlines():
        match = re.match(r"(not )?ok \d+(?: - )?(.*)", line)
        if not match:
            continue
        bad, name = match.groups()
        skipped = "# skip" in name.lower()
        name = re.sub(r"#.*|\d{3,}|[A-Z]{12,}", "", name).strip()[:100]
        name = name or "without a name"
        if found.get(name) != "FAIL":
            found[name] = ("FAIL" if bad else "skip" if skipped else "ok")
    return found


class Memcached(Source):
    source = "memcached"
    program = "/usr/bin/memcached"
    seconds = 150

    def __init__(self, test):
        self.test = test
        self.name = "memcached/" + test

    def directory(self, home):
        where = home / "memcached"
        if not where.exists():
            shutil.copytree(self.tree(), where, symlinks=True)
            for name in "memcached", "memcached-debug":
                (where / name).symlink_to(self.program)
        return where

    def command(self, home):
        return ["perl", "-I", "t/lib", f"t/{self.test}.t"]

    def results(self, home, log, code):
        found = tap_results(log)
        found["the whole"] = "ok" if code == 0 else "FAIL"
        return found


class Redis(Source):
    source = "redis"
    program = "/usr/bin/redis-server"
    seconds = 600

    def __init__(self, test):
        self.test = test
        self.name = "redis/" + test.split("/", 1)[1]

    def directory(self, home):
        where = home / "redis"
        if not where.exists():
            shutil.copytree(self.tree(), where, symlinks=True)
            (where / "src").mkdir(exist_ok=True)
            for name in ("server", "cli", "benchmark", "sentinel",
                         "check-aof", "check-rdb"):
                link = where / "src" / ("redis-" + name)
                link.unlink(missing_ok=True)
                link.symlink_to("/usr/bin/redis-" + name)
        return where

    def command(self, home):
        return ["tclsh", "tests/test_helper.tcl", "--single", self.test,
                "--clients", "1", "--skipunit", "none", "--baseport",
                str(random.randrange(21000, 30000)), "--portcount", "100"]

    def results(self, home, log, code):
        """Times, process ids and ports differ from run to run."""
        found = {}
        log = re.sub(r"\x1b\[[0-9;]*m", "", log)
        for status, name in re.findall(
                r"^\[(ok|err|exception|ignore|skip)\]: (.*)", log, re.M):
            name = re.sub(r"\(\d+ ms\)| in tests/.*|\d+", "",
                          name).strip()[:120]
            found[name] = status if status == "ok" else (
                "skip" if status in ("ignore", "skip") else "FAIL")
        found["the whole"] = "ok" if code == 0 else "FAIL"
        return found


class Libevent(Source):
    """Its group of tests; each test runs in a child of its own."""
    source = "libevent"
    seconds = 170

    def __init__(self, group):
        self.group = group
        self.name = "libevent/" + group

    def command(self, home):
        return [str(self.tree() / "test/regress"), self.group + "/.."]

    def results(self, home, log, code):
        found, running = {}, None
        for line in log.splitlines():
            match = re.match(r"(\w+/[\w/]+): (.*)", line.strip())
            if match:
                running, line = match.groups()
                found[running] = "no end"
            if running and re.search(r"\bOK$", line):
                found[running] = "ok"
            elif running and "SKIPPED" in line:
                found[running] = "skip"
            elif running and "FAILED" in line:
                found[running] = "FAIL"
        return found


class Libuv(Source):
    """All, one after the other; as root some are skipped."""
    source = "libuv1"
    name = "libuv/all"
    seconds = 300

    def command(self, home):
        return [str(self.tree() / "test/run-tests")]

    def directory(self, home):
        return self.tree()

    def results(self, home, log, code):
        return tap_results(log)


class Stress(Part):
    """stress-ng: made to find what breaks under load; it checks itself."""
    seconds = 60

    def __init__(self, stressor):
        self.stressor = stressor
        self.name = "stress-ng/" + stressor

    def missing(self):
        return "" if shutil.which("stress-ng") else "no stress-ng"

    def command(self, home):
        return ["stress-ng", "--" + self.stressor, "2", "--timeout", "4",
                "--verify", "--temp-path", str(home)]

    def results(self, home, log, code):
        return {self.stressor: "ok" if code == 0 else f"FAIL {code}"}


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

REDIS = """
unit/protocol unit/querybuf unit/networking unit/client-eviction unit/limits
unit/obuf-limits unit/multi unit/pubsub unit/pubsubshard unit/introspection
unit/introspection-2 unit/auth unit/acl unit/shutdown unit/info unit/scan
unit/expire unit/other unit/dump unit/bitops unit/maxmemory unit/tracking
unit/oom-score-adj unit/replybufsize unit/type/string unit/type/list
unit/type/stream unit/type/hash unit/type/set unit/type/zset unit/sort
unit/scripting unit/functions unit/latency-monitor unit/lazyfree unit/wait
integration/replication integration/replication-2 integration/replication-3
integration/replication-4 integration/replication-psync integration/psync2
integration/psync2-reg integration/psync2-pingoff integration/block-repl
integration/replication-buffer integration/aof integration/aof-race
integration/aof-multi-part integration/rdb integration/shutdown
integration/failover integration/redis-cli integration/redis-benchmark
integration/logging integration/convert-ziplist-hash-on-load
""".split()

LIBEVENT = """
main evutil iocp bufferevent listener http rpc thread finalize evbuffer
bufferevent_iocp ssl util signal evtag edgetriggered dns
""".split()


def memcached_parts():
    tests = sorted((SOURCES / "memcached/t").glob("*.t"))
    return [Memcached(path.stem) for path in tests] or [Memcached("basic")]


PARTS = (
    [Python(module, LONG.get(module, 300)) for module in PYTHON] +
    [Redis(test) for test in REDIS] + memcached_parts() +
    [Libevent(group) for group in LIBEVENT] + [Libuv()] +
    [Stress(name) for name in ("epoll", "sock", "sockpair", "poll",
                               "sockmany", "sockabuse")])
