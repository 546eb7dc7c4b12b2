#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Many connections that stay open and do nothing, then all answer.

Opens N connections to an HTTP server, asks on each one (unless --silent),
creates the ready file, keeps them until the go file appears, asks on each
one again and prints: open=N first=N second=N. With --silent N the count of
connections that answer the first request within --timeout is what counts.
"""
import argparse
import os
import resource
import socket
import sys
import time

REQUEST = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"\r\n\r\nhello, world\n"


def ask(sock):
    try:
        sock.sendall(REQUEST)
    except OSError:
        return False
    return True


def answer(sock, end):
    """Whether one whole response arrives before the time is up."""
    got = b""
    while not got.endswith(BODY):
        sock.settimeout(max(0.001, end - time.monotonic()))
        try:
            data = sock.recv(4096)
        except OSError:
            return False
        if not data:
            return False
        got += data
    return True


def ask_all(socks, seconds):
    asked = [sock for sock in socks if ask(sock)]
    end = time.monotonic() + seconds
    return sum(answer(sock, end) for sock in asked)


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("port", type=int)
    arg.add_argument("count", type=int)
    arg.add_argument("--timeout", type=float, default=20)
    arg.add_argument("--ready", help="file to create once all have asked")
    arg.add_argument("--go", help="file to wait for before asking again")
    args = arg.parse_args()

    need = args.count + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < need:
        resource.setrlimit(resource.RLIMIT_NOFILE, (need, max(hard, need)))
    socks = []
    for _ in range(args.count):
        socks.append(socket.create_connection(("127.0.0.1", args.port), 5))
    first = ask_all(socks, args.timeout)
    print(f"open={len(socks)} first={first}", end="", flush=True)
    if args.ready:
        with open(args.ready, "w", encoding="ascii"):
            pass
    if args.go:
        end = time.monotonic() + 60
        while not os.path.exists(args.go) and time.monotonic() < end:
            time.sleep(0.02)
        print(f" second={ask_all(socks, args.timeout)}", end="")
    print()
    for sock in socks:
        sock.close()
    return 0


sys.exit(main())
