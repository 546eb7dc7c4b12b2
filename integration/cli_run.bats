#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# megapipe run, doctor and env: the program is run as it is, what stands in
# the way is said, and every bad argument gets its own message.
# timeout: 120

load lib
load cli

setup() { mp_setup; }
teardown() { mp_teardown; }

@test "run: preloads the library and executes the program in its place" {
	"$MP" run sh -c 'echo $$; tr "\0" "\n" </proc/$$/environ; cat /proc/$$/maps' \
		>"$MP_DIR/out" &
	pid=$!
	wait "$pid"
	same "the same process" "$pid" "$(head -n 1 "$MP_DIR/out")"
	grep -qx "LD_PRELOAD=$MP_LIB" "$MP_DIR/out"
	grep -q "$MP_LIB" "$MP_DIR/out"
}

@test "run: adds to LD_PRELOAD, once" {
	other=$(ldconfig -p | sed -n 's/.*=> \(.*libm\.so\.6\)$/\1/p' | head -n 1)
	same "added" "$MP_LIB:$other" \
		"$(LD_PRELOAD=$other "$MP" run sh -c 'echo $LD_PRELOAD')"
	same "once" "$MP_LIB" "$("$MP" run "$MP" run sh -c 'echo $LD_PRELOAD')"
}

@test "run: variables, arguments, exit status" {
	same "variables" "7 x y" "$("$MP" run -e A=7 --env=B='x y' sh -c 'echo $A $B')"
	same "arguments" "-e --help" "$("$MP" run printf '%s %s' -e --help)"
	same "behind --" "-q" "$("$MP" run -- printf '%s' -q)"
	status=0
	"$MP" run sh -c 'exit 42' || status=$?
	same "status" 42 "$status"
	status=0
	"$MP" run sh -c 'kill -TERM $$' || status=$?
	same "signal" 143 "$status"
}

@test "run: a server is accelerated" {
	MP_PREFIX=()
	mkdir -p "$MP_DIR/server"
	SRV_PORT=$(free_ports 1)
	"$MP" run "$PY" "$MP_HERE/server.py" "$SRV_PORT" </dev/null \
		>"$MP_DIR/server/stdout" 2>"$MP_DIR/server/stderr" 3>&- &
	SRV_PID=$!
	wait_for 10 port_answers "$SRV_PORT"
	same "answer" hello "$(tell_once echo hello)"
	same "accepted" 1 "$(($(count accepted) > 0))"
	server_end
	same "nothing was said" "" "$(<"$MP_DIR/server/stderr")"
}

@test "run: nginx -t says what it says without" {
	command -v nginx >/dev/null || skip "nginx is not installed"
	printf 'pid %s/pid; events {}\n' "$MP_DIR" >"$MP_DIR/conf"
	plain=$(nginx -t -e "$MP_DIR/log" -c "$MP_DIR/conf" 2>&1)
	same "output" "$plain" \
		"$("$MP" run nginx -t -e "$MP_DIR/log" -c "$MP_DIR/conf" 2>&1)"
}

# says TEXT COMMAND...: the program ran, and the text was on standard error.
says() {
	local text=$1 status=0
	shift
	"$@" >"$MP_DIR/out" 2>"$MP_DIR/err" || status=$?
	cat "$MP_DIR/err"
	same "one line" 1 "$(grep -c '^megapipe: ' "$MP_DIR/err")"
	grep -qF -- "$text" "$MP_DIR/err"
}

@test "run: a static program" {
	printf 'int main(void) { return 0; }\n' >"$MP_DIR/a.c"
	gcc -static -o "$MP_DIR/a" "$MP_DIR/a.c" || skip "no static libc"
	says "linked statically" "$MP" run "$MP_DIR/a"
	"$MP" run -q "$MP_DIR/a" 2>"$MP_DIR/err"
	same "quiet" "" "$(<"$MP_DIR/err")"
}

@test "run: another architecture" {
	printf 'int main(void) { return 0; }\n' >"$MP_DIR/a.c"
	gcc -o "$MP_DIR/a" "$MP_DIR/a.c"
	# e_machine becomes that of a MIPS.
	printf '\10\0' | dd of="$MP_DIR/a" bs=1 seek=18 conv=notrunc status=none
	status=0
	"$MP" run "$MP_DIR/a" 2>"$MP_DIR/err" || status=$?
	same "status" 126 "$status"
	grep -q 'another architecture' "$MP_DIR/err"
}

@test "run: set-user-ID and file capabilities" {
	((EUID == 0)) || skip "root makes such files"
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	cp "$MP" "$MP_LIB" "$MP_DIR/"
	cp "$(type -P true)" "$MP_DIR/true"
	nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)
	chmod 4755 "$MP_DIR/true"
	says "set-user-ID" "${nobody[@]}" "$MP_DIR/megapipe" run "$MP_DIR/true"
	chmod 0755 "$MP_DIR/true"
	command -v setcap >/dev/null || skip "setcap is not installed"
	setcap cap_net_bind_service+ep "$MP_DIR/true"
	says "file capabilities" "${nobody[@]}" "$MP_DIR/megapipe" run "$MP_DIR/true"
}

@test "run: a script is judged by its interpreter" {
	printf '#!/bin/sh\necho script\n' >"$MP_DIR/script"
	chmod +x "$MP_DIR/script"
	same "it runs, nothing is said" script "$("$MP" run "$MP_DIR/script" 2>&1)"
}

