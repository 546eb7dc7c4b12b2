#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# redis under redis-cli: every kind of command that uses a connection in a
# way of its own (MONITOR, PUB/SUB, blocking, transactions, scripts, kill,
# limits, shutdown) answers as plain redis does.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load redis

setup() { mp_setup; }
teardown() { mp_teardown; }

lines() { [[ -e $1 ]] && (($(wc -l <"$1") >= $2)); }

# in_background FILE COMMAND...: a client of its own; its pid in JOB.
in_background() {
	local file=$1
	shift
	redis-cli -h 127.0.0.1 -p "$RDS_PORT" "$@" \
		>"$file" 2>&1 3>&- </dev/null &
	JOB=$!
}

dataset() {
	local digest expected
	redis_start oracle
	redis_fill 1000
	expected=$(redis_digest)
	redis_end
	mp_env "$1"
	redis_start server
	redis_fill 1000
	digest=$(redis_digest)
	same "dataset" "$expected" "$digest"
	same "a range" "$(seq 0 19)" "$(r lrange list:19 0 -1)"
	same "an error" "WRONGTYPE Operation against a key holding the wrong \
kind of value" "$(r get list:1 | sed '/^$/d')"
	# 20 MB in one reply, and in one request.
	"$PY" -c "print('x' * 20000000, end='')" >"$MP_DIR/large"
	same "large request" OK "$(r -x set large <"$MP_DIR/large")"
	same "large reply" "$( (cat "$MP_DIR/large" && echo) | sha)" \
		"$(r get large | sha)"
	r del large
	same "after a reload" OK "$(r debug reload)"
	same "dataset" "$expected" "$(redis_digest)"
	redis_end
	redis_verify server
}

iowait_ticks() { awk '$1 == "cpu0" { print $6 }' /proc/stat; }

