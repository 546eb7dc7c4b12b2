#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# nginx's signals and its -t and -s under load: reload, quit, stop, reopen.
# A request that plain nginx serves must not fail because of any of them.
# Short connections must not fail at all; a kept connection may be ended by
# the server while it is idle, and the client then asks again.

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

# New workers serve, and the old ones are gone. A worker that was only just
# started has not logged anything, so ask the kernel.
workers_changed() {
	local now
	now=$(nginx_workers "$NGX_PID" | sort)
	(($(wc -w <<<"$now") == NGX_WORKERS)) || return 1
	[[ -z $(comm -12 <(printf '%s\n' "$now") <(printf '%s\n' "$1")) ]]
}

reload_under_load() {
	local before
	mp_env "$1"
	NGX_WORKERS=$2 NGX_LISTEN=${3:-}
	nginx_start server
	load_start short --mode short --threads 6
	load_start keep --mode keep --threads 4
	for _ in 1 2 3 4 5; do
		before=$(nginx_workers "$NGX_PID" | sort)
		nginx_run server -s reload
		wait_for 10 workers_changed "$before"
		# The next reload meets workers that have served something.
		curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/hello"
	done
	load_end short
	load_end keep
	nginx_end "$NGX_PID"
	nginx_log_clean server
	MP_CONTROLS=5
	nginx_verify server
}

# A reload that changes the configuration takes effect.
reload_changes() {
	mp_env "$1"
	nginx_start server
	NGX_SERVER='location = /new { return 200 "new\n"; }' NGX_WORKERS=2
	nginx_conf server
	nginx_run server -t
	nginx_run server -s reload
	new_served() { [[ $(curl -s "http://127.0.0.1:$NGX_PORT/new") == new ]]; }
	wait_for 10 new_served
	wait_for 10 nginx_has_workers "$NGX_PID" 2
	nginx_end "$NGX_PID"
	nginx_log_clean server
	MP_CONTROLS=2
	nginx_verify server
}

# A broken configuration: -t says so, a reload keeps the old workers.
reload_broken() {
	local status=0 before
	mp_env "$1"
	nginx_start server
	before=$(nginx_workers "$NGX_PID")
	echo 'nonsense;' >>"$NGX_DIR/nginx.conf"
	nginx_run server -t || status=$?
	((status == 1))
	kill -HUP "$NGX_PID"
	wait_for 10 log_says 'unknown directive "nonsense"' 2
	same workers "$before" "$(nginx_workers "$NGX_PID")"
	curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/hello"
	nginx_end "$NGX_PID"
	MP_CONTROLS=1
	nginx_verify server
}

# quit lets a running response end, closes idle connections, exits 0.
quit() {
	local status=0
	mp_env "$1"
	NGX_DAEMON=off NGX_WORKERS=$2
	nginx_start server
	curl -sS -m 30 -o "$MP_DIR/slow" \
		"http://127.0.0.1:$NGX_PORT/slow/f64k" 3>&- &
	local slow=$!
	exec 5<>"/dev/tcp/127.0.0.1/$NGX_PORT"
	printf 'GET /hello HTTP/1.1\r\nHost: a\r\n\r\n' >&5
	sed '/^hello, world$/q' <&5 >"$MP_DIR/idle"
	wait_for 5 test -s "$MP_DIR/slow"
	nginx_run server -s quit
	# The idle connection sees the end; nothing new is accepted.
	same "idle connection" "" "$(timeout 5 cat <&5)"
	wait "$slow"
	same "response under way" "$(www_sum f64k)" "$(sha "$MP_DIR/slow")"
	wait "$NGX_JOB" || status=$?
	same "exit status" 0 "$status"
	exec 5>&-
	port_refuses "$NGX_PORT"
	nginx_log_clean server
	MP_CONTROLS=1
	nginx_verify server
}

