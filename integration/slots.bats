#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# More connections than a channel has slots for sockets without descriptor:
# the others get descriptors, none is lost, and a slot that was given back is
# used again.

# shellcheck disable=SC2034,SC2154 # variables that lib.bash and its kin read
load lib

setup() { mp_setup; }
teardown() { mp_teardown; }

# Rounds of connections held at once, each asked twice; then all are closed.
clients() {
	"$PY" - "$@" <<-'PY'
		import socket, sys
		port, count, rounds = map(int, sys.argv[1:])
		for _ in range(rounds):
		    conns = [socket.create_connection(("127.0.0.1", port), 10)
		             for _ in range(count)]
		    for _ in range(2):
		        for c in conns:
		            c.sendall(b"hello\r\n")
		        for c in conns:
		            got = b""
		            while not got.endswith(b"\n"):
		                piece = c.recv(100)
		                if not piece:
		                    sys.exit("a connection was lost")
		                got += piece
		            assert got == b"a small answer\n", got
		    for c in conns:
		        c.close()
	PY
}

# full MODE: 30 connections, 8 slots, 10 rounds.
full() {
	mp_env "$1"
	MEGAPIPE_SLOTS=8 "${MP_PREFIX[@]}" "$MP_BUILD/tests/tools/answer" \
		>"$MP_DIR/port" 2>"$MP_DIR/stderr" 3>&- &
	SERVER=$!
	wait_for 5 test -s "$MP_DIR/port"
	clients "$(<"$MP_DIR/port")" 30 10
}

# counted NAME: of the server, while it runs.
counted() {
	"$MP_BUILD/megapipe" stat --json "$SERVER" | "$PY" -c '
import json, sys
print(sum(c["counters"][sys.argv[1]] for p in json.load(sys.stdin)
          for c in p["channels"]))' "$1"
}

@test "plain: the clients themselves" {
	full plain
	kill "$SERVER"
}

@test "on: more connections than slots, and slots are used again" {
	local direct
	full on
	direct=$(counted accepted_lw)
	kill "$SERVER"
	echo "$direct of 300 without a descriptor"
	((direct >= 70 && direct <= 80))
}

@test "off: the same without slots" {
	full off
	kill "$SERVER"
}
