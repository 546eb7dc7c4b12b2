#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients for what curl cannot be told to do, one function each.

client.py NAME PORT [ARGUMENT...] prints what it saw, in words that two runs
of the same server have in common: sums and sizes, never times or ports.
"""
import hashlib
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time


def sha(data):
    return hashlib.sha256(data).hexdigest()[:16]


def connect(port, timeout=20):
    return socket.create_connection(("127.0.0.1", int(port)), timeout)


def read_all(sock):
    """All there is, and how it ended."""
    data = bytearray()
    while True:
        try:
            more = sock.recv(1 << 18)
        except ConnectionResetError:
            return bytes(data), "reset"
        except socket.timeout:
            return bytes(data), "timeout"
        if not more:
            return bytes(data), "eof"
        data += more


def read_until(sock, end):
    data = b""
    while not data.endswith(end):
        more = sock.recv(1)
        if not more:
            break
        data += more
    return data


def both_ways(sock, size, seed=1):
    """Everything out while everything comes back, in pieces of any size."""
    rng = random.Random(seed)
    data = rng.randbytes(size)

    def out():
        at = 0
        while at < size:
            piece = rng.randrange(1, 200000)
            sock.sendall(data[at:at + piece])
            at += piece
    thread = threading.Thread(target=out)
    thread.start()
    got = bytearray()
    while len(got) < size:
        more = sock.recv(rng.randrange(1, 300000))
        if not more:
            break
        got += more
    thread.join()
    return "the same" if bytes(got) == data else f"{len(got)} other bytes"


def ended(port):
    """A connection that is accepted and ended without a byte."""
    with connect(port) as sock:
        print(read_all(sock)[0])


def echo(port, size="3000000", cert=""):
    """Echo both ways, half close, the rest, the end."""
    with connect(port) as sock:
        if cert:
            # Not both ways at once: one thread at a time may use TLS.
            with ssl.create_default_context(cafile=cert).wrap_socket(
                    sock, server_hostname="127.0.0.1") as tls:
                pieces(tls, int(size))
            return
        print("echo", both_ways(sock, int(size)))
        sock.sendall(b"last")
        sock.shutdown(socket.SHUT_WR)
        print(read_all(sock))


def pieces(sock, size):
    """Piece by piece, each back before the next."""
    at = 0
    for i in range(1, size):
        data = random.Random(i).randbytes(min(i * 997, size - at))
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            got += sock.recv(len(data) - len(got)) or sys.exit("end")
        assert got == data
        at += len(data)
        if at == size:
            break
    print("pieces ok")


def echo_many(port, count="40", size="20000"):
    socks = [connect(port) for _ in range(int(count))]
    data = [random.Random(i).randbytes(int(size)) for i in range(len(socks))]
    for _ in range(3):
        for sock, out in zip(socks, data):
            sock.sendall(out)
        for sock, out in zip(socks, data):
            got = b""
            while len(got) < len(out):
                got += sock.recv(len(out) - len(got)) or sys.exit("end")
            assert got == out
    for sock in socks:
        sock.close()
    print("echo_many ok")


def echo_short(port, count="100"):
    for i in range(int(count)):
        with connect(port) as sock:
            sock.sendall(b"%d" % i)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == (b"%d" % i, "eof")
    print("echo_short ok")


def aborts(port, count="20"):
    """Clients that go away with a reset while data is under way."""
    for i in range(int(count)):
        sock = connect(port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        sock.sendall(bytes(1000 * i))
        if i % 2:
            sock.recv(10)
        sock.close()


def aborted(port, path, count="10"):
    """Clients that ask for much and go away with a reset."""
    for i in range(int(count)):
        sock = connect(port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if i % 2:
            sock.recv(10)
        sock.close()


def datagrams(port, count="50"):
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", int(port)))
        for i in range(int(count)):
            data = random.Random(i).randbytes(i * 20 + 1)
            sock.send(data)
            assert sock.recv(65536) == data[::-1], i
    print("datagrams ok")


def upgrade(port, path):
    """HTTP becomes another protocol, both ways and in turns."""
    with connect(port) as sock:
        sock.sendall((f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n"
                      "Connection: Upgrade\r\n\r\n").encode())
        head = read_until(sock, b"\r\n\r\n")
        print(head.split(b"\r\n")[0])
        print("upgrade", both_ways(sock, 2000000))
        for i in range(200):
            sock.sendall(b"ping %d" % i)
            want = b"ping %d" % i
            got = b""
            while len(got) < len(want):
                got += sock.recv(100)
            assert got == want
        sock.shutdown(socket.SHUT_WR)
        print(read_all(sock))


def tls_context(version, cert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cert)
    context.minimum_version = context.maximum_version = version
    return context


def tls_resume(port, cert, path="/f64k", host="127.0.0.1"):
    """Full and resumed handshakes, by ticket and by session id."""
    for name, version, options in (
            ("1.2 id", ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TICKET),
            ("1.2 ticket", ssl.TLSVersion.TLSv1_2, 0),
            ("1.3", ssl.TLSVersion.TLSv1_3, 0)):
        context = tls_context(version, cert)
        context.options |= options
        session = None
        for _ in range(3):
            with context.wrap_socket(connect(port), server_hostname=host,
                                     session=session) as sock:
                for last in (False, True):
                    sock.sendall((f"GET {path} HTTP/1.1\r\nHost: a\r\n" + (
                        "Connection: close\r\n" if last else "") +
                        "\r\n").encode())
                    if not last:
                        head = read_until(sock, b"\r\n\r\n")
                        size = int(head.lower().split(
                            b"content-length: ")[1].split(b"\r")[0])
                        body = b""
                        while len(body) < size:
                            body += sock.recv(size - len(body))
                session, reused = sock.session, sock.session_reused
                body2, end = read_all(sock)
                print(name, reused, sha(body),
                      sha(body2.split(b"\r\n\r\n", 1)[1]), end)


def tls_broken(port):
    """Handshakes that are left, garbled, or of another protocol."""
    for data in (b"", b"\x16\x03\x01\x02\x00\x01", b"\x16\x03\x01" + b"x" * 99,
                 b"\x80\x2e\x01\x00\x02", os.urandom(0)):
        with connect(port, 5) as sock:
            sock.sendall(data)
            try:
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            print(len(data), read_all(sock)[0])


def request(port, *pieces):
    """Pieces of a request, an answer, the end; \\r\\n as escapes."""
    with connect(port, 5) as sock:
        for piece in pieces:
            sock.sendall(piece.encode().decode("unicode_escape").encode(
                "latin1"))
            time.sleep(0.02)
        data, end = read_all(sock)
        lines = [line for line in data.split(b"\r\n")
                 if not line.lower().startswith((b"date:", b"etag:"))]
        print(b"\n".join(lines[:30]).decode("latin1")[:2000], end)


def timed(port, low, high, *pieces):
    """request(), and that it took between low and high seconds."""
    start = time.monotonic()
    request(port, *pieces)
    took = time.monotonic() - start
    good = float(low) <= took <= float(high)
    print("in time" if good else f"after {took:.2f} s")


def not_reading(port, path, pause="0.9"):
    """A client that asks for much and reads nothing for a while."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", int(port)))
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        time.sleep(float(pause))
        data, end = read_all(sock)
        print("all" if len(data) > 5 << 20 else "not all", end)


