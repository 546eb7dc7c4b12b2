#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# memcached's meta commands, values of 8 MiB, UDP beside TCP, and a unix
# socket instead, with one thread and with four; replies as plain ones.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load servers

setup() { mp_setup; }
teardown() { mp_teardown; }

memcached_session() {
	local port user=()
	((EUID)) || user=(-u nobody)
	port=$(free_ports 1)
	serve server memcached "${user[@]}" -l 127.0.0.1 -p "$port" \
		-U "$port" -t "$1" -I 8m -m 256 -v
	wait_for 10 port_answers "$port" >&2
	client memcached_meta "$port" , memcached_large "$port" , \
		memcached_datagrams "$port" , memcached_meta "$port"
	unserve TERM 0
	session_served server >&2
}

# One thread accepts from a unix socket, which is no business of ours.
local_session() {
	local user=()
	((EUID)) || user=(-u nobody)
	serve server memcached "${user[@]}" -s "$SRV_DIR/sock" -a 0777 -t 2
	wait_for 10 test -S "$SRV_DIR/sock" >&2
	client memcached_meta "$SRV_DIR/sock"
	unserve TERM 0
	silent_verify server >&2
}

@test "plain: meta, large, UDP, 1 threads" { as_plain plain memcached_session 1; }
@test "on: meta, large, UDP, 1 threads" { as_plain on memcached_session 1; }
@test "off: meta, large, UDP, 1 threads" { as_plain off memcached_session 1; }

@test "plain: meta, large, UDP, 4 threads" { as_plain plain memcached_session 4; }
@test "on: meta, large, UDP, 4 threads" { as_plain on memcached_session 4; }
@test "off: meta, large, UDP, 4 threads" { as_plain off memcached_session 4; }

@test "plain: a unix socket" { SRV_DIR=$MP_DIR/server as_plain plain local_session; }
@test "on: a unix socket" { SRV_DIR=$MP_DIR/server as_plain on local_session; }
