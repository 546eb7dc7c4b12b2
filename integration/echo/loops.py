#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Echo servers on Python's ways to wait: loops.py KIND PORT, until SIGTERM.

asyncio (streams), protocol (transports), uvloop, epoll, selectors, poll,
select (one loop each), threads and forking (blocking calls).
"""
import asyncio
import os
import select
import selectors
import signal
import socket
import socketserver
import sys

HOST = "127.0.0.1"
LARGE = 256 << 10


def listener(port):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    sock.listen(256)
    return sock


async def run_asyncio(port):
    async def echo(reader, writer):
        try:
            while data := await reader.read(LARGE):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()
    await until_term(await asyncio.start_server(echo, HOST, port))


class Echo(asyncio.Protocol):
    """Stops to read while the other side does not."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def run_protocol(port):
    loop = asyncio.get_running_loop()
    await until_term(await loop.create_server(Echo, HOST, port))


async def until_term(server):
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()
    await server.wait_closed()


def run_uvloop(port):
    import uvloop
    uvloop.install()
    asyncio.run(run_protocol(port))


class Loop:
    """One thread, any selector; what cannot be sent waits."""

    def __init__(self, selector, port):
        self.selector = selector
        self.waiting = {}
        self.ended = False
        self.listener = listener(port)
        self.listener.setblocking(False)
        selector.register(self.listener, selectors.EVENT_READ)
        signal.signal(signal.SIGTERM, self.end)
        self.wake, out = socket.socketpair()
        self.wake.setblocking(False)
        out.setblocking(False)
        signal.set_wakeup_fd(out.fileno())
        self.out = out
        selector.register(self.wake, selectors.EVENT_READ)

    def end(self, *_):
        self.ended = True

    def run(self):
        while not self.ended:
            for key, events in self.selector.select():
                self.event(key.fileobj, events)

    def event(self, sock, events):
        if sock is self.wake:
            sock.recv(100)
        elif sock is self.listener:
            self.accept()
        elif events & selectors.EVENT_WRITE:
            self.write(sock)
        else:
            self.read(sock)

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            self.selector.register(sock, selectors.EVENT_READ)

    def read(self, sock):
        try:
            data = sock.recv(LARGE)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self.waiting[sock] = data
            self.write(sock)
        else:
            self.selector.unregister(sock)
            sock.close()

    def write(self, sock):
        try:
            sent = sock.send(self.waiting[sock])
        except BlockingIOError:
            sent = 0
        except ConnectionError:
            sent = len(self.waiting[sock])
        self.waiting[sock] = self.waiting[sock][sent:]
        self.selector.modify(sock, selectors.EVENT_WRITE
                             if self.waiting[sock] else selectors.EVENT_READ)


def run_epoll(port):
    """select.epoll itself, edge-triggered."""
    sock = listener(port)
    sock.setblocking(False)
    poll = select.epoll()
    poll.register(sock, select.EPOLLIN | select.EPOLLET)
    socks, waiting = {}, {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def step(peer, fd):
        while True:
            try:
                if not waiting[fd]:
                    waiting[fd] = peer.recv(LARGE)
                    if not waiting[fd]:
                        break
                waiting[fd] = waiting[fd][peer.send(waiting[fd]):]
            except BlockingIOError:
                return
            except ConnectionError:
                break
        poll.unregister(fd)
        del socks[fd], waiting[fd]
        peer.close()
    while True:
        for fd, _ in poll.poll():
            if fd in socks:
                step(socks[fd], fd)
                continue
            try:
                while fd == sock.fileno():
                    peer, _ = sock.accept()
                    peer.setblocking(False)
                    socks[peer.fileno()] = peer
                    waiting[peer.fileno()] = b""
                    poll.register(peer, select.EPOLLIN | select.EPOLLOUT |
                                  select.EPOLLET)
            except BlockingIOError:
                pass


class Blocking(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(LARGE):
            self.request.sendall(data)


def run_blocking(kind, port):
    class Server(kind, socketserver.TCPServer):
        allow_reuse_address = True
        daemon_threads = True
        max_children = 100
        request_queue_size = 256

        def handle_error(self, *_):
            pass
    server = Server((HOST, port), Blocking)
    parent = os.getpid()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0)
                  if os.getpid() == parent else os._exit(1))
    server.serve_forever()


def main():
    kind, port = sys.argv[1], int(sys.argv[2])
    selector = {"selectors": selectors.DefaultSelector,
                "poll": selectors.PollSelector,
                "select": selectors.SelectSelector}
    if kind in selector:
        Loop(selector[kind](), port).run()
    elif kind == "threads":
        run_blocking(socketserver.ThreadingMixIn, port)
    elif kind == "forking":
        run_blocking(socketserver.ForkingMixIn, port)
    elif kind in ("asyncio", "protocol"):
        asyncio.run(globals()["run_" + kind](port))
    else:
        globals()["run_" + kind](port)


main()
