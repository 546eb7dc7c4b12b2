#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What does not grow and what runs out: memory and descriptors over many
# short connections, ten thousand idle ones, too few descriptors, too few
# worker_connections. MP_CONNS sets the number of short connections
# (default 200000, about 15 s for each mode).

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx

MP_CONNS=${MP_CONNS:-200000}

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

# connect_times COUNT: at least so many connections with one request each.
# The server closes first, so TIME_WAIT is its; the client's ports are free
# at once and no address is used up.
connect_times() {
	local done=0 end=$((SECONDS + 60))
	while ((done < $1)); do
		((SECONDS < end)) || { echo "only $done connections" && return 1; }
		wrk -t1 -c64 -d2 -H 'Connection: close' \
			"http://127.0.0.1:$NGX_PORT/hello" >"$MP_DIR/wrk"
		if grep -E 'Socket errors|Non-2xx' "$MP_DIR/wrk"; then
			return 1
		fi
		((done += $(awk '/requests in/ { print $1 }' "$MP_DIR/wrk")))
	done
	echo "$done connections"
}

# Only the worker's own descriptors, once the last connection is closed.
at_rest() {
	[[ -z $(ss -Htan state established "sport = :$NGX_PORT") ]]
}

short_connections() {
	local rss fds rss_then fds_then worker
	mp_env "$1"
	nginx_start server
	worker=$(nginx_workers "$NGX_PID")
	connect_times 20000
	wait_for 5 at_rest
	rss=$(rss_kib "$worker") fds=$(fd_count "$worker")
	connect_times "$MP_CONNS"
	wait_for 5 at_rest
	rss_then=$(rss_kib "$worker") fds_then=$(fd_count "$worker")
	echo "rss $rss -> $rss_then KiB, descriptors $fds -> $fds_then"
	# 1 MiB over 200000 connections is 5 bytes each: no leak has that size.
	((rss_then - rss <= 1024))
	# As many as connections were open at a time may be kept for reuse.
	((fds_then - fds <= 64))
	same "worker" "$worker" "$(nginx_workers "$NGX_PID")"
	nginx_end "$NGX_PID"
	nginx_log_clean server
	nginx_verify server
}

idle_connections() {
	local job
	mp_env "$1"
	# Not every root may raise it, so take what the hard limit gives.
	[[ $(ulimit -Hn) == unlimited ]] || (($(ulimit -Hn) >= 12000)) ||
		skip "the hard limit of descriptors, $(ulimit -Hn), is below 12000"
	NGX_LIMIT="-n 12000"
	NGX_EVENTS="worker_connections 12000;"
	nginx_start server
	"$PY" "$MP_HERE/idle.py" "$NGX_PORT" 10000 --ready "$MP_DIR/ready" \
		--go "$MP_DIR/go" >"$MP_DIR/idle" 2>&1 3>&- &
	job=$!
	wait_for 40 test -e "$MP_DIR/ready"
	# Others are served while they wait, and a reload is not needed for it.
	curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/hello"
	echo "rss with 10000 idle: $(rss_kib "$(nginx_workers "$NGX_PID")") KiB"
	touch "$MP_DIR/go"
	wait "$job"
	same "answers" "open=10000 first=10000 second=10000" \
		"$(cat "$MP_DIR/idle")"
	nginx_end "$NGX_PID"
	nginx_log_clean server
	nginx_verify server
}

# crowd COUNT: so many connections that ask; prints how many were answered.
crowd() {
	"$PY" "$MP_HERE/idle.py" "$NGX_PORT" "$1" --timeout 1 |
		sed 's/.*first=//'
}

serves() {
	[[ $(curl -s -m 2 "http://127.0.0.1:$NGX_PORT/hello") == hello* ]]
}

# shortage NAME TIMES: 150 clients at once, and a recovery each time.
shortage() {
	local _
	nginx_start "$1"
	for _ in $(seq "$2"); do
		CROWD=$(crowd 150)
		wait_for 5 serves
	done
	nginx_end "$NGX_PID"
}

few_descriptors() {
	local plain
	NGX_LIMIT="-n 100" NGX_EVENTS="worker_connections 1024;"
	shortage oracle 1
	plain=$CROWD
	mp_env "$1"
	shortage server 2
	log_says 'accept4\?() failed (24: Too many open files)' 1
	echo "answered: plain $plain, here $CROWD of 150"
	# The channel itself takes a few of the hundred.
	((CROWD <= plain + 2 && CROWD >= plain - 16))
	nginx_verify server
}

# nginx makes room by ending connections that wait for a request, so how
# many are answered depends on who is faster: plain gave 52 to 143 of 150. So
# many at once as there is room for, at least.
few_connections() {
	NGX_EVENTS="worker_connections 64;"
	mp_env "$1"
	shortage server 2
	log_says 'worker_connections are not enough' 1
	echo "answered: $CROWD of 150"
	((CROWD >= 32))
	nginx_verify server
}

@test "on: memory over short connections" { short_connections on; }
@test "off: memory over short connections" { short_connections off; }
@test "plain: memory over short connections" {
	MP_CONNS=50000
	short_connections plain
}

@test "plain: 10000 idle connections" { idle_connections plain; }
@test "on: 10000 idle connections" { idle_connections on; }
@test "off: 10000 idle connections" { idle_connections off; }

@test "plain: ulimit -n 100" { few_descriptors plain; }
@test "on: ulimit -n 100" { few_descriptors on; }
@test "off: ulimit -n 100" { few_descriptors off; }
@test "refused: ulimit -n 100" { few_descriptors refused; }

@test "plain: 64 worker_connections" { few_connections plain; }
@test "on: 64 worker_connections" { few_connections on; }
@test "off: 64 worker_connections" { few_connections off; }
