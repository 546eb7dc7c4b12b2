#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""worth.py LISTENERS CONNECTIONS [ROUNDS]: echoes over connections whose one
end is in an epoll set, with so many listeners in it, too; the other end blocks
in no set. Every byte is compared; prints the sum of what came back."""
import select
import socket
import sys

LISTENERS, CONNECTIONS = int(sys.argv[1]), int(sys.argv[2])
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 20


def main():
    outside = socket.create_server(("127.0.0.1", 0))
    poll = select.epoll()
    pairs = {}
    for _ in range(LISTENERS):
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        poll.register(sock.detach(), select.EPOLLIN)
    for _ in range(CONNECTIONS):
        mine = socket.create_connection(outside.getsockname())
        other, _ = outside.accept()
        other.settimeout(10)
        mine.setblocking(False)
        poll.register(mine, select.EPOLLIN)
        pairs[mine.fileno()] = (mine, other)
    total = 0
    for turn in range(ROUNDS):
        for mine, other in pairs.values():
            word = b"%d of %d" % (turn, mine.fileno())
            other.sendall(word)
            events = poll.poll(10)
            assert events == [(mine.fileno(), select.EPOLLIN)], events
            assert mine.recv(100) == word
            mine.sendall(word)
            assert other.recv(100) == word
            total += len(word)
    print("total", total)


main()