# An idle server has its CPU idle, not waiting for a disk.
idle_cpu() {
	local before
	linux_is 6 15 || skip "LIMIT: io_uring's waits are iowait before 6.15"
	mp_env "$1"
	((${#MP_PREFIX[@]} == 0)) || MP_PREFIX+=(taskset -c 0)
	redis_start server
	exec 5<>"/dev/tcp/127.0.0.1/$RDS_PORT"
	printf 'PING\r\n' >&5
	same "answer" "+PONG" "$(head -n 1 <&5 | tr -d '\r')"
	before=$(iowait_ticks)
	sleep 1		# the time over which is measured
	# A disk may be busy meanwhile: half of the time is far from it.
	(($(iowait_ticks) - before < $(getconf CLK_TCK) / 2))
	exec 5>&-
	redis_end
	redis_verify server
}

linux_is() {
	[[ $(uname -r) =~ ^([0-9]+)\.([0-9]+) ]] &&
		((BASH_REMATCH[1] > $1 || BASH_REMATCH[1] == $1 &&
			BASH_REMATCH[2] >= $2))
}

monitor() {
	local i
	mp_env "$1"
	redis_start server
	in_background "$MP_DIR/monitor" monitor
	local job=$JOB
	wait_for 5 grep -q OK "$MP_DIR/monitor"
	for i in $(seq 300); do echo "set key:$i $i"; done | r >/dev/null
	wait_for 5 grep -q '"key:300"' "$MP_DIR/monitor"
	same "monitored" "$(seq 300)" \
		"$(sed -n 's/.*"set" "key:[0-9]*" "\([0-9]*\)"/\1/p' \
			"$MP_DIR/monitor")"
	kill "$job"
	redis_end
	redis_verify server
}

pubsub() {
	local i jobs=()
	mp_env "$1"
	redis_start server
	for i in 1 2 3; do
		in_background "$MP_DIR/sub.$i" subscribe channel
		jobs+=("$JOB")
		wait_for 5 grep -q subscribe "$MP_DIR/sub.$i"
	done
	same "receivers" 3 "$(r publish channel first)"
	for i in $(seq 300); do echo "publish channel $i"; done | r >/dev/null
	for i in 1 2 3; do
		wait_for 5 grep -qx 300 "$MP_DIR/sub.$i"
		same "subscriber $i" "first $(seq -s ' ' 300)" "$(sed -n \
			'4,$p' "$MP_DIR/sub.$i" | awk 'NR % 3 == 0' | paste -sd' ')"
	done
	kill "${jobs[@]}"
	redis_end
	redis_verify server
}

blocking() {
	local start job
	mp_env "$1"
	redis_start server
	in_background "$MP_DIR/pop" blpop queue 20
	job=$JOB
	wait_for 5 redis_info_is blocked_clients 1
	r rpush queue one >/dev/null
	wait "$job"
	same "popped" "queue one" "$(paste -sd' ' "$MP_DIR/pop")"
	start=${EPOCHREALTIME/[.,]/}
	same "timed out" "" "$(r blpop nothing 0.3)"
	start=$((${EPOCHREALTIME/[.,]/} - start))
	echo "waited $start us"
	((start >= 290000 && start < 1500000))
	# A blocked client that goes away is forgotten.
	in_background "$MP_DIR/gone" blpop queue 20
	wait_for 5 redis_info_is blocked_clients 1
	kill -KILL "$JOB"
	wait_for 5 redis_info_is blocked_clients 0
	redis_end
	redis_verify server
}

transactions() {
	mp_env "$1"
	redis_start server
	same "multi" "OK QUEUED QUEUED 1 1 2" "$(printf '%s\n' multi \
		'incr a' 'incrby b 1' exec 'incr b' | r | paste -sd' ')"
	same "discarded" "OK OK QUEUED OK 1" "$(printf '%s\n' 'watch a' multi \
		'incr a' discard 'get a' | r | paste -sd' ')"
	same "script" "a 1 3" "$(r eval "return {KEYS[1], ARGV[1], \
		redis.call('incrby', KEYS[1], 2)}" 1 a 1 | paste -sd' ')"
	same "script of many calls" 100000 "$(r eval "for i = 1, 100000 do \
		redis.call('incr', 'many') end return redis.call('get', 'many')" 0)"
	redis_end
	redis_verify server
}

# A client's own view of its address, and its end by CLIENT KILL.
clients() {
	mp_env "$1"
	redis_start server
	"$PY" - "$RDS_PORT" <<-'PY'
		import socket, sys
		port = int(sys.argv[1])
		def connect():
		    sock = socket.create_connection(("127.0.0.1", port), 5)
		    return sock, "%s:%d" % sock.getsockname()
		def ask(sock, text):
		    sock.sendall(text.encode() + b"\r\n")
		    return sock.recv(65536).decode()
		one, name = connect()
		two, _ = connect()
		info = ask(one, "CLIENT INFO")
		assert f" addr={name} " in info, info
		assert f" laddr=127.0.0.1:{port} " in info, info
		assert f"addr={name} " in ask(two, "CLIENT LIST")
		assert ask(two, f"CLIENT KILL {name}") == "+OK\r\n"
		try:
		    assert one.recv(1) == b"", "the killed client got data"
		except ConnectionResetError:
		    pass
		assert name not in ask(two, "CLIENT LIST")
		assert "ERR No such client" in ask(two, f"CLIENT KILL {name}")
		number = ask(two, "CLIENT ID").strip(":\r\n")
		assert ask(two, f"CLIENT KILL ID {number} SKIPME no") == ":1\r\n"
		assert two.recv(1) == b""
	PY
	redis_end
	redis_verify server
}

max_clients() {
	mp_env "$1"
	redis_start server --maxclients 10
	"$PY" - "$RDS_PORT" <<-'PY'
		import socket, sys
		def connect():
		    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
		def ping(sock):
		    sock.sendall(b"PING\r\n")
		    return sock.recv(100)
		socks = [connect() for _ in range(10)]
		assert all(ping(sock) == b"+PONG\r\n" for sock in socks)
		for _ in range(5):
		    sock = connect()
		    got = sock.recv(100)
		    assert got == b"-ERR max number of clients reached\r\n", got
		    assert sock.recv(100) == b""
		assert all(ping(sock) == b"+PONG\r\n" for sock in socks)
		socks.pop().close()
		for _ in range(500):
		    sock = connect()
		    sock.sendall(b"PING\r\n")
		    try:
		        if sock.recv(100) == b"+PONG\r\n":
		            break
		    except ConnectionResetError:
		        pass
		else:
		    sys.exit("no client accepted after one had left")
	PY
	redis_end
	redis_verify server
}

# A client that asks and does not read is cut off at redis's own limit, so
# what has not been sent must be known to redis and not hidden from it.
output_limit() {
	mp_env "$1"
	redis_start server --client-output-buffer-limit "normal 4mb 0 0"
	"$PY" - "$RDS_PORT" <<-'PY'
		import socket, sys
		sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
		value = b"x" * 100000
		sock.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n%s\r\n" % value)
		assert sock.recv(5) == b"+OK\r\n"
		try:
		    sock.sendall(b"GET k\r\n" * 2000)
		    got = 0
		    while data := sock.recv(1 << 20):
		        got += len(data)
		    assert got < 200 * 1000 * 1000, got
		except (ConnectionResetError, BrokenPipeError):
		    pass
	PY
	grep -q 'overcoming of output buffer limits' "$RDS_DIR/redis.log"
	same "alive" PONG "$(r ping)"
	redis_end
	redis_verify server
}

# Pipelined requests come back whole and in order, in pieces of any size.
pipelined() {
	mp_env "$1"
	redis_start server
	"$PY" - "$RDS_PORT" <<-'PY'
		import socket, sys, threading
		sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
		sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
		count = 100000
		data = b"".join(b"ECHO %d\r\n" % i for i in range(count))
		def send():
		    for i in range(0, len(data), 9973):
		        sock.sendall(data[i:i + 9973])
		threading.Thread(target=send).start()
		want = b"".join(b"$%d\r\n%d\r\n" % (len(str(i)), i)
		                for i in range(count))
		got = bytearray()
		while len(got) < len(want):
		    more = sock.recv(65536)
		    assert more, len(got)
		    got += more
		assert bytes(got) == want
	PY
	redis_end
	redis_verify server
}

shutdown() {
	local digest job status
	mp_env "$1"
	redis_start server
	redis_fill 100
	digest=$(redis_digest)
	in_background "$MP_DIR/waits" blpop queue 20
	job=$JOB
	wait_for 5 redis_info_is blocked_clients 1
	redis_end shutdown save
	wait "$job" || true
	grep -qi 'closed' "$MP_DIR/waits"
	port_refuses "$RDS_PORT"
	redis_start server
	same "saved" "$digest" "$(redis_digest)"
	r set more 1
	redis_end shutdown nosave
	redis_start server
	same "not saved" "$digest" "$(redis_digest)"
	status=0
	kill -TERM "$RDS_PID"
	wait "$RDS_PID" || status=$?
	same "exit status after SIGTERM" 0 "$status"
	MP_STARTS=3
	redis_verify server
}

too_few_descriptors() {
	mp_env "$1"
	RDS_LIMIT="-n 100"
	redis_start server
	# redis lowers maxclients to what the limit allows, and says so.
	grep -q 'maxclients' "$RDS_DIR/redis.log"
	same "maxclients" "maxclients 68" \
		"$(r config get maxclients | paste -sd' ')"
	"$PY" - "$RDS_PORT" <<-'PY'
		import socket, sys
		socks = []
		for _ in range(66):
		    sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
		    sock.sendall(b"PING\r\n")
		    assert sock.recv(100) == b"+PONG\r\n", len(socks)
		    socks.append(sock)
	PY
	same "alive" PONG "$(r ping)"
	redis_end
	redis_verify server
}

@test "plain: a dataset by pipe, large values" { dataset plain; }
@test "on: a dataset by pipe, large values" { dataset on; }
@test "off: a dataset by pipe, large values" { dataset off; }
@test "refused: a dataset by pipe, large values" { dataset refused; }

@test "plain: an idle CPU" { idle_cpu plain; }
@test "on: an idle CPU" { idle_cpu on; }
@test "off: an idle CPU" { idle_cpu off; }

@test "plain: MONITOR" { monitor plain; }
@test "on: MONITOR" { monitor on; }
@test "off: MONITOR" { monitor off; }

@test "plain: PUB/SUB" { pubsub plain; }
@test "on: PUB/SUB" { pubsub on; }
@test "off: PUB/SUB" { pubsub off; }

@test "plain: BLPOP" { blocking plain; }
@test "on: BLPOP" { blocking on; }
@test "off: BLPOP" { blocking off; }

@test "plain: MULTI and EVAL" { transactions plain; }
@test "on: MULTI and EVAL" { transactions on; }
@test "off: MULTI and EVAL" { transactions off; }

@test "plain: CLIENT LIST and KILL" { clients plain; }
@test "on: CLIENT LIST and KILL" { clients on; }
@test "off: CLIENT LIST and KILL" { clients off; }

@test "plain: maxclients" { max_clients plain; }
@test "on: maxclients" { max_clients on; }
@test "off: maxclients" { max_clients off; }

@test "plain: a client that does not read" { output_limit plain; }
@test "on: a client that does not read" { output_limit on; }
@test "off: a client that does not read" { output_limit off; }

@test "plain: 100000 requests in one pipeline" { pipelined plain; }
@test "on: 100000 requests in one pipeline" { pipelined on; }
@test "off: 100000 requests in one pipeline" { pipelined off; }

@test "plain: SHUTDOWN and SIGTERM" { shutdown plain; }
@test "on: SHUTDOWN and SIGTERM" { shutdown on; }
@test "off: SHUTDOWN and SIGTERM" { shutdown off; }
@test "refused: SHUTDOWN and SIGTERM" { shutdown refused; }

@test "plain: ulimit -n 100" { too_few_descriptors plain; }
@test "on: ulimit -n 100" { too_few_descriptors on; }
@test "off: ulimit -n 100" { too_few_descriptors off; }
