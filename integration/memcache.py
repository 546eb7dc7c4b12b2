#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A memcached client that checks every byte.

Each command is one way to use a server; what the server answered is printed
as a checksum, so that two runs can be compared, or checked on the spot where
the order of things is up to the threads of the server.
"""
import hashlib
import random
import socket
import struct
import sys
import threading
import time

PORT = int(sys.argv[2])
MIB = 1 << 20


class Conn:
    """A blocking connection with a buffer and a hash of all it received."""

    def __init__(self, timeout=20):
        self.sock = socket.create_connection(("127.0.0.1", PORT), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buf = b""
        self.hash = hashlib.sha256()

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        data = self.sock.recv(262144)
        if not data:
            raise EOFError
        self.hash.update(data)
        self.buf += data

    def line(self):
        while b"\r\n" not in self.buf:
            self.more()
        line, self.buf = self.buf.split(b"\r\n", 1)
        return line

    def take(self, size):
        parts, have = [self.buf], len(self.buf)
        self.buf = b""
        while have < size:
            self.more()
            parts.append(self.buf)
            have += len(self.buf)
            self.buf = b""
        data = b"".join(parts)
        self.buf = data[size:]
        return data[:size]

    def ask(self, data):
        self.send(data)
        return self.line()

    def store(self, key, value):
        return self.ask(b"set %s 7 0 %d\r\n%s\r\n" % (key, len(value), value))

    def values(self):
        """What a get returns: key to value."""
        got = {}
        while True:
            line = self.line()
            if line == b"END":
                return got
            word, key, flags, size = line.split()[:4]
            assert (word, flags) == (b"VALUE", b"7"), line
            data = self.take(int(size) + 2)
            assert data.endswith(b"\r\n")
            got[key] = data[:-2]

    def fetch(self, *keys):
        self.send(b"get " + b" ".join(keys) + b"\r\n")
        return self.values()

    def ended(self):
        """The server has ended the connection, and says no more."""
        try:
            return self.buf == b"" and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.sock.close()


def sizes():
    return [0, 1, 100, 1400, 2047, 4096, 16383, 16384, 65536, 300000,
            MIB - 1000]


def value(seed, size):
    return random.Random(seed).randbytes(size)


def text():
    """The text protocol on one connection: every reply, in order."""
    conn = Conn()
    for i, size in enumerate(sizes()):
        assert conn.store(b"key%d" % i, value(i, size)) == b"STORED"
    keys = [b"key%d" % i for i in range(len(sizes()))]
    got = conn.fetch(*keys, b"missing")
    assert got == {key: value(i, size)
                   for i, (key, size) in enumerate(zip(keys, sizes()))}
    reply = conn.store(b"large", value(1, MIB))
    assert reply == b"SERVER_ERROR object too large for cache", reply
    # Everything at once, in pieces that end in the middle of words.
    data = b""
    for i in range(2000):
        data += b"set n%d 7 0 %d\r\n%d\r\n" % (i, len(b"%d" % i), i)
        data += b"incr n%d 5\r\nget n%d n%d\r\n" % (i, i, i // 2)
        data += b"append n%d 7 0 1\r\nx\r\ntouch n%d 0\r\n" % (i, i)
        data += b"set q 7 0 1 noreply\r\nq\r\ngets q\r\n"
        data += b"incr n%d 1\r\ndelete n%d\r\ndelete nothing\r\n" % (i, i)
        data += b"mg q s v t\r\nms q S1\r\nz\r\nbogus\r\n"
    data += b"version\r\nflush_all\r\nquit\r\n"

    def write():
        for i in range(0, len(data), 7001):
            conn.send(data[i:i + 7001])
    writer = threading.Thread(target=write)
    writer.start()
    try:
        while True:
            conn.buf = b""
            conn.more()
    except EOFError:
        pass
    writer.join()
    print("text", conn.hash.hexdigest())


def packet(opcode, key=b"", data=b"", extras=b"", opaque=0):
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0,
                       0, len(extras) + len(key) + len(data), opaque,
                       0) + extras + key + data


def binary():
    """The binary protocol: set, get, quiet gets, a counter, errors."""
    conn = Conn()

    def reply():
        head = conn.take(24)
        magic, opcode, _, extras, _, status, size, opaque, _ = \
            struct.unpack(">BBHBBHIIQ", head)
        assert magic == 0x81, head
        return opcode, status, opaque, conn.take(size)[extras:]
    for i, size in enumerate(sizes()):
        conn.send(packet(1, b"bin%d" % i, value(i, size),
                         struct.pack(">II", 7, 0), i))
        assert reply()[:3] == (1, 0, i)
    for i, size in enumerate(sizes()):
        conn.send(packet(0, b"bin%d" % i, opaque=i))
        assert reply() == (0, 0, i, value(i, size))
    # A multi-get: misses are silent, a no-op ends it.
    conn.send(b"".join(packet(9, b"bin%d" % (i % 15), opaque=i)
                       for i in range(3000)
                       if i % 15 not in (8, 9, 10)) + packet(10))
    count = 0
    while (got := reply())[0] != 10:
        assert got[3] == value(got[2] % 15, sizes()[got[2] % 15])
        count += 1
    assert count == 3000 // 15 * 8, count
    for i in range(100):
        conn.send(packet(5, b"counter", b"", struct.pack(">QQI", 3, 10, 0)))
        assert reply()[3] == struct.pack(">Q", 10 + 3 * i)
    conn.send(packet(4, b"nothing"))
    assert reply()[1] == 1
    conn.send(packet(7))
    assert reply()[:2] == (7, 0)
    assert conn.ended()
    print("binary", conn.hash.hexdigest())


def client(number, failed):
    """A client of its own keys; now and then it connects again."""
    rng = random.Random(number)
    try:
        conn, stored = Conn(), {}
        for turn in range(150):
            key = b"c%d.%d" % (number, rng.randrange(20))
            if rng.random() < 0.4:
                size = rng.choice([3, 30, 300, 3000, 30000, 100000])
                stored[key] = rng.randbytes(size)
                assert conn.store(key, stored[key]) == b"STORED"
            elif rng.random() < 0.5:
                want = {k: stored[k] for k in
                        rng.sample(sorted(stored), min(4, len(stored)))}
                assert not want or conn.fetch(*want) == want
            else:
                assert conn.fetch(key) == \
                    ({key: stored[key]} if key in stored else {})
            if turn % 50 == 49:
                conn.send(b"quit\r\n")
                assert conn.ended()
                conn = Conn()
        conn.close()
    except Exception as err:  # pylint: disable=broad-except
        failed.append((number, repr(err)))


def parallel():
    """Many clients at once, each compares all it reads."""
    failed = []
    threads = [threading.Thread(target=client, args=(i, failed))
               for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed[:5]
    print("parallel ok")


def idle():
    """Connections that wait, some with half a request, beside busy ones."""
    waiting = [Conn() for _ in range(200)]
    for i, conn in enumerate(waiting[::2]):
        conn.send(b"set half%d 7 0 10\r\n01234" % i)
    parallel()
    for i, conn in enumerate(waiting[::2]):
        assert conn.ask(b"56789\r\n") == b"STORED"
    for i, conn in enumerate(waiting[1::2]):
        assert conn.fetch(b"half%d" % i) == {b"half%d" % i: b"0123456789"}
    one = Conn()
    stats = count(one)
    assert stats == 201, stats
    for conn in waiting:
        conn.close()
    end = time.monotonic() + 10
    while count(one) != 1:
        assert time.monotonic() < end, count(one)
    print("idle ok")


def count(conn):
    """Connections of clients, as the server counts them."""
    conn.send(b"stats\r\n")
    stats = {}
    while (line := conn.line()) != b"END":
        _, name, word = line.split(b" ", 2)
        stats[name] = word
    return int(stats[b"curr_connections"])


def slow():
    """Values are asked for and not read: the server has to wait for room,
    for this one only."""
    conn = Conn()
    size = MIB - 1000
    assert conn.store(b"big", value(1, size)) == b"STORED"
    slow_one = Conn()
    slow_one.send(b"get big\r\n" * 60)
    for _ in range(200):
        assert conn.store(b"small", b"x" * 100) == b"STORED"
        assert conn.fetch(b"small") == {b"small": b"x" * 100}
    for _ in range(60):
        assert slow_one.values() == {b"big": value(1, size)}
    # One that never reads goes away, in the middle.
    gone = Conn()
    gone.send(b"get big\r\n" * 60)
    gone.close()
    assert conn.fetch(b"small") == {b"small": b"x" * 100}
    print("slow ok")


def served(conn):
    """Is this one let in? None: it has to wait."""
    try:
        conn.sock.settimeout(0.5)
        line = conn.store(b"l", b"v")
    except socket.timeout:
        return None
    except OSError:
        return False
    conn.sock.settimeout(20)
    if line == b"ERROR Too many open connections":
        return False
    assert line == b"STORED", line
    return True


def limit():
    """The one that is too many is told, the others work on, and the place
    of one that leaves is taken again."""
    conns = []
    while served(conn := Conn()):
        conns.append(conn)
    assert conn.ended()
    for _ in range(5):
        over = Conn()
        assert over.line() == b"ERROR Too many open connections"
        assert over.ended()
    for conn in conns:
        assert conn.fetch(b"l") == {b"l": b"v"}
    print("limit", len(conns))
    conns.pop().close()
    end = time.monotonic() + 10
    while not served(Conn()):
        assert time.monotonic() < end, "nobody is let in"


def queue():
    """The same without maxconns_fast: the server stops accepting; who waits
    in front of it is served when others leave."""
    conns, failed = [], []
    while served(conn := Conn()):
        conns.append(conn)
    print("queue", len(conns))

    def late():
        try:
            assert Conn().fetch(b"l") == {b"l": b"v"}
        except Exception as err:  # pylint: disable=broad-except
            failed.append(repr(err))
    threads = [threading.Thread(target=late) for _ in range(3)]
    for thread in threads:
        thread.start()
    for other in conns[:8]:
        other.close()
    conn.sock.settimeout(20)
    assert conn.line() == b"STORED"
    for thread in threads:
        thread.join()
    assert not failed, failed
    for other in conns[8:]:
        assert other.fetch(b"l") == {b"l": b"v"}


def timeout():
    """idle_timeout: who says nothing is cut off, who speaks is not."""
    quiet, speaks = Conn(), Conn()
    start = time.monotonic()
    quiet.sock.setblocking(False)
    while True:
        assert speaks.store(b"t", b"v") == b"STORED"
        try:
            assert quiet.sock.recv(1) == b""
            break
        except BlockingIOError:
            assert time.monotonic() < start + 20
            time.sleep(0.05)
    assert time.monotonic() > start + 0.9
    assert speaks.fetch(b"t") == {b"t": b"v"}
    print("timeout ok")


globals()[sys.argv[1]]()
