#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# A worker that is killed or crashes: its clients see the end of their
# connections, the master starts another one that serves, and nothing stays:
# no shared memory, no file, no socket, no process.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

# But for directories: those are of whoever else works on this machine.
shared_memory() { find /dev/shm -mindepth 1 -maxdepth 1 ! -type d | sort; }
files() { find "$NGX_DIR" -type f | sort; }

# Sockets of the server, whoever holds them: a dead process closes its files
# at once, a ring may do so a little later.
no_sockets() {
	! ss -Htan "sport = :$NGX_PORT" | grep -qv TIME-WAIT
}

# connection_end FD: how a connection without a request under way ends.
connection_end() {
	"$PY" - "$1" <<-'PY'
		import socket, sys
		sock = socket.socket(fileno=int(sys.argv[1]))
		sock.settimeout(5)
		try:
		    print("data" if sock.recv(1) else "end")
		except ConnectionResetError:
		    print("end")
	PY
}

respawned() {
	local now
	now=$(nginx_workers "$NGX_PID" | sort)
	(($(wc -w <<<"$now") == NGX_WORKERS)) || return 1
	[[ -z $(comm -12 <(printf '%s\n' "$now") <(printf '%s\n' "$1")) ]]
}

crash() {
	local before files shared status=0 worker
	mp_env "$1"
	NGX_WORKERS=$3
	shared=$(shared_memory)
	nginx_start server
	files=$(files)
	exec 5<>"/dev/tcp/127.0.0.1/$NGX_PORT"
	printf 'GET /hello HTTP/1.1\r\nHost: a\r\n\r\n' >&5
	sed '/^hello, world$/q' <&5 >"$MP_DIR/idle"
	curl -sS -m 30 -o "$MP_DIR/slow" "http://127.0.0.1:$NGX_PORT/slow/f5m" \
		2>"$MP_DIR/curl.err" 3>&- &
	local slow=$!
	wait_for 5 test -s "$MP_DIR/slow"
	before=$(nginx_workers "$NGX_PID" | sort)
	for worker in $before; do
		kill -"$2" "$worker"
	done
	wait "$slow" || status=$?
	((status == 18 || status == 56))
	same "idle connection" end "$(connection_end 5)"
	exec 5>&-
	wait_for 10 respawned "$before"
	for _ in 1 2 3 4 5 6 7 8; do
		same "the next file" "$(www_sum f64k)" "$(curl -sS -m 5 \
			"http://127.0.0.1:$NGX_PORT/f64k" | sha)"
	done
	same "files" "$files" "$(files)"
	nginx_end "$NGX_PID"
	wait_for 5 mp_none_left
	wait_for 5 no_sockets
	same "shared memory" "$shared" "$(shared_memory)"
	nginx_verify server
}

# Everything killed at once: the port is free again, for the next server.
kill_all() {
	local pids shared
	mp_env "$1"
	NGX_WORKERS=2
	shared=$(shared_memory)
	nginx_start server
	exec 5<>"/dev/tcp/127.0.0.1/$NGX_PORT"
	printf 'GET /hello HTTP/1.1\r\nHost: a\r\n\r\n' >&5
	sed '/^hello, world$/q' <&5 >"$MP_DIR/idle"
	mapfile -t pids < <(mp_procs)
	kill -KILL "${pids[@]}"
	same "idle connection" end "$(connection_end 5)"
	exec 5>&-
	wait_for 5 mp_none_left
	wait_for 5 no_sockets
	same "shared memory" "$shared" "$(shared_memory)"
	rm -f "$NGX_DIR/nginx.pid"
	nginx_start server
	nginx_end "$NGX_PID"
	nginx_verify server
}

# Only the master dies: plain workers go on serving, and end when told to.
orphans() {
	local workers worker
	mp_env "$1"
	NGX_WORKERS=2
	nginx_start server
	workers=$(nginx_workers "$NGX_PID")
	kill -KILL "$NGX_PID"
	wait_for 5 pid_gone "$NGX_PID"
	for _ in 1 2 3 4; do
		curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/hello"
	done
	for worker in $workers; do
		kill -QUIT "$worker"
	done
	wait_for 10 mp_none_left
	nginx_verify server
}

@test "plain: SIGKILL of a worker" { crash plain KILL 1; }
@test "on: SIGKILL of a worker" { crash on KILL 1; }
@test "off: SIGKILL of a worker" { crash off KILL 1; }
@test "on: SIGKILL of 2 workers" { crash on KILL 2; }
@test "plain: SIGSEGV of a worker" { crash plain SEGV 1; }
@test "on: SIGSEGV of a worker" { crash on SEGV 1; }
@test "off: SIGSEGV of 2 workers" { crash off SEGV 2; }

@test "plain: everything killed" { kill_all plain; }
@test "on: everything killed" { kill_all on; }
@test "off: everything killed" { kill_all off; }

@test "plain: the master killed" { orphans plain; }
@test "on: the master killed" { orphans on; }
@test "off: the master killed" { orphans off; }
