#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Which processes get a channel: those with a listener in an epoll set, or with
# so many connections in one that there is something to batch. A process of one
# connection is left as it is, and costs nothing.

load lib

setup() { mp_setup; }
teardown() { mp_teardown; }

# worth SETTING LISTENERS CONNECTIONS: serves; is there a line of counters?
worth() {
	local plain setting=$1
	shift
	plain=$("$PY" "$MP_HERE/worth.py" "$@")
	mp_env on
	same "served" "$plain" \
		"$("${MP_PREFIX[@]}" ${setting:+"$setting"} "$PY" \
			"$MP_HERE/worth.py" "$@")"
	grep -q '^pid=' "$MP_STATS"
}
worthless() {
	! worth "$@" || return 1
}

@test "one connection" { worthless "" 0 1; }
@test "three connections" { worthless "" 0 3; }
@test "four connections" { worth "" 0 4; }
@test "a listener and one connection" { worth "" 1 1; }
@test "one connection, MEGAPIPE_MIN_CONNECTIONS=1" {
	worth MEGAPIPE_MIN_CONNECTIONS=1 0 1
}
@test "twenty connections, MEGAPIPE_MIN_CONNECTIONS=21" {
	worthless MEGAPIPE_MIN_CONNECTIONS=21 0 20
}
