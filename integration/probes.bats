#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The probes of core/trace.h: in the library when it was built with
# sys/sdt.h, each a nop, and the one-liners of docs/operating.md run.
# timeout: 300

load lib
load cli

setup() { mp_setup; }
teardown() { mp_teardown; }

PROBES="accept close complete hand_over materialise submit"

need_probes() {
	mp_need_lib
	readelf -n "$MP_LIB" >"$MP_DIR/notes"
	grep -q stapsdt "$MP_DIR/notes" ||
		skip "built without sys/sdt.h (systemtap-sdt-dev)"
}

@test "probes: the notes name each of them" {
	need_probes
	same "names" "$PROBES" "$(sed -n 's/^ *Name: //p' "$MP_DIR/notes" |
		sort -u | paste -sd' ')"
	same "provider" megapipe \
		"$(sed -n 's/^ *Provider: //p' "$MP_DIR/notes" | sort -u)"
	same "none has to be switched on" 0x0000000000000000 \
		"$(sed -n 's/.*Semaphore: //p' "$MP_DIR/notes" | sort -u)"
}

@test "probes: each is one nop" {
	need_probes
	objdump -d --no-show-raw-insn "$MP_LIB" >"$MP_DIR/code"
	sed -n 's/.*Location: 0x0*\([0-9a-f]*\),.*/\1/p' "$MP_DIR/notes" \
		>"$MP_DIR/places"
	(($(wc -l <"$MP_DIR/places") >= 6))
	while read -r place; do
		grep -qE "^ *$place:[[:space:]]+nop[[:space:]]*$" "$MP_DIR/code" || {
			grep "^ *$place:" "$MP_DIR/code"
			return 1
		}
	done <"$MP_DIR/places"
}

# Code with and without them differs by the nops, and how it is laid out.
@test "probes: a build without has none" {
	objects=(core/channel.o shim/entry.o shim/handover.o shim/listener.o)
	make -s -C "$MP_TOP" "BUILD=$MP_DIR/without" PROBES=no \
		"${objects[@]/#/$MP_DIR/without/obj/}"
	readelf -n "$MP_DIR"/without/obj/*/*.o >"$MP_DIR/notes"
	lacks "$MP_DIR/notes" stapsdt
}

# A compiler that finds no header at all: the Makefile must see that.
@test "probes: left out where there is no sys/sdt.h" {
	make -C "$MP_TOP" -n -B all "CC=${CC:-cc} -nostdinc" \
		"BUILD=$MP_DIR/none" >"$MP_DIR/commands" 2>"$MP_DIR/said" || true
	grep -q ' -o .*channel.o' "$MP_DIR/commands"
	lacks "$MP_DIR/commands" MP_TRACE
}

# one_liners: those of the document, with the library under test.
one_liners() {
	sed -n '/^<!-- bpftrace -->/,/^<!-- \/bpftrace -->/p' \
		"$MP_TOP/docs/operating.md" | grep '^bpftrace -e' |
		sed "s|[^ :']*/libmegapipe-preload.so|$MP_LIB|g"
}

# trace LINE: runs one of them while the server works; its output is in out. Attached are as many perf events as there are probes.
trace() {
	local line=$1 count
	eval "${line/bpftrace/exec timeout -s INT -k 5 60 bpftrace}" >"$MP_DIR/out" 2>"$MP_DIR/err" 3>&- &
	TRACE_PID=$!
	count=$(grep -o 'usdt:' <<<"$line" | wc -l)
	wait_for 50 attached "$count"
	for _ in 1 2 3; do
		tell_once echo x >/dev/null
		conn_open
		tell "$CONN" pass
		conn_close
	done
	kill -INT "$(tracer)"
	wait "$TRACE_PID" || true
	cat "$MP_DIR/out" "$MP_DIR/err"
}
attached() {
	[[ -d /proc/$TRACE_PID ]] || return 0
	grep -q '^Attaching' "$MP_DIR/out" && [[ -n $(tracer) ]] &&
		(($(find "/proc/$(tracer)/fd" -lname '*perf_event*' | wc -l) >= $1))
}
# Below timeout(1).
tracer() { children "$TRACE_PID" | head -n 1; }

@test "probes: the one-liners of docs/operating.md" {
	need_probes
	((EUID == 0)) || skip "bpftrace is for root"
	command -v bpftrace >/dev/null || skip "bpftrace is not installed"
	bpftrace -e 'BEGIN { exit(); }' >"$MP_DIR/out" 2>&1 ||
		skip "bpftrace does not run here: $(tail -n 1 "$MP_DIR/out")"
	one_liners >"$MP_DIR/lines"
	cat "$MP_DIR/lines"
	same "three" 3 "$(grep -c '^bpftrace' "$MP_DIR/lines")"
	server_start
	mapfile -t lines <"$MP_DIR/lines"
	trace "${lines[0]}"
	grep -qE '^@requests\[.*\]:' "$MP_DIR/out"
	grep -qE '^\[1.*\|@' "$MP_DIR/out"
	trace "${lines[1]}"
	grep -qE '^@\[.*hand_over, handover_pass\]: 3$' "$MP_DIR/out"
	trace "${lines[2]}"
	grep -q '^@milliseconds:' "$MP_DIR/out"
	server_end
}
