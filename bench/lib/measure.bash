# SPDX-License-Identifier: MIT
# Measure one server process under wrk: requests per second, its CPU time
# and its system calls for each request. Needs integration/lib.bash.
# shellcheck shell=bash disable=SC2034 # others read what is set here

# Server and client each on a CPU of its own, so that neither takes time
# from the other. With one CPU there is nothing to pin.
pin_setup() {
	PIN_SERVER=() PIN_CLIENT=()
	if (($(nproc) >= 2)) && command -v taskset >/dev/null; then
		PIN_SERVER=(taskset -c 0)
		PIN_CLIENT=(taskset -c 1)
	fi
}

# CPU time of all threads of a process in ns; ticks would be too coarse.
cpu_ns() {
	cat /proc/"$1"/task/*/schedstat |
		awk '{ sum += $1 } END { printf "%.0f", sum }'
}

# wrk_run URL SECONDS ARGUMENT...: sets WRK_REQUESTS and WRK_RATE; an error
# that wrk reports is a failure.
wrk_run() {
	local url=$1 seconds=$2
	shift 2
	"${PIN_CLIENT[@]}" wrk -t1 -d"$seconds" "$@" "$url" \
		>"$MP_DIR/wrk" 2>&1 || return 1
	WRK_REQUESTS=$(awk '/requests in/ { print $1 }' "$MP_DIR/wrk")
	WRK_RATE=$(awk '/^Requests\/sec/ { print $2 }' "$MP_DIR/wrk")
	! grep -E 'Socket errors|Non-2xx' "$MP_DIR/wrk" &&
		((WRK_REQUESTS > 0))
}

# measure PID URL SECONDS ARGUMENT...: sets RATE and CPU_US, of one request.
measure() {
	local pid=$1 before
	shift
	before=$(cpu_ns "$pid")
	wrk_run "$@" || return 1
	RATE=$WRK_RATE
	CPU_US=$(awk -v ns=$(($(cpu_ns "$pid") - before)) \
		-v n="$WRK_REQUESTS" 'BEGIN { printf "%.3f", ns / n / 1000 }')
}

traced() { ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$1/status"; }

# syscalls PID URL SECONDS ARGUMENT...: sets CALLS, for each request, or
# n/a where nobody may trace. strace sees the whole load from first to last.
syscalls() {
	local pid=$1 tracer
	shift
	CALLS=n/a
	command -v strace >/dev/null || return 0
	strace -f -c -o "$MP_DIR/strace" -p "$pid" 2>/dev/null &
	tracer=$!
	if ! wait_for 3 traced "$pid" >/dev/null; then
		kill "$tracer" 2>/dev/null
		return 0
	fi
	wrk_run "$@" || return 1
	kill -INT "$tracer"
	wait "$tracer" 2>/dev/null
	CALLS=$(awk -v n="$WRK_REQUESTS" '$1 ~ /^[0-9.]+$/ && $NF != "total" {
		sum += $4 } END { printf "%.3f", sum / n }' "$MP_DIR/strace")
}

median() { sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# ratio A B: A / B with two digits.
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN {
		if (b + 0 > 0 && a != "n/a") printf "%.2f", a / b; else print "n/a" }'
}
