#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The binary upgrade of nginx under load, forward and back: USR2 starts a new
# master on the inherited listeners, WINCH drains the old workers, QUIT ends
# the old master; HUP on the old and QUIT on the new one goes back. Short
# connections never fail.

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

new_master_up() {
	local new
	[[ -s $NGX_DIR/nginx.pid.oldbin && -s $NGX_DIR/nginx.pid ]] || return 1
	new=$(<"$NGX_DIR/nginx.pid")
	[[ $new != "$NGX_PID" ]] && nginx_has_workers "$new" "$NGX_WORKERS"
}

answers_as() {
	same "answer" "hello, world" \
		"$(curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/hello")"
}

# upgrade_start MODE WORKERS LISTEN: both masters run, the load is on.
upgrade_start() {
	mp_env "$1"
	NGX_WORKERS=$2 NGX_LISTEN=${3:-}
	nginx_start server
	load_start short --mode short --threads 6
	load_start keep --mode keep --threads 4
	kill -USR2 "$NGX_PID"
	wait_for 10 new_master_up
	NEW_PID=$(<"$NGX_DIR/nginx.pid")
	answers_as
	kill -WINCH "$NGX_PID"
	wait_for 10 nginx_has_workers "$NGX_PID" 0
	answers_as
}

upgrade_finish() {
	load_end short
	load_end keep
	nginx_end "$1"
	nginx_log_clean server
	wait_for 5 mp_none_left
	nginx_verify server
}

upgrade() {
	upgrade_start "$@"
	nginx_end "$NGX_PID"
	answers_as
	upgrade_finish "$NEW_PID"
}

upgrade_and_back() {
	upgrade_start "$@"
	kill -HUP "$NGX_PID"
	wait_for 10 nginx_has_workers "$NGX_PID" "$NGX_WORKERS"
	nginx_end "$NEW_PID"
	answers_as
	same "pid file" "$NGX_PID" "$(cat "$NGX_DIR/nginx.pid")"
	upgrade_finish "$NGX_PID"
}

# nginx gives the new binary an environment that it makes itself, without
# LD_PRELOAD. An upgrade must not silently end the acceleration.
still_preloaded() {
	mp_env "$1"
	nginx_start server
	kill -USR2 "$NGX_PID"
	wait_for 10 new_master_up
	NEW_PID=$(<"$NGX_DIR/nginx.pid")
	grep -qF "$MP_LIB" "/proc/$NEW_PID/maps"
	nginx_end "$NGX_PID"
	answers_as
	: >"$MP_STATS"
	nginx_end "$NEW_PID"
	nginx_verify server
}

@test "plain: upgrade, 1 worker" { upgrade plain 1; }
@test "on: upgrade, 1 worker" { upgrade on 1; }
@test "off: upgrade, 1 worker" { upgrade off 1; }
@test "plain: upgrade, 2 workers" { upgrade plain 2; }
@test "on: upgrade, 2 workers" { upgrade on 2; }
@test "off: upgrade, 2 workers" { upgrade off 2; }
@test "plain: upgrade with reuseport" { upgrade plain 2 reuseport; }
@test "on: upgrade with reuseport" { upgrade on 2 reuseport; }

@test "plain: upgrade and back" { upgrade_and_back plain 2; }
@test "on: upgrade and back" { upgrade_and_back on 2; }
@test "off: upgrade and back" { upgrade_and_back off 2; }

@test "on: the new binary is accelerated too" { still_preloaded on; }
@test "off: the new binary is accelerated too" { still_preloaded off; }
