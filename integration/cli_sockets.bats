#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# megapipe sockets: each socket of a process, how deep it is, and why one is
# not accelerated.
# timeout: 120

load lib
load cli

setup() { mp_setup; }
teardown() { mp_teardown; }

@test "sockets: a lightweight one, with the names that the kernel has" {
	server_start
	conn_open
	tell "$CONN" fd
	fd=$ANSWER
	same "depth" lw "$(row "$fd" depth)"
	same "state" ESTAB "$(row "$fd" state)"
	same "local" "127.0.0.1:$SRV_PORT" "$(row "$fd" local)"
	same "why" None "$(row "$fd" why)"
	same "events" in "$(row "$fd" events)"
	ss -tn | grep -F "127.0.0.1:$SRV_PORT" | grep -F "$(row "$fd" peer)"
	server_end
}

@test "sockets: the same with descriptors" {
	server_start off
	conn_open
	tell "$CONN" fd
	same "depth" fd "$(row "$ANSWER" depth)"
	same "local" "127.0.0.1:$SRV_PORT" "$(row "$ANSWER" local)"
	server_end
}

@test "sockets: the listener" {
	server_start
	"$MP" sockets -H "$SRV_PID" state listening >"$MP_DIR/out"
	cat "$MP_DIR/out"
	same "one" 1 "$(wc -l <"$MP_DIR/out")"
	grep -q "^LISTEN .* 127.0.0.1:$SRV_PORT " "$MP_DIR/out"
	server_end
}

@test "sockets: bytes that were read ahead" {
	server_start
	conn_open
	tell "$CONN" fd
	fd=$ANSWER
	tell "$CONN" hold
	printf 'twelve bytes' >&"$CONN"
	# The thread has to turn once to see them.
	wait_for 5 ahead_is "$fd" 12
	server_end
}
ahead_is() {
	tell_once echo turn >/dev/null
	[[ $(row "$1" read_ahead) == "$2" ]]
}

@test "sockets: the peer's end and our close are seen" {
	server_start
	conn_open
	tell "$CONN" fd
	fd=$ANSWER
	tell "$CONN" hold
	same "one" 1 "$("$MP" sockets -H "$SRV_PID" fd "$fd" | wc -l)"
	conn_close
	wait_for 5 test "$(row "$fd" state)" = CLOSE-WAIT
	conn_open
	tell "$CONN" fd
	fd=$ANSWER
	conn_close
	wait_for 5 test -z "$("$MP" sockets -H "$SRV_PID" fd "$fd" state established)"
	server_end
}

@test "sockets: why: blocking" {
	server_start
	conn_open
	tell "$CONN" block
	same "depth" kernel "$(row "$ANSWER" depth)"
	[[ $(row "$ANSWER" why) == *blocking* ]]
	server_end
}

@test "sockets: why: in no set" {
	server_start
	conn_open
	tell "$CONN" loose
	same "why" "in no epoll set" "$(row "$ANSWER" why)"
	server_end
}

@test "sockets: why: not yet connected" {
	server_start
	conn_open
	tell "$CONN" connect
	same "why" "not yet connected when it was added to a set" \
		"$(row "$ANSWER" why)"
	server_end
}

@test "sockets: why: passed by SCM_RIGHTS" {
	server_start
	conn_open
	tell "$CONN" fd
	fd=$ANSWER
	tell "$CONN" pass
	tell_once echo turn
	same "depth" kernel "$(row "$fd" depth)"
	[[ $(row "$fd" why) == *SCM_RIGHTS* ]]
	server_end
}

# A child has its parent's connections as the kernel's.
@test "sockets: of a forked child" {
	server_start
	read -r pid port <<<"$(tell_once fork)"
	SRV_PORT=$port tell_once echo child
	"$MP" sockets -H "$pid" state listening | grep "127.0.0.1:$port "
	SRV_PORT=$port tell_once end
	server_end
}

@test "sockets: a process without channel" {
	mp_env refused
	server_start refused
	"$MP" sockets "$SRV_PID" state listening | grep 'the process has no channel'
	server_end
}

@test "sockets: filters" {
	server_start
	conn_open
	tell "$CONN" fd
	all() { "$MP" sockets -H "$SRV_PID" "$@" | wc -l; }
	same "sport" 2 "$(all sport "$SRV_PORT")"
	same "sport =" 2 "$(all sport = ":$SRV_PORT")"
	same "sport !=" 0 "$(all sport != "$SRV_PORT")"
	same "sport <" 2 "$(all sport '<' $((SRV_PORT + 1)))"
	same "state" 1 "$(all state established)"
	same "not" 1 "$(all not state established)"
	same "and" 1 "$(all state connected and sport "$SRV_PORT")"
	same "src" 2 "$(all src 127.0.0.1)"
	same "src/bits" 2 "$(all src 127.0.0.0/8)"
	same "src of others" 0 "$(all src 10.0.0.0/8)"
	same "src with port" 2 "$(all src "127.0.0.1:$SRV_PORT")"
	same "dst" 1 "$(all dst 127.0.0.1)"
	same "depth" 1 "$(all depth lw)"
	same "fd" 1 "$(all fd "$ANSWER")"
	same "fd >" 1 "$(all fd '>=' "$ANSWER")"
	server_end
}

# Records are given to other sockets while they are read: no row may mix two.
@test "sockets: while connections come and go" {
	server_start
	for _ in {1..300}; do tell_once echo x >/dev/null; done &
	job=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		"$MP" sockets --json "$SRV_PID" | json \
			"all(r['local'].endswith(':$SRV_PORT') for r in d) or d"
	done | sort | uniq -c | tee "$MP_DIR/out"
	wait "$job"
	grep -q '10 True' "$MP_DIR/out"
	server_end
}

@test "sockets: bad arguments" {
	fails 1 "no such process" "$MP" sockets 999999999
	fails 1 "runs without the library" "$MP" sockets $$
	fails 2 "there is no option" "$MP" sockets --nothing
	fails 2 "accepted is all, connected" "$MP" sockets state asleep
	fails 2 "accepted is a port" "$MP" sockets sport 70000
	fails 2 "accepted is ADDRESS" "$MP" sockets src 1.2.3
	fails 2 "accepted is ADDRESS" "$MP" sockets dst 10.0.0.0/40
	fails 2 "accepted is a descriptor" "$MP" sockets fd x
	fails 2 "accepted is lw" "$MP" sockets depth deep
	fails 2 "accepted are state" "$MP" sockets state all and nonsense 1
	"$MP" sockets --help | grep -q '^usage: megapipe sockets'
}
