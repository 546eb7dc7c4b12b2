# SPDX-License-Identifier: MIT
"""An event-driven server whose sockets are what a test wants them to be.

server.py PORT: each connection sends one word a line and gets one line back.
  echo WORD  the word
  fd         the number of this connection
  hold       nothing is read from this connection any more
  block      another connection, blocking, in no set
  loose      another one, not blocking, in no set
  connect    another one, added to the set before it is connected
  pass       this connection is passed by SCM_RIGHTS: the kernel's from then on
  fork       a child that serves a port of its own: its pid and port
  fill N     N bytes
  end        the server ends
"""
import os
import select
import socket
import sys

address = ("127.0.0.1", int(sys.argv[1]))
kept = []


def listen(where, backlog=16):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(where)
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def another(blocking, where=address):
    conn = socket.socket()
    conn.setblocking(blocking)
    kept.append(conn)
    conn.connect_ex(where)
    return conn


def command(conn, words, epoll):
    name = words[0]
    if name == "echo":
        return words[1]
    if name == "fd":
        return str(conn)
    if name == "hold":
        epoll.modify(conn, 0)
        return "held"
    if name in ("block", "loose"):
        return str(another(name == "block").fileno())
    if name == "connect":
        # Its queue is full: the last one stays in SYN-SENT.
        full = listen(("127.0.0.1", 0), 0)
        kept.append(full)
        for _ in range(4):
            new = another(False, full.getsockname())
        epoll.register(new, select.EPOLLIN)
        return str(new.fileno())
    if name == "pass":
        ends = socket.socketpair()
        kept.extend(ends)
        socket.send_fds(ends[0], [b"x"], [conn])
        return "passed"
    if name == "fork":
        child = listen(("127.0.0.1", 0))
        pid = os.fork()
        if not pid:
            serve(child)
            os._exit(0)
        port = child.getsockname()[1]
        child.close()
        return f"{pid} {port}"
    if name == "fill":
        return "x" * int(words[1])
    raise SystemExit(0)


def serve(listener):
    """Connections are bare numbers: a socket object asks for their names."""
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                conn, _ = listener._accept()
                os.set_blocking(conn, False)
                epoll.register(conn, select.EPOLLIN)
                continue
            data = os.read(fd, 4096)
            if not data:
                epoll.unregister(fd)
                os.close(fd)
                continue
            for line in data.decode().split("\n"):
                if line:
                    answer = command(fd, line.split(), epoll) + "\n"
                    os.write(fd, answer.encode())


serve(listen(address))
