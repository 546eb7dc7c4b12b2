# SPDX-License-Identifier: MIT
"""Listeners that outlive their server, as systemd's socket units do it.

activate.py COMMAND...: listens on two ports, prints them, and runs the command
with these as descriptors 3 and 4 and with LISTEN_FDS=2. SIGUSR1 ends the
command by SIGTERM and starts it again a moment after its end: what arrives
meanwhile waits. SIGTERM ends both.
"""
import os
import signal
import socket
import subprocess
import sys
import time

DOWN_SECONDS = 0.1


def listen(number):
    """A listener at this descriptor, and its port."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    port = sock.getsockname()[1]
    if sock.fileno() == number:
        os.set_inheritable(number, True)
        sock.detach()
    else:
        os.dup2(sock.fileno(), number, inheritable=True)
    return port


def unblock():
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def main():
    wanted = [signal.SIGUSR1, signal.SIGTERM]
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    print(listen(3), listen(4), flush=True)
    env = dict(os.environ, LISTEN_FDS="2")
    again = True
    while again:
        child = subprocess.Popen(sys.argv[1:], env=env, pass_fds=(3, 4),
                                 preexec_fn=unblock)
        again = signal.sigwait(wanted) == signal.SIGUSR1
        child.terminate()
        child.wait()
        if again:
            time.sleep(DOWN_SECONDS)
    sys.exit(child.returncode)


main()