def slow_reader(port, path):
    """Small sips with a small window."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", int(port)))
        sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        data = bytearray()
        turn = 0
        while more := sock.recv(4096 + turn % 4096):
            data += more
            turn += 1
            if turn % 40 == 0:
                time.sleep(0.005)
        print("slow reader", sha(bytes(data).split(b"\r\n\r\n", 1)[1]))


def crowd(port, path, count="200", rounds="3"):
    """Many connections that are all kept and all ask at once."""
    socks = [connect(port) for _ in range(int(count))]
    files = [sock.makefile("rb") for sock in socks]
    digest = hashlib.sha256()
    for _ in range(int(rounds)):
        for sock in socks:
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        for file in files:
            size = 0
            while (line := file.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            digest.update(file.read(size))
    for sock in socks:
        sock.close()
    print("crowd", digest.hexdigest()[:16])


def slow_upload(port, path, size="300000", chunked=""):
    """A body in dribs and drabs; the answer is read at the end."""
    data = random.Random(7).randbytes(int(size))
    with connect(port, 10) as sock:
        how = ("Transfer-Encoding: chunked" if chunked else
               f"Content-Length: {size}")
        sock.sendall((f"POST {path} HTTP/1.1\r\nHost: a\r\n{how}\r\n"
                      "Connection: close\r\n\r\n").encode())
        at, step = 0, 1
        while at < len(data):
            piece = data[at:at + step]
            if chunked:
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            sock.sendall(piece)
            at, step = at + step, step * 2 % 17001 + 1
            time.sleep(0.003)
        if chunked:
            sock.sendall(b"0\r\n\r\n")
        got, end = read_all(sock)
        print(got.split(b"\r\n", 1)[0], got.split(b"\r\n\r\n", 1)[-1], end,
              sha(data))


def expect(port, path, size="200000"):
    """100-continue: the body is sent only once the server asks for it."""
    data = random.Random(8).randbytes(int(size))
    with connect(port, 10) as sock:
        for last in (False, True):
            sock.sendall((f"POST {path} HTTP/1.1\r\nHost: a\r\n"
                          f"Content-Length: {size}\r\n"
                          "Expect: 100-continue\r\n" +
                          ("Connection: close\r\n" if last else "") +
                          "\r\n").encode())
            print(read_until(sock, b"\r\n\r\n"))
            sock.sendall(data)
            if not last:
                head = read_until(sock, b"\r\n\r\n")
                size2 = int(head.lower().split(
                    b"content-length: ")[1].split(b"\r")[0])
                print(sock.recv(size2, socket.MSG_WAITALL))
        got, end = read_all(sock)
        print(got.split(b"\r\n\r\n", 1)[-1], end)


def proxy_header(port):
    """The PROXY protocol, in one piece and in two."""
    line = b"PROXY TCP4 192.0.2.7 192.0.2.8 1000 2000\r\n"
    get = b"GET /address HTTP/1.0\r\n\r\n"
    for pieces in ((line + get,), (line[:9], line[9:] + get), (line, get),
                   (b"no such thing\r\n" + get,)):
        with connect(port) as sock:
            for piece in pieces:
                sock.sendall(piece)
                time.sleep(0.02)
            data, end = read_all(sock)
            print(data.split(b"\r\n\r\n")[-1], end)


def connect_any(where):
    """A port, or the path of a unix socket."""
    if not where.startswith("/"):
        return connect(where)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(20)
    sock.connect(where)
    return sock


def memcached_meta(where):
    """Meta commands one by one, and quiet ones in one piece."""
    with connect_any(where) as sock:
        for line in (b"ms key 5 T0 F7 c\r\nvalue", b"mg key v f t s",
                     b"mg key v q", b"mg none v", b"mg none q",
                     b"ma n N0 J10 v", b"ma n D5 v", b"me none",
                     b"ms key 3 MA\r\nend", b"mg key s v k O123",
                     b"md key q", b"md key", b"md n", b"mg",
                     b"no such thing", b"version_"):
            sock.sendall(line + b"\r\nmn\r\n")
            print(b" ".join(word for word in read_until(
                sock, b"MN\r\n").split(b" ") if not word.startswith(b"c")))
        out = b"".join(b"ms q%d %d q\r\n%s\r\n" % (i, i, bytes(i))
                       for i in range(1000))
        out += b"".join(b"mg q%d v s q\r\n" % i for i in range(1100))
        sock.sendall(out + b"mn\r\n")
        got = b""
        while not got.endswith(b"MN\r\n"):
            got += sock.recv(1 << 18) or sys.exit("end")
        print(len(got), sha(got))


def memcached_large(where):
    """Up to the limit, one over it, and many clients that read at once."""
    value = random.Random(5).randbytes((8 << 20) - 1000)
    with connect_any(where) as sock:
        file = sock.makefile("rb")
        sock.sendall(b"set large 0 0 %d\r\n%s\r\n" % (len(value), value))
        print(file.readline())
        sock.sendall(b"set over 0 0 %d\r\n%s\r\n" % (9 << 20, bytes(9 << 20)))
        print(file.readline())
    socks = [connect_any(where) for _ in range(5)]
    for sock in socks:
        sock.sendall(b"get large\r\nget none\r\nquit\r\n")
    for sock in socks:
        print(sha(read_all(sock)[0]))
        sock.close()


def memcached_datagrams(port):
    """Frames over UDP, while a TCP client is served, too."""
    tcp = connect(port)
    file = tcp.makefile("rb")
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", int(port)))
        for i in range(200):
            body = random.Random(i).randbytes(i * 5)
            tcp.sendall(b"set u%d 0 0 %d\r\n%s\r\n" % (i, len(body), body))
            assert file.readline() == b"STORED\r\n"
            sock.send(struct.pack(">HHHH", i, 0, 1, 0) + b"get u%d\r\n" % i)
            data = sock.recv(65536)
            assert struct.unpack(">HHHH", data[:8]) == (i, 0, 1, 0)
            assert data[8:] == b"VALUE u%d 0 %d\r\n%s\r\nEND\r\n" % (
                i, len(body), body), i
    tcp.close()
    print("memcached_datagrams ok")


class Resp:
    """A redis connection on TCP, TLS or a unix socket, in RESP2 or RESP3."""

    def __init__(self, where, cert=""):
        self.sock = connect_any(where)
        if cert:
            self.sock = ssl.create_default_context(cafile=cert).wrap_socket(
                self.sock, server_hostname="127.0.0.1")
        self.file = self.sock.makefile("rb")

    def send(self, *words):
        out = b"*%d\r\n" % len(words)
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            out += b"$%d\r\n%s\r\n" % (len(word), word)
        self.sock.sendall(out)

    def reply(self):
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in b"*~>":
            return [self.reply() for _ in range(int(rest))]
        if kind == b"%":
            return [self.reply() for _ in range(2 * int(rest))]
        if kind in b"$=":
            return self.file.read(int(rest) + 2)[:-2] if rest != b"-1" else None
        return line[:-2]

    def __call__(self, *words):
        self.send(*words)
        return self.reply()


def nutcracker(where):
    """Values of some size, and many at once, through a proxy."""
    one = Resp(where)
    value = random.Random(4).randbytes(500000)
    print(one("SET", "large", value), one("GET", "large") == value)
    for i in range(500):
        one.send("SET", f"n{i}", i)
    print(sum(one.reply() == b"OK" for _ in range(500)))
    print(sha(repr(one("MGET", *(f"n{i}" for i in range(500)))).encode()),
          one("DEL", "large"))


def beanstalk(port):
    """Producers, a consumer that waits, and one that is too slow."""
    consumer, producer = connect(port), connect(port)
    file, told = consumer.makefile("rb"), producer.makefile("rb")
    for i in range(300):
        body = random.Random(i).randbytes(i * 13 % 60000)
        producer.sendall(b"put %d 0 60 %d\r\n%s\r\n" %
                         (i, len(body), body))
        consumer.sendall(b"reserve\r\n")
        print(told.readline()[:8] if i < 2 else "", end="")
        word, ident, size = file.readline().split()
        assert word == b"RESERVED"
        assert file.read(int(size) + 2)[:-2] == body
        consumer.sendall(b"delete %s\r\n" % ident)
        assert file.readline() == b"DELETED\r\n"
    consumer.sendall(b"reserve-with-timeout 1\r\n")
    print(file.readline())
    producer.sendall(b"quit\r\n")
    consumer.sendall(b"nonsense\r\n")
    print(file.readline())


def dns(port):
    """Many questions on one connection, in one piece and in single bytes."""
    question = (b"\1\0\0\1\0\0\0\0\0\0\3one\4test\0\0\1\0\1")
    message = struct.pack(">H", len(question) + 2)
    for piece in (10000, 1):
        with connect(port) as sock:
            data = b"".join(message + struct.pack(">H", i) + question
                            for i in range(20))
            for at in range(0, len(data), piece):
                sock.sendall(data[at:at + piece])
            file, seen = sock.makefile("rb"), set()
            for _ in range(20):
                size, = struct.unpack(">H", file.read(2))
                answer = file.read(size)
                seen.add(answer[:2])
            print(len(seen), answer[-4:])


def redis_large(where, size, cert=""):
    one = Resp(where, cert)
    value = random.Random(4).randbytes(int(size))
    print(one("SET", "large", value), one("STRLEN", "large"),
          one("GET", "large") == value, one("DEL", "large"))


def redis_session(where, cert=""):
    """Clients that wait for each other: lists, channels, MONITOR, tracking."""
    one, two = Resp(where, cert), Resp(where, cert)
    print(one("HELLO", 3)[:2], one("DEBUG", "SLEEP", "0.1"), two("PING"))
    one.send("BLPOP", "q1", "q2", 10)
    two.send("BRPOPLPUSH", "q3", "q4", 10)
    three = Resp(where, cert)
    print(three("RPUSH", "q2", "a", "b"), one.reply())
    print(three("RPUSH", "q3", "c"), two.reply(), three("DEL", "q2", "q4"))
    print(one("SUBSCRIBE", "news"), two("PSUBSCRIBE", "n*"))
    for i in range(200):
        three.send("PUBLISH", "news", bytes(i))
    print([three.reply() for _ in range(200)].count(b":2"),
          sha(repr([one.reply() for _ in range(200)]).encode()),
          sha(repr([two.reply() for _ in range(200)]).encode()))
    print(one("UNSUBSCRIBE"), two("PUNSUBSCRIBE"))
    print(one("CLIENT", "TRACKING", "ON"), one("GET", "tracked"),
          three("SET", "tracked", 1), one.reply())
    print(two("MONITOR"), three("SET", "seen", b"\r\n"), three("DEL", "seen"),
          [two.reply().split(b"] ")[-1] for _ in range(2)])
    print(three("EVAL", "return {1, {2, 'x'}, redis.call('time')[3]}", 0),
          three("MULTI"), three("INCR", "n"), three("EXEC"), three("DEL", "n"))
    value = random.Random(3).randbytes(3000000)
    print(three("SET", "value", value), sha(three("GET", "value")),
          three("SETRANGE", "value", 5, value), three("DEL", "value"))
    three.send("QUIT")
    print(three.reply(), three.file.read())


def main():
    """Several, one after another, with a comma as a word between them."""
    words = sys.argv[1:]
    while words:
        end = words.index(",") if "," in words else len(words)
        globals()[words[0]](*words[1:end])
        words = words[end + 1:]


if __name__ == "__main__":
    main()
