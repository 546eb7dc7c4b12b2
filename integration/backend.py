#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What stands behind a proxy: HTTP, FastCGI, SCGI, uwsgi, echo on TCP and UDP.

Each on a port of its own, which the kernel chooses; the file given as the
argument gets them as NAME=PORT lines once all listen. Threads and blocking
calls, never preloaded: what differs is the proxy's doing.
"""
import hashlib
import http.server
import os
import random
import socket
import socketserver
import struct
import sys
import threading
import time


def some_bytes(count):
    """The same bytes for the same count."""
    return random.Random(count).randbytes(count)


class Http(http.server.BaseHTTPRequestHandler):
    """The path's first word says how to answer, its second how much."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def version_string(self):
        return "backend"

    def body(self):
        """Pieces of the request's body, as they come."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", 0))
        while left:
            data = self.rfile.read(min(left, 65536))
            if not data:
                return
            left -= len(data)
            yield data

    def answer(self, data, **headers):
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def start(self, *headers):
        self.send_response(200)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def do_GET(self):
        words = self.path.strip("/").split("/")
        count = int(words[1]) if len(words) > 1 else 0
        getattr(self, "get_" + words[0], self.get_none)(count)

    do_HEAD = do_GET

    def get_none(self, _):
        self.send_error(404)

    def get_bytes(self, count):
        self.answer(some_bytes(count), Cache_Control="max-age=60")

    def get_chunked(self, count):
        self.start(("Transfer-Encoding", "chunked"))
        data = some_bytes(count)
        at, size = 0, 1
        while at < count:
            piece = data[at:at + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            at, size = at + size, size * 3 % 50021 + 1
        self.wfile.write(b"0\r\n\r\n")

    def get_close(self, count):
        self.close_connection = True
        self.start(("Connection", "close"))
        self.wfile.write(some_bytes(count))

    def get_slow(self, count):
        data = some_bytes(count)
        self.start(("Content-Length", str(count)))
        for at in range(0, count, count // 8):
            self.wfile.write(data[at:at + count // 8])
            time.sleep(0.03)

    def get_hang(self, _):
        """No answer; nothing but the end of the connection is awaited."""
        self.close_connection = True
        self.connection.recv(1)

    def get_cut(self, count):
        self.close_connection = True
        self.start(("Content-Length", str(2 * count)))
        self.wfile.write(some_bytes(count))

    def get_reset(self, _):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))

    def get_accel(self, _):
        self.answer(b"not seen", X_Accel_Redirect="/f64k")

    def get_allow(self, _):
        self.answer(b"")

    def get_deny(self, _):
        self.send_error(403)

    def get_upgrade(self, _):
        """Another protocol from here on: every byte comes back."""
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "echo")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.wfile.flush()
        while data := self.rfile.read1(65536):
            self.wfile.write(data)

    def do_POST(self):
        words = self.path.strip("/").split("/")
        getattr(self, "post_" + words[0], self.get_none)(0)

    do_PUT = do_POST

    def post_sum(self, _):
        digest, size = hashlib.sha256(), 0
        for data in self.body():
            digest.update(data)
            size += len(data)
        self.answer(f"{digest.hexdigest()} {size}\n".encode())

    def post_echo(self, _):
        self.start(("Connection", "close"))
        self.close_connection = True
        for data in self.body():
            self.wfile.write(data)

    def post_early(self, _):
        """Refused before the body is read, which is what many servers do."""
        self.close_connection = True
        self.send_response(413)
        self.send_header("Content-Length", "4")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"big\n")
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        while self.connection.recv(65536):
            pass


def gateway_answer(params, body):
    """What the three gateway protocols answer: what they were asked."""
    path = params.get("PATH") or params.get("REQUEST_URI", "/")
    method = params.get("METHOD") or params.get("REQUEST_METHOD")
    words = path.strip("/").split("/")
    out = (f"Content-Type: text/plain\r\nX-Method: {method}\r\n"
           f"X-Body: {len(body)} {hashlib.sha256(body).hexdigest()}\r\n")
    if words[-2:-1] == ["status"]:
        out = f"Status: {words[-1]} Chosen\r\n" + out
        return out.encode() + b"\r\n" + path.encode() + b"\n"
    data = some_bytes(int(words[-1])) if words[-1].isdigit() else b"none\n"
    return out.encode() + b"\r\n" + data


class Fastcgi(socketserver.StreamRequestHandler):
    """Records in, records out; the connection is kept if it is asked for."""

    def record(self):
        head = self.rfile.read(8)
        if len(head) < 8:
            return None
        _, kind, ident, size, pad = struct.unpack(">BBHHBx", head)
        data = self.rfile.read(size)
        self.rfile.read(pad)
        return kind, ident, data

    def put(self, kind, ident, data):
        self.wfile.write(struct.pack(">BBHHBx", 1, kind, ident,
                                     len(data), 0) + data)

    @staticmethod
    def pairs(data):
        at = 0

        def number():
            nonlocal at
            if data[at] < 128:
                at += 1
                return data[at - 1]
            at += 4
            return struct.unpack(">I", data[at - 4:at])[0] & 0x7fffffff
        while at < len(data):
            key, value = number(), number()
            yield (data[at:at + key].decode(),
                   data[at + key:at + key + value].decode())
            at += key + value

    def one(self):
        flags, params, body = 0, b"", []
        while got := self.record():
            kind, ident, data = got
            if kind == 1:
                flags = data[2]
            elif kind == 4:
                params += data
            elif kind == 5 and data:
                body.append(data)
            elif kind == 5:
                out = gateway_answer(dict(self.pairs(params)),
                                     b"".join(body))
                for at in range(0, len(out), 60001):
                    self.put(6, ident, out[at:at + 60001])
                self.put(6, ident, b"")
                self.put(3, ident, bytes(8))
                return flags & 1
        return False

    def handle(self):
        while self.one():
            pass


class Scgi(socketserver.StreamRequestHandler):
    """A netstring of headers, a body, an answer, the end."""

    def handle(self):
        size = b""
        while (char := self.rfile.read(1)) not in (b":", b""):
            size += char
        words = self.rfile.read(int(size)).split(b"\0")
        self.rfile.read(1)
        params = {words[i].decode(): words[i + 1].decode()
                  for i in range(0, len(words) - 1, 2)}
        body = self.rfile.read(int(params["CONTENT_LENGTH"] or 0))
        self.wfile.write(gateway_answer(params, body))


class Uwsgi(socketserver.StreamRequestHandler):
    """A packet of variables, a body, an answer, the end."""

    def handle(self):
        _, size, _ = struct.unpack("<BHB", self.rfile.read(4))
        data = self.rfile.read(size)
        words, at = [], 0
        while at < size:
            length = struct.unpack("<H", data[at:at + 2])[0]
            words.append(data[at + 2:at + 2 + length].decode())
            at += 2 + length
        params = dict(zip(words[::2], words[1::2]))
        body = self.rfile.read(int(params["CONTENT_LENGTH"] or 0))
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" +
                         gateway_answer(params, body))


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class EchoDatagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data[::-1], self.client_address)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A proxy that ends a connection early is no error here."""


class Datagrams(socketserver.ThreadingUDPServer):
    daemon_threads = True


def main():
    kinds = {"http": (Server, Http), "fastcgi": (Server, Fastcgi),
             "scgi": (Server, Scgi), "uwsgi": (Server, Uwsgi),
             "echo": (Server, Echo), "datagram": (Datagrams, EchoDatagram)}
    lines = []
    for name, (server, handler) in kinds.items():
        made = server(("127.0.0.1", 0), handler)
        lines.append(f"{name}={made.server_address[1]}\n")
        threading.Thread(target=made.serve_forever).start()
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as out:
        out.writelines(lines)
    os.rename(sys.argv[1] + ".new", sys.argv[1])


main()
