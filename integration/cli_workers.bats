#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# megapipe sockets and stat of a server with several workers: what the program
# does not know of is not shown, neither the accept queues of its workers, nor
# what the kernel has ended while their threads sleep.
# timeout: 120

load lib
load nginx
load partition
load cli

setup_file() {
	MP_WWW=$(mp_dir_new)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

# All at once, and no one comes later who would wake a worker.
load_and_rest() {
	"$PY" - "$NGX_PORT" <<-'PY'
		import socket, sys
		request = b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n"
		for _ in range(3):
		    conns = [socket.create_connection(("127.0.0.1", int(sys.argv[1])))
		             for _ in range(20)]
		    for conn in conns:
		        conn.sendall(request)
		    for conn in conns:
		        assert conn.recv(4096).startswith(b"HTTP/1.1 200")
		    for conn in conns:
		        conn.close()
	PY
	wait_for 5 at_rest
}
at_rest() {
	"$MP" stat "$NGX_PID" >"$MP_DIR/stat"
	[[ $(grep -c ', 0 connections (0 without descriptor), 0 closing;' \
		"$MP_DIR/stat") == 2 ]]
}

rested() {
	part_start "$1" 2
	load_and_rest
	cat "$MP_DIR/stat"
	"$MP" sockets -H "$NGX_PID" >"$MP_DIR/out"
	cat "$MP_DIR/out"
	same "one line a process" 3 "$(wc -l <"$MP_DIR/out")"
	same "listening" 3 "$(grep -c '^LISTEN ' "$MP_DIR/out")"
	same "on channels" 2 "$(grep -c ' fd .* in,exclusive ' "$MP_DIR/out")"
	same "held" "0 0" "$(sed -n 's/.* holds \([0-9]*\)$/\1/p' \
		"$MP_DIR/stat" | xargs)"
	part_end
}

@test "on: a server with workers, at rest again" { rested on; }
@test "off: a server with workers, at rest again" { rested off; }
