#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The same unmodified nginx, plain and under the preload, side by side:
# first every byte that a client gets is compared, then requests per second,
# CPU time and system calls for each request. Exit status 1 when a byte
# differs or a request fails. Takes about a minute; root is not needed.
# DEMO_ROUNDS (3) and DEMO_SECONDS (2) make it longer and quieter.
# shellcheck disable=SC2034 # nginx.bash reads the NGX_ variables
set -u

TOP=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
# shellcheck source=integration/lib.bash
. "$TOP/integration/lib.bash"
# shellcheck source=integration/nginx.bash
. "$TOP/integration/nginx.bash"
# shellcheck source=bench/lib/measure.bash
. "$TOP/bench/lib/measure.bash"

ROUNDS=${DEMO_ROUNDS:-3}
SECS=${DEMO_SECONDS:-2}
SIDES=(plain preload)
FAILED=0
declare -A PORT PID MASTER RESULT

die() {
	echo "demo: $*" >&2
	exit 1
}

check_tools() {
	local tool
	for tool in nginx curl wrk "$PY" ss; do
		command -v "$tool" >/dev/null || die "$tool is not installed"
	done
	[[ -e $MP_LIB ]] || die "$MP_LIB is missing: run make first"
}

cleanup() {
	mp_end_all
	rm -rf "$MP_DIR" "$MP_WWW"
}

# start SIDE: that side's nginx, and the second nginx behind its proxy.
start() {
	local side=$1
	MP_PREFIX=("${PIN_SERVER[@]}")
	[[ $side == plain ]] || MP_PREFIX+=(env "LD_PRELOAD=$MP_LIB"
		"MEGAPIPE_STATS=$MP_STATS")
	nginx_defaults
	nginx_start "second-$side" || die "the second nginx ($side) fails"
	NGX_UPSTREAM=$NGX_PORT
	nginx_start "$side" || die "nginx ($side) fails"
	PORT[$side]=$NGX_PORT
	MASTER[$side]=$NGX_PID
	PID[$side]=$(nginx_workers "$NGX_PID")
}

# verdict NAME EXPECTED ACTUAL: one line for each comparison.
verdict() {
	if [[ $2 == "$3" && -n $2 ]]; then
		printf '  ok    %s\n' "$1"
	else
		printf '  FAIL  %s (plain %s, preload %s)\n' "$1" "$2" "$3"
		FAILED=1
	fi
}

# fetched SIDE CURL-ARGUMENT...: one checksum over the headers without Date
# and everything that curl printed. @ is the server's address.
fetched() {
	local url="http://127.0.0.1:${PORT[$1]}" status=0
	shift
	curl -sS -m 60 -D "$MP_DIR/headers" "${@//@/$url}" \
		>"$MP_DIR/body" 2>"$MP_DIR/curl.err" || status=$?
	[[ " $* " != *" -I "* ]] || : >"$MP_DIR/body"
	{
		echo "$status"
		grep -vi '^date:' "$MP_DIR/headers"
		cat "$MP_DIR/body"
	} | sha
}

alike() {
	local name=$1 plain
	shift
	plain=$(fetched plain "$@")
	verdict "$name" "${plain:0:16}" "$(fetched preload "$@" | cut -c1-16)"
}

raw() {
	"$PY" "$MP_HERE/raw.py" "${PORT[$1]}" "${@:2}" | sha | cut -c1-16
}

uploaded() {
	local side=$1
	curl -sS -m 60 -f -X POST --data-binary "@$MP_WWW/f5m" -o /dev/null \
		"http://127.0.0.1:${PORT[$side]}/upload/f5m" &&
		sha "$MP_DIR/second-$side/stored/f5m" | cut -c1-16
}

compare_bytes() {
	local name
	echo "What curl gets, plain and under the preload (SHA-256):"
	for name in small.html f612 f64k f5m f100m; do
		alike "$name" "@/$name"
		verdict "$name is the file on the disk" \
			"$(www_sum "$name" | cut -c1-16)" \
			"$(curl -sS -m 60 "http://127.0.0.1:${PORT[preload]}/$name" |
				sha | cut -c1-16)"
	done
	alike "16 requests on one connection" "@/"{f612,f64k}{,,,,,,,}
	alike "Connection: close" -H 'Connection: close' @/f64k
	verdict "16 pipelined requests" "$(raw plain /hello --repeat 16)" \
		"$(raw preload /hello --repeat 16)"
	verdict "16 pipelined files" "$(raw plain /f612 /f64k --repeat 8)" \
		"$(raw preload /f612 /f64k --repeat 8)"
	alike "a range" -r 1000000-2000000 @/f5m
	alike "several ranges" -r 0-9,100-109 @/f612
	alike "HEAD" -I @/f64k
	alike "404" @/none
	verdict "5 MiB POST through a second nginx" "$(uploaded plain)" \
		"$(uploaded preload)"
	verdict "sent to the second nginx is the file" \
		"$(www_sum f5m | cut -c1-16)" "$(uploaded preload)"
}

# Workloads: name | path | wrk's arguments.
ROWS=(
	"keep-alive, 612 B file|/f612|-c64"
	"keep-alive, 64 KiB file|/f64k|-c64"
	"16 pipelined, small body|/hello|-c64 -s $TOP/bench/lib/pipeline.lua"
	"one request per connection, 612 B file|/f612|-c64 -s $TOP/bench/lib/close.lua"
)

