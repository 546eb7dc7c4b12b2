#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bounded HTTP load that checks every byte of every response.

Runs several threads of blocking requests against one server until a count,
a time or a file says stop, and prints one line: ok=N retried=N fail=N and
each kind of failure. Exit status 1 when anything failed.

A keep-alive request that gets no byte of an answer on a connection that has
served before is tried again once on a new connection: a server may close an
idle connection at any time, and every HTTP client does the same.
"""
import argparse
import collections
import os
import socket
import struct
import sys
import threading
import time


BEGAN = time.monotonic()


class Failure(Exception):
    """A request that went wrong; kind names how."""

    def __init__(self, kind, fresh=True):
        super().__init__(kind)
        self.kind = kind
        self.fresh = fresh


def now():
    """Seconds since this program began."""
    return time.monotonic() - BEGAN


def differs(expected, body):
    """Where two bodies begin to differ, and what is there."""
    at = next((i for i, (a, b) in enumerate(zip(expected, body)) if a != b),
              min(len(expected), len(body)))
    return (f"{len(body)} bytes for {len(expected)}, others from {at} on:",
            body[at:at + 64])


class Client:
    """One connection at a time to the server."""

    def __init__(self, args):
        self.args = args
        self.sock = None
        self.served = 0
        self.buf = b""

    def connect(self):
        self.served, self.buf = 0, b""
        sock = socket.socket()
        sock.settimeout(self.args.timeout)
        if self.args.abort:
            # No TIME_WAIT on our side: ports are free at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        try:
            sock.connect((self.args.host, self.args.port))
        except ConnectionRefusedError:
            raise Failure("refused") from None
        except OSError as err:
            raise Failure("connect_" + type(err).__name__) from None
        self.sock = sock

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = None

    def more(self):
        try:
            data = self.sock.recv(262144)
        except socket.timeout:
            raise Failure("timeout") from None
        except OSError:
            raise Failure("cut" if self.buf else "reset") from None
        if not data:
            raise Failure("cut" if self.buf else "eof")
        self.buf += data

    def request(self, path, expected, last):
        head = (f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                f"Connection: {'close' if last else 'keep-alive'}\r\n\r\n")
        if not self.sock:
            self.connect()
        try:
            self.sock.sendall(head.encode())
        except OSError:
            raise Failure("send") from None
        while b"\r\n\r\n" not in self.buf:
            self.more()
        header, rest = self.buf.split(b"\r\n\r\n", 1)
        if not header.startswith(b"HTTP/1.1 200 "):
            self.tell(path, self.buf)
            raise Failure("status_" + header[9:12].decode("latin1"))
        parts = [rest]
        have = len(rest)
        while have < len(expected):
            self.buf = b""
            try:
                self.more()
            except Failure as err:
                raise Failure("timeout" if err.kind == "timeout" else "cut")
            parts.append(self.buf)
            have += len(self.buf)
        self.buf = b""
        body = b"".join(parts)
        if body != expected:
            self.tell(path, header, *differs(expected, body))
            raise Failure("bytes")
        self.served += 1
        if last:
            self.finish()

    def tell(self, path, *what):
        """What came on this connection, for whoever reads the failure."""
        print(f"# {path}, request {self.served + 1} of its connection, from "
              f"{self.sock.getsockname()[1]}, after {now():.3f} s:", *what,
              file=sys.stderr)

    def finish(self):
        """After the last response the server has to end the connection."""
        try:
            if self.sock.recv(1):
                raise Failure("extra")
        except OSError as err:
            if not self.args.any_end:
                raise Failure("end_" + type(err).__name__) from None
        self.close()


class Load:
    """All threads, their shared counters and the conditions to stop."""

    def __init__(self, args):
        self.args = args
        self.count = collections.Counter()
        self.lock = threading.Lock()
        self.left = args.requests
        self.end = time.monotonic() + args.seconds
        self.files = []
        for item in args.get:
            path, _, name = item.partition("=")
            if name.startswith("text:"):
                body = name[5:].encode() + b"\n"
            else:
                with open(name, "rb") as file:
                    body = file.read()
            self.files.append((path, body))

    def go_on(self):
        if time.monotonic() > self.end:
            return False
        if self.args.until and os.path.exists(self.args.until):
            return False
        with self.lock:
            if self.args.requests and self.left <= 0:
                return False
            self.left -= 1
        return True

    def one(self, client, path, body):
        last = self.args.mode == "short"
        reused = client.sock is not None and client.served > 0
        try:
            client.request(path, body, last)
        except Failure as err:
            client.close()
            if not (reused and err.kind in ("eof", "reset", "send")):
                raise
            self.add("retried")
            client.request(path, body, last)

    def add(self, kind):
        with self.lock:
            self.count[kind] += 1
            if kind == "ok" and self.count["ok"] == 50 and self.args.ready:
                with open(self.args.ready, "w", encoding="ascii"):
                    pass

    def thread(self, start):
        client = Client(self.args)
        turn = start
        while self.go_on():
            path, body = self.files[turn % len(self.files)]
            turn += 1
            try:
                self.one(client, path, body)
                self.add("ok")
            except Failure as err:
                client.close()
                self.add("fail")
                self.add("fail_" + err.kind)
        client.close()

    def run(self):
        threads = [threading.Thread(target=self.thread, args=(i,))
                   for i in range(self.args.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kinds = sorted(k for k in self.count if k.startswith("fail_"))
        print(" ".join(f"{k}={self.count[k]}"
                       for k in ["ok", "retried", "fail"] + kinds))
        return 1 if self.count["fail"] or not self.count["ok"] else 0


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("--host", default="127.0.0.1")
    arg.add_argument("--port", type=int, required=True)
    arg.add_argument("--mode", choices=("short", "keep"), default="keep")
    arg.add_argument("--threads", type=int, default=8)
    arg.add_argument("--requests", type=int, default=0, help="0: no limit")
    arg.add_argument("--seconds", type=float, default=30)
    arg.add_argument("--timeout", type=float, default=10)
    arg.add_argument("--until", help="stop when this file exists")
    arg.add_argument("--ready", help="file to create after 50 responses")
    arg.add_argument("--abort", action="store_true",
                     help="end connections with a reset")
    arg.add_argument("--any-end", action="store_true",
                     help="a reset after the last byte is fine")
    arg.add_argument("--get", action="append", required=True,
                     metavar="PATH=FILE|PATH=text:TEXT")
    raise SystemExit(Load(arg.parse_args()).run())


main()
