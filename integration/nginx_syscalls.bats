#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What a busy nginx worker asks the kernel for, counted by strace: with the
# preload, connections are read, written, accepted and closed without a call
# of their own, and one io_uring_enter serves at least ten requests.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }

setup() {
	mp_setup
	command -v strace >/dev/null || skip "strace is not installed"
}
teardown() { mp_teardown; }

requests_served() {
	curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/status" |
		awk 'on { print $3; on = 0 } /^server accepts/ { on = 1 }'
}

tracing() { ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$1/status"; }

# count PATH WRK-ARGUMENT...: strace the worker for 2 s under wrk; sets
# REQUESTS (served while traced) and leaves the table in $MP_DIR/strace.
# The counter is read inside of the traced time, so REQUESTS is not too
# high; reading it is the handful of calls that the limits allow.
count() {
	local path=$1 worker tracer first
	shift
	worker=$(nginx_workers "$NGX_PID")
	wrk -t1 -c64 -d5 "$@" "http://127.0.0.1:$NGX_PORT$path" \
		>"$MP_DIR/wrk" 3>&- &
	local job=$!
	first=$(requests_served)
	enough() { (($(requests_served) > first + 1000)); }
	wait_for 5 enough
	strace -f -c -o "$MP_DIR/strace" -p "$worker" 2>"$MP_DIR/strace.err" 3>&- &
	tracer=$!
	wait_for 5 tracing "$worker" || skip "strace cannot attach here"
	first=$(requests_served)
	sleep 2
	REQUESTS=$(($(requests_served) - first))
	kill -INT "$tracer"
	wait "$tracer" || true
	wait "$job"
	cat "$MP_DIR/wrk" "$MP_DIR/strace"
	echo "$REQUESTS requests while traced"
	((REQUESTS > 1000))
	! grep -E 'Socket errors|Non-2xx' "$MP_DIR/wrk" || return 1
}

# calls NAME...: how often these were called, together.
calls() {
	awk -v names=" $* " '$1 ~ /^[0-9.]+$/ && index(names, " " $NF " ") {
		sum += $4 } END { print sum + 0 }' "$MP_DIR/strace"
}

no_more_than() {
	local limit=$1 name
	shift
	for name; do
		(($(calls "$name") <= limit)) && continue
		echo "$name: $(calls "$name") calls, at most $limit expected"
		return 1
	done
}

finish() {
	nginx_end "$NGX_PID"
	nginx_log_clean server
	nginx_verify server
}

READS=(recvfrom recvmsg read readv ioctl)
WRITES=(sendto sendmsg write writev sendfile)
WAITS=(epoll_ctl epoll_wait epoll_pwait)

# So many enters for ten requests at most, with 64 busy connections.
few_enters() {
	local enters
	enters=$(calls io_uring_enter)
	echo "io_uring_enter: $enters for $REQUESTS requests"
	((enters > 0 && enters * 10 <= REQUESTS * $1))
}

keep_alive() {
	mp_env "$1"
	nginx_start server
	# A client that does not get its CPU does not keep 64 busy: again then.
	local try
	for try in 1 2 3; do
		count "$2"
		no_more_than 20 "${READS[@]}" "${WRITES[@]}" "${WAITS[@]}"
		few_enters 1 && break
	done
	few_enters 1
	finish
}

connection_close() {
	mp_env "$1"
	nginx_start server
	count /hello -H 'Connection: close'
	no_more_than 20 "${READS[@]}" "${WRITES[@]}" "${WAITS[@]}" \
		accept accept4 close shutdown setsockopt
	# nginx takes one connection per turn, and no more are accepted for it
	# than it takes: what is in our hands when it stops would be lost.
	few_enters 15
	finish
}

# The oracle of the counting itself: plain nginx makes all those calls.
plain_calls() {
	mp_env plain
	nginx_start server
	count /f612
	(($(calls recvfrom) * 10 > REQUESTS * 9))
	(($(calls writev) * 10 > REQUESTS * 9))
	count /hello -H 'Connection: close'
	(($(calls accept4 accept) * 10 > REQUESTS * 9))
	(($(calls close) * 10 > REQUESTS * 9))
	finish
}

@test "plain: what is counted" { plain_calls; }
@test "on: keep-alive, a body from memory" { keep_alive on /hello; }
@test "on: keep-alive, 612 B file" { keep_alive on /f612; }
@test "off: keep-alive, 612 B file" { keep_alive off /f612; }
@test "on: Connection: close" { connection_close on; }
