# SPDX-License-Identifier: MIT
"""Locks that were waited for on 8 CPUs, by what they guard: locks.bash's
counts a thousand transactions."""
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))

# What a stack of the kernel says of the lock, from the inside; the first that
# matches. A client's set and a server's look the same.
KINDS = (
    ("nothing of ours", r"uart|tty|serial|pipe|vmstat|rpm_|pm_runtime|kdamond"),
    ("port", r"inet_put_port|inet_hash|inet_bind|inet_twsk|inet_inherit_port"),
    # The waiters on a connection's queue are one, and ours; on a listener's
    # they are all threads.
    ("listener", r"tcp_child_process|inet_csk_accept|inet_csk_reqsk|"
                 r"inet_csk_complete|add_wait_queue_exclusive|io_poll_remove"),
    ("epoll set", r"^(ep_|do_epoll|eventpoll|sock_def|__wake_up)"),
    ("connection", r"tcp_v[46]_rcv|inet_accept|lock_sock|release_sock|"
                   r"tcp_recv|tcp_send"),
    ("files", r"alloc_fd|_fd$|fd_|file|fput|inode|dput|iput"),
)
SHOWN = ("listener", "port", "connection", "epoll set", "files", "other")
LOCK = re.compile(r"_raw_|native_queued|__raw|queued_|.*_slowpath")


def kind(stack):
    """Of a stack of function names, the innermost first."""
    stack = [f for f in stack if not LOCK.match(f)]
    # Who woke whom decides between a listener and a set.
    if re.search(KINDS[0][1], " ".join(stack)):
        return KINDS[0][0]
    inner = stack[:6]
    for name, pattern in KINDS[1:]:
        if any(re.search(pattern, f) for f in inner[:4]):
            return name
    return "other"


def parse(lines):
    """Side -> what was counted, from the console of locks.init."""
    out, stack, side = {}, [], None
    for line in lines:
        run = re.match(r"LOCKS run \d+ (\d+) (\d+) (.*)", line)
        if run:
            side = out[run[3]] = {"transactions": int(run[1]), "all": 0}
            continue
        if not side or not line.startswith("LOCKS| "):
            continue
        text = line[7:].strip()
        if text.startswith("{"):
            stack = []
        elif text.startswith("} hitcount:"):
            n, what = int(text.split(":")[1]), kind(stack)
            side[what] = side.get(what, 0) + n
            side["all"] += n
        elif "+0x" in text:
            stack.append(text.split("+0x")[0])
    return out


def run(sides, seconds, connections, length):
    """One machine, all sides, one length of connections."""
    text = "".join(f"{name}|{' '.join(words)}\n"
                   for name, words in sides.items())
    console = subprocess.run(
        ["bash", os.path.join(HERE, "locks.bash"), str(seconds),
         str(connections), str(length)], input=text, text=True,
        stdout=subprocess.PIPE, check=True).stdout.splitlines()
    if any("had an error" in line for line in console):
        raise RuntimeError("a client had an error")
    got = parse(console)
    if set(got) != set(sides):
        raise RuntimeError("the machine ended early")
    return got
