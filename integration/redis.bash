# SPDX-License-Identifier: MIT
# Start and stop an unmodified redis in its own directory, and compare what
# it holds. Needs lib.bash.
# shellcheck shell=bash disable=SC2034 # others read what is set here

# redis_start NAME [OPTION...]: sets RDS_DIR, RDS_PORT, RDS_PID. A second
# start of the same NAME uses the same directory and port.
redis_start() {
	local name=$1 limit=${RDS_LIMIT:-}
	shift
	RDS_DIR=$MP_DIR/$name
	mkdir -p "$RDS_DIR"
	[[ -s $RDS_DIR/port ]] || free_ports 1 >"$RDS_DIR/port"
	RDS_PORT=$(<"$RDS_DIR/port")
	(
		# shellcheck disable=SC2086 # an option and its value
		[[ -z $limit ]] || ulimit $limit
		ulimit -c 0
		exec "${MP_PREFIX[@]}" redis-server --bind 127.0.0.1 \
			--port "$RDS_PORT" --dir "$RDS_DIR" --save "" \
			--logfile "$RDS_DIR/redis.log" --daemonize no \
			--enable-debug-command yes "$@" \
			</dev/null >>"$RDS_DIR/stdout" 2>>"$RDS_DIR/stderr" 3>&-
	) &
	RDS_PID=$!
	wait_for 10 redis_serves "$RDS_PORT"
}

redis_serves() { [[ $(rcli "$1" ping 2>/dev/null) == PONG ]]; }

# rcli PORT COMMAND...: one command, one answer.
rcli() {
	local port=$1
	shift
	timeout 30 redis-cli -h 127.0.0.1 -p "$port" "$@"
}

r() { rcli "$RDS_PORT" "$@"; }

# redis_end [COMMAND...]: shut down, and the exit status must be 0.
redis_end() {
	local status=0
	if (($#)); then
		r "$@"
	else
		r shutdown nosave
	fi
	wait "$RDS_PID" || status=$?
	same "exit status" 0 "$status"
}

redis_info() { r info | tr -d '\r' | sed -n "s/^$1://p"; }

redis_info_is() { [[ $(redis_info "$1") == "$2" ]]; }

redis_verify() { mp_verify "$MP_DIR/$1/stderr" "$MP_DIR/$1/redis.log"; }

# A dataset of every type, the same each time: COUNT keys of each.
redis_fill() {
	"$PY" - "$1" <<-'PY' >"$MP_DIR/fill"
		import sys
		def cmd(*words):
		    out = b"*%d\r\n" % len(words)
		    for word in words:
		        word = str(word).encode()
		        out += b"$%d\r\n%s\r\n" % (len(word), word)
		    sys.stdout.buffer.write(out)
		for i in range(int(sys.argv[1])):
		    cmd("SET", f"string:{i}", f"value {i} " * (i % 300))
		    cmd("RPUSH", f"list:{i}", *range(i % 20 + 1))
		    cmd("SADD", f"set:{i}", *(f"member {k}" for k in range(i % 10 + 1)))
		    cmd("HSET", f"hash:{i}", "field", i, "another", -i)
		    cmd("ZADD", f"zset:{i}", i, "a", i * 2, "b")
		    cmd("INCRBY", "counter", i)
	PY
	r --pipe <"$MP_DIR/fill"
}

redis_digest() { rcli "${1:-$RDS_PORT}" debug digest; }
