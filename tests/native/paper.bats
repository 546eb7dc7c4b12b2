#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 120
# The programs of bench/paper, which measure: that they do what is measured.

setup()
{
	cd "$BATS_TEST_DIRNAME/../.." || return
	bin=$PWD/build/bench/paper
	pids=()
}

teardown()
{
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
}

# serve PROGRAM ARGUMENT...: sets port, from the first line of its output.
serve()
{
	local i

	# The shell in the background may open it later than it is read.
	: >"$BATS_TEST_TMPDIR/out"
	"$bin/$1" "${@:2}" >"$BATS_TEST_TMPDIR/out" \
		2>"$BATS_TEST_TMPDIR/err" 3>&- &
	pids+=($!)
	for ((i = 0; i < 500; i++)); do
		port=$(sed -n '1{s/.*://;p;q}' "$BATS_TEST_TMPDIR/out")
		[ -z "$port" ] || return 0
		kill -0 "${pids[-1]}" 2>/dev/null || break
		sleep 0.01
	done
	cat "$BATS_TEST_TMPDIR/err"
	! grep -qE 'not permitted|not implemented' "$BATS_TEST_TMPDIR/err" ||
		skip "no io_uring: $(cat "$BATS_TEST_TMPDIR/err")"
	return 1
}

@test "the store: PING, SET, GET, pipelined, in pieces, large, wrong" {
	serve resp 0
	timeout 30 python3 - "$port" <<-'PY'
		import random, socket, sys

		def command(*words):
		    out = b"*%d\r\n" % len(words)
		    for word in words:
		        out += b"$%d\r\n%s\r\n" % (len(word), word)
		    return out

		def value(text):
		    return b"$-1\r\n" if text is None else \
		        b"$%d\r\n%s\r\n" % (len(text), text)

		def expect(s, want):
		    got = b""
		    while len(got) < len(want):
		        piece = s.recv(65536)
		        assert piece, (got, want)
		        got += piece
		    assert got == want, (got[:80], want[:80])

		def connect():
		    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
		    s.settimeout(10)
		    return s

		s, other = connect(), connect()
		s.sendall(command(b"PING"))
		expect(s, b"+PONG\r\n")
		s.sendall(command(b"GET", b"none"))
		expect(s, value(None))
		s.sendall(command(b"HELLO", b"3"))
		expect(s, b"-ERR unknown command\r\n")
		rng = random.Random(7)
		held = {b"k%d" % i: rng.randbytes(rng.choice((0, 1, 300, 8000)))
		        for i in range(200)}
		for key, text in held.items():      # a new value for an old key
		    s.sendall(command(b"SET", key, b"old") + command(b"set", key, text))
		    expect(s, b"+OK\r\n" * 2)
		for conn in (s, other):             # seen by all, many at a time
		    keys = rng.sample(sorted(held), 100)
		    for i in range(0, 100, 4):
		        conn.sendall(b"".join(command(b"GET", k)
		                              for k in keys[i:i + 4]))
		        expect(conn, b"".join(value(held[k])
		                              for k in keys[i:i + 4]))
		for byte in command(b"GET", b"k3") + command(b"PING"):
		    other.sendall(bytes((byte,)))
		expect(other, value(held[b"k3"]) + b"+PONG\r\n")
		s.sendall(b"*99\r\n")               # no command: the end
		assert s.recv(10) == b""
		other.sendall(command(b"PING"))
		expect(other, b"+PONG\r\n")
	PY
}

# A client fails if an answer differs from what it sent.
pingpong()
{
	local size done_

	for size in 64 16384; do
		serve server 1 "$size" "$@"
		run timeout 20 "$bin/load" "$port" 8 5 "$size" 0.5
		echo "$* $size: $output"
		[ "$status" -eq 0 ]
		read -r done_ _ <<<"$output"
		[ "$done_" -gt 0 ]
		kill "${pids[-1]}"
	done
}

@test "ping-pong by epoll, shared" { pingpong epoll exclusive; }
@test "ping-pong by epoll, SO_REUSEPORT" { pingpong epoll reuseport; }
@test "ping-pong: the interface alone" { pingpong megapipe; }
@test "ping-pong: + partition" { pingpong megapipe partition; }
@test "ping-pong: + batching" { pingpong megapipe partition batch; }
@test "ping-pong: + lightweight sockets" {
	pingpong megapipe partition batch lwsocket
}