# stop ends at once, in the middle of a response, with status 0.
stop() {
	local status=0
	mp_env "$1"
	NGX_DAEMON=off
	nginx_start server
	curl -sS -m 30 -o "$MP_DIR/slow" \
		"http://127.0.0.1:$NGX_PORT/slow/f5m" 2>"$MP_DIR/curl.err" 3>&- &
	local slow=$! start
	wait_for 5 test -s "$MP_DIR/slow"
	start=${EPOCHREALTIME/[.,]/}
	nginx_run server -s stop
	wait "$NGX_JOB" || status=$?
	same "exit status" 0 "$status"
	((${EPOCHREALTIME/[.,]/} - start < 2000000))
	status=0
	wait "$slow" || status=$?
	# 18: partial file. The end is a FIN or a reset (56), as from plain.
	((status == 18 || status == 56))
	port_refuses "$NGX_PORT"
	[[ ! -e $NGX_DIR/nginx.pid ]]
	MP_CONTROLS=1
	nginx_verify server
}

reopen_under_load() {
	local log moved
	mp_env "$1"
	NGX_WORKERS=2
	nginx_start server
	log=$NGX_DIR/access.log moved=$NGX_DIR/access.log.1
	load_start short --mode short --threads 4 --get "/logged=text:logged"
	mv "$log" "$moved"
	nginx_run server -s reopen
	wait_for 10 test -s "$log"
	load_end short
	nginx_end "$NGX_PID"
	# Every answer was logged, in one file or the other. The last requests
	# of a round may still be logged when the client stops: count both.
	cat "$moved" "$log" | awk '$9 != 200 { bad++ } END { exit bad > 0 }'
	nginx_log_clean server
	MP_CONTROLS=1
	nginx_verify server
}

# nginx -t and -s do not serve: they say what plain nginx says.
control_commands() {
	local plain=() ours=() dir
	mp_env "$1"
	local prefix=("${MP_PREFIX[@]}")
	nginx_conf server
	dir=$NGX_DIR
	outcome() {
		local status=0
		"$@" >"$MP_DIR/said" 2>&1 || status=$?
		# Dates and process ids differ between any two runs.
		sed -E 's/^[0-9/]+ [0-9:]+ //; s/[0-9]+#[0-9]+/N/; s/ [0-9]+$//' \
			"$MP_DIR/said" | grep -v '^megapipe:'
		echo "status $status"
	}
	for args in -t -T -v -V "-s reload" "-s stop" "-s nonsense" -h; do
		# shellcheck disable=SC2086
		plain+=("$(outcome nginx -p "$dir" -e "$dir/error.log" \
			-c "$dir/nginx.conf" $args)")
		# shellcheck disable=SC2086
		ours+=("$(outcome "${prefix[@]}" nginx -p "$dir" \
			-e "$dir/error.log" -c "$dir/nginx.conf" $args)")
	done
	same "what they say" "${plain[*]}" "${ours[*]}"
	same "accepted" 0 "$(stat_sum accepted)"
}

@test "plain: reload under load, 1 worker" { reload_under_load plain 1; }
@test "on: reload under load, 1 worker" { reload_under_load on 1; }
@test "off: reload under load, 1 worker" { reload_under_load off 1; }
@test "plain: reload under load, 2 workers" { reload_under_load plain 2; }
@test "on: reload under load, 2 workers" { reload_under_load on 2; }
@test "off: reload under load, 2 workers" { reload_under_load off 2; }
@test "refused: reload under load, 2 workers" { reload_under_load refused 2; }
@test "plain: reload with reuseport" { reload_under_load plain 2 reuseport; }
@test "on: reload with reuseport" { reload_under_load on 2 reuseport; }
@test "off: reload with reuseport" { reload_under_load off 2 reuseport; }

@test "plain: a changed configuration" { reload_changes plain; }
@test "on: a changed configuration" { reload_changes on; }
@test "off: a changed configuration" { reload_changes off; }
@test "plain: a broken configuration" { reload_broken plain; }
@test "on: a broken configuration" { reload_broken on; }

@test "plain: quit" { quit plain 1; }
@test "on: quit, 1 worker" { quit on 1; }
@test "on: quit, 2 workers" { quit on 2; }
@test "off: quit" { quit off 2; }
@test "refused: quit" { quit refused 1; }

@test "plain: stop" { stop plain; }
@test "on: stop" { stop on; }
@test "off: stop" { stop off; }

@test "plain: reopen under load" { reopen_under_load plain; }
@test "on: reopen under load" { reopen_under_load on; }
@test "off: reopen under load" { reopen_under_load off; }

@test "plain: nginx -t and -s" { control_commands plain; }
@test "on: nginx -t and -s" { control_commands on; }
@test "refused: nginx -t and -s" { control_commands refused; }
