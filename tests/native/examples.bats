#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 120
# The programs of examples/, each with real peers.

setup()
{
	cd "$BATS_TEST_DIRNAME/../.." || return
	bin=$PWD/build/examples
	pids=()
	"$bin/http_hello" 0 >"$BATS_TEST_TMPDIR/probe" 2>&1 &
	pids+=($!)
	port_of probe
	grep -q mp_create "$BATS_TEST_TMPDIR/probe" &&
		skip "no io_uring: $(cat "$BATS_TEST_TMPDIR/probe")"
	return 0
}

teardown()
{
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
}

# port_of NAME: waits for the first line of its output, sets port.
port_of()
{
	local i

	for ((i = 0; i < 500; i++)); do
		port=$(sed -n '1s/.*://p' "$BATS_TEST_TMPDIR/$1" 2>/dev/null) ||
			port=
		[ -z "$port" ] || return 0
		sleep 0.01
	done
	return 1
}

# serve NAME ARGUMENT...: starts it on a free port, sets port.
serve()
{
	local name=$1

	shift
	"$bin/$name" 0 "$@" >"$BATS_TEST_TMPDIR/$name" 2>&1 3>&- &
	pids+=($!)
	port_of "$name"
}

client()
{
	timeout 20 "$bin/pingpong_client" "$port" "$@"
}

@test "ping-pong: 1 to 128 transactions a connection, 64 B to 16 KiB" {
	serve pingpong_server
	run client 1 500 64
	[[ $output == '500 transactions'* ]]
	run client 128 64 32
	[[ $output == '8192 transactions'* ]]
	run client 10 100 10 16384
	[[ $output == '1000 transactions'* ]]
}

@test "ping-pong: two threads with a partition each" {
	local i cpus

	[ "$(nproc)" -gt 1 ] || skip "one CPU"
	serve pingpong_server 2
	# Each on the CPU whose connections it takes; the first thread waits.
	for ((i = 0; i < 500; i++)); do
		cpus=$(awk '/^Cpus_allowed_list/ { print $2 }' \
			"/proc/${pids[-1]}"/task/*/status | tail -n 2 | sort)
		[ "$cpus" != $'0\n1' ] || break
		sleep 0.01
	done
	[ "$cpus" = $'0\n1' ]
	run taskset -c 0 timeout 20 "$bin/pingpong_client" "$port" 4 300 20
	[[ $output == '1200 transactions'* ]]
	run taskset -c 1 timeout 20 "$bin/pingpong_client" "$port" 4 300 20
	[[ $output == '1200 transactions'* ]]
}

@test "hello: keep-alive, pipelined, HTTP/1.0, in pieces" {
	serve http_hello
	[ "$(curl -sS "http://127.0.0.1:$port/" "http://127.0.0.1:$port/b")" = \
		$'hello\nhello' ]
	[ "$(curl -sS -0 "http://127.0.0.1:$port/")" = hello ]
	run python3 - "$port" <<-'END'
	import socket, sys
	s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
	r = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for byte in r:
	    s.sendall(bytes([byte]))
	s.sendall(r * 50)
	s.sendall(r.replace(b"Host", b"Connection: close\r\nHost"))
	got = b""
	while True:
	    piece = s.recv(65536)
	    if not piece:
	        break
	    got += piece
	print(got.count(b"hello"), got.count(b"200 OK"))
	END
	[ "$output" = "52 52" ]
	# A head without an end is refused, and nobody else notices.
	run curl -sS --max-time 5 -o /dev/null \
		-H "X: $(head -c 20000 /dev/zero | tr '\0' x)" \
		"http://127.0.0.1:$port/"
	[ "$status" != 28 ]
	[ "$(curl -sS "http://127.0.0.1:$port/")" = hello ]
}

@test "proxy: both ways, large, and the end of each direction" {
	local http

	serve http_hello
	http=$port
	serve tcp_proxy "$http"
	[ "$(curl -sS "http://127.0.0.1:$port/")" = hello ]
	serve pingpong_server
	serve tcp_proxy "$port"
	run client 5 200 20 16384
	[[ $output == '1000 transactions'* ]]
	# Nobody is there: the connection ends.
	serve tcp_proxy 1
	run curl -sS --max-time 5 "http://127.0.0.1:$port/"
	[ "$status" != 0 ] && [ "$status" != 28 ]
}

@test "proxy: half-closed connections go on" {
	run python3 - "$bin/tcp_proxy" <<-'END'
	import socket, subprocess, sys
	back = socket.create_server(("127.0.0.1", 0))
	p = subprocess.Popen([sys.argv[1], "0", str(back.getsockname()[1])],
	                     stdout=subprocess.PIPE)
	try:
	    port = int(p.stdout.readline().split(b":")[1])
	    s = socket.create_connection(("127.0.0.1", port), 5)
	    b, _ = back.accept()
	    b.settimeout(5)
	    s.sendall(b"q")
	    s.shutdown(socket.SHUT_WR)
	    assert b.recv(9) == b"q" and b.recv(9) == b""
	    big = bytes(range(256)) * 8192
	    b.sendall(big)
	    b.close()
	    got = b""
	    while len(got) <= len(big):
	        piece = s.recv(65536)
	        if not piece:
	            break
	        got += piece
	    print(got == big)
	finally:
	    p.kill()
	END
	[ "$output" = True ]
}

@test "files: the same bytes, and only from the directory" {
	local dir=$BATS_TEST_TMPDIR/files got=$BATS_TEST_TMPDIR/got

	mkdir "$dir"
	head -c 3000000 /dev/urandom >"$dir/large"
	: >"$dir/empty"
	echo secret >"$BATS_TEST_TMPDIR/outside"
	serve file_server "$dir"
	fetch()
	{
		python3 -c 'import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
s.sendall(sys.argv[2].encode() + b"\n")
while True:
    piece = s.recv(65536)
    if not piece:
        break
    sys.stdout.buffer.write(piece)' "$port" "$1" >"$got"
	}
	fetch large
	cmp "$got" "$dir/large"
	for name in empty none ../outside .. "$(printf 'x%.0s' {1..300})"; do
		fetch "$name" || true
		[ ! -s "$got" ]
	done
}