# shown PORT PID LISTENING: what a server shows of itself under a load: sockets
# that listen (there may be as many as that soon), descriptors that 8 clients
# who stay cost it, whether one event wakes one thread, system calls for a
# transaction.
shown()
{
	python3 - "$@" "$bin/load" "$BATS_TEST_TMPDIR/calls" <<-'PY'
		import os, re, socket, subprocess, sys, time
		port, pid, want, load, out = sys.argv[1:]

		def text(path):
		    with open(path) as f:
		        return f.read()

		def listening():
		    state = rf"^ +\d+: \w+:{int(port):04X} \w+:0000 0A "
		    return len(re.findall(state, text("/proc/net/tcp"), re.M))

		def descriptors():
		    return len(os.listdir(f"/proc/{pid}/fd"))

		def client():
		    s = socket.create_connection(("127.0.0.1", int(port)), 10)
		    s.sendall(b"x" * 64)
		    assert s.recv(64, socket.MSG_WAITALL) == b"x" * 64
		    return s

		def exclusive():
		    sets = (text(f"/proc/{pid}/fdinfo/{n}")
		            for n in os.listdir(f"/proc/{pid}/fdinfo"))
		    return any(int(events, 16) >> 28 & 1 for one in sets
		               for events in re.findall(r"events: *(\w+)", one))

		def calls():
		    """None where nothing can be traced."""
		    watch = subprocess.Popen(["strace", "-fcp", pid, "-o", out],
		                             stderr=subprocess.DEVNULL)
		    while "TracerPid:\t0" in text(f"/proc/{pid}/status"):
		        if watch.poll() is not None:
		            return None
		        time.sleep(0.01)
		    done = subprocess.run([load, port, "64", "64", "64", "0.5"],
		                          stdout=subprocess.PIPE, check=True).stdout
		    watch.send_signal(2)
		    watch.wait(10)
		    total = re.search(r"^100.00 +\S+ +\S+ +(\d+)", text(out), re.M)
		    return int(total[1]) / int(done.split()[0])

		first, end = client(), time.monotonic() + 5
		while listening() != int(want) and time.monotonic() < end:
		    time.sleep(0.01)
		before = descriptors()
		clients = [client() for _ in range(8)]
		cost, traced = descriptors() - before, calls()
		print("listening", listening(), "descriptors", cost,
		      "exclusive" if exclusive() else "-", "calls",
		      "?" if traced is None else "few" if traced < 1 else "many")
	PY
}

# of LISTENING DESCRIPTORS EXCLUSIVE CALLS WORD...: is that shown?
of()
{
	serve server 2 64 "${@:5}"
	run shown "$port" "${pids[-1]}" "$1"
	kill "${pids[-1]}"
	echo "${*:5}: $output"
	[ "$output" = "listening $1 descriptors $2 $3 calls $4" ] ||
		[ "$output" = "listening $1 descriptors $2 $3 calls ?" ]
}

@test "ping-pong: a part is there with its word, and not without" {
	local lw=0 all=(partition batch lwsocket)

	[ "$(nproc)" -gt 1 ] || skip "one CPU"
	# Connections have no descriptor from Linux 6.14 on.
	printf '6.14\n%s\n' "$(uname -r)" | sort -VC || lw=8
	of 1 8 exclusive many epoll exclusive
	of 2 8 - many epoll reuseport
	of 1 8 - many megapipe
	of 2 8 - many megapipe partition
	of 1 8 - few megapipe batch
	of 1 $lw - many megapipe lwsocket
	of 2 $lw - few megapipe "${all[@]}"
}

# A machine that slows down by a factor of four leaves the gain alone.
@test "sides are compared round by round" {
	run python3 -B - <<-'PY'
		import sys
		sys.path.insert(0, "bench/paper")
		import run
		import tables
		got = run.medians({s: [{"us": k * us, "rate": 1 / k / us}
		                       for k in (1, 2, 4)]
		                   for s, us in (("epoll", 6), ("best", 4))})
		got["best"]["us"] = got["epoll"]["us"]
		assert abs(tables.gain(got["epoll"], got["best"]) - 50) < 1e-9, got
		assert got["epoll"]["us"] == 12, got
	PY
	echo "$output"
	[ "$status" -eq 0 ]
}

# As docs/paper.md is written, from results that are made up.
@test "tables and pictures: all of the paper's rows, ours where we have them" {
	run python3 -B - "$BATS_TEST_TMPDIR" <<-'PY'
		import os, re, sys, xml.dom.minidom
		sys.path.insert(0, "bench/paper")
		import tables
		sides = ("epoll, shared", "epoll, SO_REUSEPORT", "interface", "+P",
		         "+P+B", "+P+B+L")
		one = {s: {"us": 10 - i, "rate": 1e5, "times": 1 - i / 10}
		       for i, s in enumerate(sides)}
		results = {"parts": {str(n): one for n in tables.LENGTHS},
		           "sizes": {n: one for n in tables.SIZES},
		           "cores": {"1": one, "2": one}}
		results.update({n + "_machine": "made up" for n in list(results)})
		page = os.path.join(sys.argv[1], "paper.md")
		with open("docs/paper.md") as f:
		    kept = f.read()
		with open(page, "w") as f:
		    f.write(kept)
		tables.update(results, page)
		tables.write(results, sys.argv[1])
		with open(page) as f:
		    text = f.read()
		for name, rows in (("parts", 12), ("sizes", 8), ("cores", 8)):
		    block = f"<!-- begin {name} -->(.*?)<!-- end {name} -->"
		    made, doc = (re.search(block, t, re.S)[1] for t in (text, kept))
		    first = [[line.split("|")[1] for line in t.splitlines()
		              if line.startswith("|")] for t in (made, doc)]
		    assert first[0] == first[1], (name, first)
		    assert len(first[0]) == rows + (name != "parts") * 2, first[0]
		for name in ("paper", "paper-sizes", "paper-cores"):
		    svg = os.path.join(sys.argv[1], name + ".svg")
		    lines = [xml.dom.minidom.parse(path)
		             .getElementsByTagName("polyline")
		             for path in (svg, f"docs/{name}.svg")]
		    assert len(lines[0]) == len(lines[1]) >= 3, name
		    assert f"({name}.svg)" in kept, name
	PY
	echo "$output"
	[ "$status" -eq 0 ]
}
