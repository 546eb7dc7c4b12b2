#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""HTTP as bytes on a socket, for what curl cannot be told to do.

Prints everything the server sent, without the Date lines: they are the only
bytes in which two runs of the same server may differ. How the request is
sent is the point: pipelined in one piece, dribbled in single bytes, with a
half close behind it, or left half read.
"""
import argparse
import re
import socket
import struct
import sys
import time

DATE = re.compile(rb"^[Dd]ate: [^\r\n]*\r\n", re.MULTILINE)


def build(paths, method, close_last):
    out = b""
    for i, path in enumerate(paths):
        last = close_last and i == len(paths) - 1
        out += (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
                f"{'Connection: close' if last else 'Accept: */*'}"
                "\r\n\r\n").encode()
    return out


def send(sock, data, piece, pause):
    if not piece:
        sock.sendall(data)
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(0, len(data), piece):
        sock.sendall(data[i:i + piece])
        if pause:
            time.sleep(pause)


def receive(sock, limit):
    """Up to limit bytes, or all until the server ends the connection."""
    parts, have, end = [], 0, "eof"
    while limit is None or have < limit:
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            end = "reset"
            break
        except socket.timeout:
            end = "timeout"
            break
        if not data:
            break
        parts.append(data)
        have += len(data)
    return b"".join(parts), end


def main():
    arg = argparse.ArgumentParser(description=__doc__)
    arg.add_argument("port", type=int)
    arg.add_argument("path", nargs="+")
    arg.add_argument("--method", default="GET")
    arg.add_argument("--repeat", type=int, default=1)
    arg.add_argument("--piece", type=int, help="bytes per send")
    arg.add_argument("--pause", type=float, default=0)
    arg.add_argument("--half-close", action="store_true",
                     help="shutdown(SHUT_WR) behind the request")
    arg.add_argument("--abort-after", type=int, metavar="BYTES",
                     help="read so much, then reset the connection")
    arg.add_argument("--rcvbuf", type=int, help="a small window")
    arg.add_argument("--text", help="send this instead, with \\r\\n escapes")
    arg.add_argument("--timeout", type=float, default=20)
    args = arg.parse_args()

    sock = socket.socket()
    sock.settimeout(args.timeout)
    if args.rcvbuf:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, args.rcvbuf)
    sock.connect(("127.0.0.1", args.port))
    if args.text is not None:
        data = args.text.encode().decode("unicode_escape").encode("latin1")
    else:
        data = build(args.path * args.repeat, args.method,
                     not args.half_close)
    send(sock, data, args.piece, args.pause)
    if args.half_close:
        sock.shutdown(socket.SHUT_WR)
    got, end = receive(sock, args.abort_after)
    if args.abort_after is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        sock.close()
        return
    sock.close()
    sys.stdout.buffer.write(DATE.sub(b"", got))
    sys.stdout.flush()
    print("end:", end)


main()