row_fails() {
	echo "  FAIL  $1: $(tail -n 3 "$MP_DIR/wrk" | paste -sd' ')"
	FAILED=1
}

# round ROW NUMBER: each side once; who is first changes every round.
round() {
	local name path args side order=("${SIDES[@]}")
	IFS='|' read -r name path args <<<"${ROWS[$1]}"
	(($2 % 2)) && order=(preload plain)
	for side in "${order[@]}"; do
		# shellcheck disable=SC2086 # several arguments
		measure "${PID[$side]}" "http://127.0.0.1:${PORT[$side]}$path" \
			"$SECS" $args || { row_fails "$name, $side" && continue; }
		echo "$RATE" >>"$MP_DIR/rate.$1.$side"
		echo "$CPU_US" >>"$MP_DIR/cpu.$1.$side"
	done
}

count_calls() {
	local name path args side
	IFS='|' read -r name path args <<<"${ROWS[$1]}"
	for side in "${SIDES[@]}"; do
		# shellcheck disable=SC2086 # several arguments
		syscalls "${PID[$side]}" "http://127.0.0.1:${PORT[$side]}$path" \
			1 $args || row_fails "$name, $side, traced"
		RESULT[calls.$1.$side]=$CALLS
	done
}

run_rows() {
	local row turn side
	echo
	echo "Measuring: ${#ROWS[@]} workloads, $ROUNDS rounds of $SECS s each ..."
	for ((turn = 0; turn < ROUNDS; turn++)); do
		for row in "${!ROWS[@]}"; do
			round "$row" "$turn"
		done
	done
	for row in "${!ROWS[@]}"; do
		count_calls "$row"
		for side in "${SIDES[@]}"; do
			RESULT[rate.$row.$side]=$(median 2>/dev/null <"$MP_DIR/rate.$row.$side")
			RESULT[cpu.$row.$side]=$(median 2>/dev/null <"$MP_DIR/cpu.$row.$side")
		done
	done
}

# line KIND ROW: plain, preload and how much better the preload is.
line() {
	local plain=${RESULT[$1.$2.plain]:-n/a} ours=${RESULT[$1.$2.preload]:-n/a}
	case $1 in
	rate) printf '%.0f|%.0f|%s' "$plain" "$ours" "$(ratio "$ours" "$plain")" ;;
	cpu) printf '%.2f|%.2f|%s' "$plain" "$ours" "$(ratio "$plain" "$ours")" ;;
	calls) printf '%s|%s|%s' "$plain" "$ours" "$(ratio "$plain" "$ours")" ;;
	esac 2>/dev/null
}

HEADER='workload|requests/s plain|preload|ratio|CPU us/request plain|preload'
HEADER+='|ratio|syscalls/request plain|preload|ratio'

table() {
	local row
	echo "$HEADER"
	for row in "${!ROWS[@]}"; do
		echo "${ROWS[$row]%%|*}|$(line rate "$row")|$(line cpu "$row")|$(
			line calls "$row")"
	done
}

show() {
	echo
	table | awk -F'|' '
		NR == 1 { printf "%-40s %29s  %23s  %23s\n", "", "requests/s",
			"CPU us per request", "syscalls per request"
			printf "%-40s %9s %9s %9s  %7s %7s %7s  %7s %7s %7s\n", $1,
			"plain", "preload", "ratio", "plain", "preload", "ratio",
			"plain", "preload", "ratio"; next }
		{ printf "%-40s %9s %9s %9s  %7s %7s %7s  %7s %7s %7s\n",
			$1, $2, $3, $4, $5, $6, $7, $8, $9, $10 }'
}

markdown() {
	echo "nginx, 1 worker, 64 connections: medians of $ROUNDS rounds of" \
		"$SECS s. Ratios above 1 are in favour of the preload."
	echo
	table | awk -F'|' '{
		printf "|"; for (i = 1; i <= NF; i++) printf " %s |", $i; print "" }
		NR == 1 { printf "|"; for (i = 1; i <= NF; i++) printf " --- |"
			print "" }'
}

# The counters are written when the server ends.
accelerated() {
	local side
	for side in "${SIDES[@]}"; do
		nginx_end "${MASTER[$side]}" >/dev/null
	done
	(($(stat_sum accepted) > 0)) && return 0
	echo "  FAIL  the preload accepted no connection through a channel"
	FAILED=1
}

main() {
	local side best
	check_tools
	MP_DIR=$(mp_dir_new)
	MP_WWW=$(www_make)
	MP_STATS=$MP_DIR/stats
	: >"$MP_STATS"
	chmod 0666 "$MP_STATS"
	trap cleanup EXIT
	pin_setup
	for side in "${SIDES[@]}"; do
		start "$side"
	done
	compare_bytes
	run_rows
	show
	accelerated
	mkdir -p "$MP_BUILD"
	markdown >"$MP_BUILD/demo.md"
	echo
	if ((FAILED)); then
		echo "The preload run differs from the plain run: see FAIL above."
		exit 1
	fi
	best=$(table | awk -F'|' 'NR > 1 && $7 > max { max = $7; name = $1 }
		END { print max " times less CPU for each request (" name ")" }')
	echo "Every byte was the same, no request failed, and nginx needed up to $best."
}

main