@test "run: without io_uring" {
	says "forbidden by a seccomp filter" "$MP_REFUSE" EPERM -- "$MP" run true
	says "io_uring" "$MP_REFUSE" ENOSYS -- "$MP" run true
	says "too little locked memory" "$MP_REFUSE" ENOMEM -- "$MP" run true
}

@test "run: bad arguments" {
	fails 2 "a program is missing" "$MP" run
	fails 2 "accepted is NAME=VALUE" "$MP" run -e nothing true
	fails 2 "accepted is NAME=VALUE" "$MP" run -e =x true
	fails 2 "option '-e'" "$MP" run -e
	fails 2 "there is no option '--nothing'" "$MP" run --nothing true
	fails 125 "--config=/no/such" "$MP" run --config=/no/such true
	fails 125 "--library=/no/such" "$MP" run --library=/no/such true
	fails 127 "there is no such program" "$MP" run no-such-program
	fails 127 "there is no such program" "$MP" run /no/such/program
	: >"$MP_DIR/file"
	fails 126 "it is not executable" "$MP" run "$MP_DIR/file"
	mkdir "$MP_DIR/a dir"
	cp "$MP_LIB" "$MP_DIR/a dir/"
	fails 125 "blank or a colon" "$MP" run \
		--library="$MP_DIR/a dir/${MP_LIB##*/}" true
	"$MP" run --help | grep -q '^usage: megapipe run'
}

@test "doctor: where all is well or works with less" {
	status=0
	"$MP" doctor >"$MP_DIR/out" || status=$?
	cat "$MP_DIR/out"
	((status <= 1))
	grep -q '^ok    io_uring ' "$MP_DIR/out"
	tail -n 1 "$MP_DIR/out" | grep -q '^programs will run on channels'
	lacks "$MP_DIR/out" $'\33'
	same "JSON" "$status" "$("$MP" doctor --json | json "d['status']")"
}

@test "doctor: where io_uring is refused" {
	status=0
	"$MP_REFUSE" EPERM -- "$MP" doctor >"$MP_DIR/out" || status=$?
	same "status" 2 "$status"
	grep -q '^no    io_uring *forbidden by a seccomp filter' "$MP_DIR/out"
	grep -q 'for more: allow io_uring_setup' "$MP_DIR/out"
	grep -q '^programs will run plainly' "$MP_DIR/out"
	"$MP_REFUSE" ENOSYS -- "$MP" doctor --json >"$MP_DIR/out" || true
	same "found" True "$(json \
		"any(f['found'] in ('this kernel has no io_uring', 'forbidden by a seccomp filter') for f in d['findings'])" \
		<"$MP_DIR/out")"
}

@test "doctor: few descriptors and little locked memory" {
	status=0
	(ulimit -n 100 && "$MP" doctor >"$MP_DIR/out") || status=$?
	same "status" 1 "$status"
	grep -q '^less  open files' "$MP_DIR/out"
	((EUID == 0)) && command -v setpriv >/dev/null || return 0
	cp "$MP" "$MP_DIR/"
	status=0
	(ulimit -l 64 && setpriv --reuid nobody --regid nogroup --clear-groups \
		"$MP_DIR/megapipe" doctor >"$MP_DIR/out") || status=$?
	((status > 0))
	grep -qE '^(less|no) .*(locked memory|io_uring)' "$MP_DIR/out"
}

@test "env: every variable of the table" {
	grep -oE '"MEGAPIPE[A-Z_]*"' "$MP_TOP/core/opts.def" | tr -d '"' | sort -u \
		>"$MP_DIR/names"
	"$MP" env --json | json '"\n".join(v["name"] for v in d)' | sort \
		>"$MP_DIR/json"
	diff "$MP_DIR/names" "$MP_DIR/json"
	while read -r name; do
		"$MP" env | grep -q "^$name" || return 1
	done <"$MP_DIR/names"
	MEGAPIPE_BATCH=77 "$MP" env | grep '^MEGAPIPE_BATCH=32.*set here: 77'
}

@test "the command itself: help, version, bad arguments" {
	fails 2 "there is no command 'nginx'" "$MP" nginx
	fails 2 "there is no option '--nothing'" "$MP" --nothing
	fails 2 "no argument is expected" "$MP" doctor now
	fails 2 "no argument is expected" "$MP" env MEGAPIPE
	fails 2 "there is no option" "$MP" doctor --nothing
	fails 2 "there is no option" "$MP" env --nothing
	status=0
	"$MP" 2>"$MP_DIR/err" || status=$?
	same "status" 2 "$status"
	grep -q '^usage: megapipe' "$MP_DIR/err"
	"$MP" --version | grep -qE '^megapipe [0-9]+\.'
	for command in run doctor stat sockets env; do
		"$MP" "$command" --help | grep -q "^usage: megapipe $command"
		same "help" "$("$MP" "$command" -h)" "$("$MP" help "$command")"
	done
	"$MP" --help | grep -q '^usage: megapipe COMMAND'
	fails 1 "cannot write" sh -c '"$0" env >/dev/full' "$MP"
}

@test "colours: on a terminal only, not with NO_COLOR" {
	command -v script >/dev/null || skip "script is not installed"
	TERM=xterm script -qec "$MP env" /dev/null </dev/null >"$MP_DIR/out"
	grep -q $'\33' "$MP_DIR/out"
	NO_COLOR=1 script -qec "$MP env" /dev/null </dev/null >"$MP_DIR/out"
	lacks "$MP_DIR/out" $'\33'
}
