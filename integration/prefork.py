# SPDX-License-Identifier: MIT
"""A server that forks its workers beforehand, each with an event loop.

prefork.py WORKERS ADDRESS... [--most N [--refuse]] [--inherit]: an answer over
HTTP/1.1 with the number of the worker that gave it, and the end of the
connection when it was asked for. ADDRESS is HOST:PORT, [HOST]:PORT or a path;
with --inherit the listeners are descriptors 3 and on, as LISTEN_FDS says
(systemd). --most: a worker that has N connections takes its listeners out of
its set until it has fewer; with --refuse it calls listen() with no backlog
meanwhile, too. Prints the ports when it listens. SIGTERM ends it gracefully,
SIGHUP makes other workers; a worker that dies is replaced.
"""
import os
import select
import signal
import socket
import sys

ANSWER = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s")


def listen(address):
    if address.startswith("/"):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(address)
    else:
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        sock = socket.socket(socket.AF_INET6 if ":" in host
                             else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            # Both families, as the kernel's default is.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, int(port)))
    sock.listen(511)
    return sock


class Worker:
    """One process: its listeners, its connections, until SIGTERM."""

    def __init__(self, listeners, most, refuse):
        self.listeners = {sock.fileno(): sock for sock in listeners}
        self.most, self.conns, self.taking = most, {}, False
        self.refuse = refuse
        self.ending = False
        body = f"{os.getpid()}\n"
        self.answer = (ANSWER % (len(body), body)).encode()
        signal.signal(signal.SIGTERM, self.on_term)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def on_term(self, *_):
        self.ending = True

    def take(self, taking):
        if taking == self.taking:
            return
        self.taking = taking
        for fd, sock in self.listeners.items():
            if self.refuse:
                sock.listen(511 if taking or self.ending else 0)
            if taking:
                self.epoll.register(fd, select.EPOLLIN)
            else:
                self.epoll.unregister(fd)

    def accept(self, listener):
        try:
            conn, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        conn.setblocking(False)
        self.conns[conn.fileno()] = conn
        self.epoll.register(conn, select.EPOLLIN)

    def serve(self, fd):
        conn = self.conns[fd]
        try:
            request = conn.recv(4096)
            if request:
                conn.sendall(self.answer)
            if request and b"Connection: close" not in request:
                return
        except OSError:
            pass
        self.epoll.unregister(fd)
        del self.conns[fd]
        conn.close()

    def run(self):
        self.epoll = select.epoll()
        while not self.ending or self.conns:
            if self.ending and self.listeners:
                self.take(False)
                for sock in self.listeners.values():
                    sock.close()
                self.listeners = {}
            else:
                self.take(not self.ending and
                          (not self.most or len(self.conns) < self.most))
            for fd, _ in self.epoll.poll(0.2, 16):
                if fd not in self.listeners:
                    self.serve(fd)
                elif not self.most or len(self.conns) < self.most:
                    self.accept(self.listeners[fd])


class Master:
    """Has the listeners and as many workers as it was asked for."""

    def __init__(self, listeners, count, most, refuse):
        self.listeners, self.count = listeners, count
        self.most, self.refuse = most, refuse
        self.pids, self.old, self.ending = set(), set(), False
        for name in ("TERM", "HUP", "CHLD"):
            signal.signal(getattr(signal, "SIG" + name), lambda *_: None)

    def fork(self):
        pid = os.fork()
        if not pid:
            try:
                worker = Worker(self.listeners, self.most, self.refuse)
                # Not before: a SIGTERM that waits is the worker's.
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                worker.run()
            finally:
                os._exit(0)
        self.pids.add(pid)

    def reap(self):
        while self.pids | self.old:
            pid = os.waitpid(-1, os.WNOHANG)[0]
            if not pid:
                break
            self.pids.discard(pid)
            self.old.discard(pid)

    def run(self):
        wanted = [signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD]
        signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
        while not self.ending or self.pids:
            while not self.ending and len(self.pids) < self.count:
                self.fork()
            got = signal.sigwait(wanted)
            self.reap()
            if got == signal.SIGCHLD:
                continue
            self.ending = got == signal.SIGTERM
            retired, self.pids = self.pids, set()
            if self.ending:
                self.pids = retired
            else:
                # The new ones first, as servers that lose nothing do it.
                while len(self.pids) < self.count:
                    self.fork()
                self.old |= retired
            for pid in retired:
                os.kill(pid, signal.SIGTERM)


def main():
    most, refuse, addresses, inherit = 0, False, [], False
    args = sys.argv[2:]
    while args:
        arg = args.pop(0)
        if arg == "--most":
            most = int(args.pop(0))
        elif arg == "--refuse":
            refuse = True
        elif arg == "--inherit":
            inherit = True
        else:
            addresses.append(arg)
    if inherit:
        listeners = [socket.socket(fileno=3 + i)
                     for i in range(int(os.environ["LISTEN_FDS"]))]
    else:
        listeners = [listen(address) for address in addresses]
    for sock in listeners:
        sock.setblocking(False)
    print(*(sock.getsockname()[1] for sock in listeners
            if sock.family != socket.AF_UNIX), flush=True)
    Master(listeners, int(sys.argv[1]), most, refuse).run()


main()
