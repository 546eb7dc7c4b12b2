#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# memcached under memcache.py, with one and with four threads: both protocols
# byte by byte, values up to its limit, many clients, idle and slow ones, and
# what it does at its limit of connections.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib

setup() { mp_setup; }
teardown() { mp_teardown; }

# memcached_start OPTION...: sets MCD_PORT and MCD_PID. It sets its own limit
# of descriptors and becomes another user only as root.
memcached_start() {
	local user=()
	((EUID != 0)) || user=(-u nobody)
	MCD_PORT=$(free_ports 1)
	mkdir -p "$MP_DIR/server"
	(
		ulimit -c 0
		exec "${MP_PREFIX[@]}" memcached "${user[@]}" -l 127.0.0.1 \
			-p "$MCD_PORT" -U 0 "$@" </dev/null \
			>>"$MP_DIR/server/stdout" \
			2>>"$MP_DIR/server/stderr" 3>&-
	) &
	MCD_PID=$!
	wait_for 10 port_answers "$MCD_PORT"
}

memcached_end() {
	local status=0
	kill -TERM "$MCD_PID"
	wait "$MCD_PID" || status=$?
	same "exit status" 0 "$status"
}

client() { timeout 60 "$PY" "$MP_HERE/memcache.py" "$1" "$MCD_PORT"; }

# The counters of a connection that only one thread sees as accepted, and
# another takes, are spread: adopted says that the channel drove them.
memcached_verify() {
	local said adopted
	said=$(own_lines "$MP_DIR/server/stderr") || true
	adopted=$(stat_sum adopted)
	echo "mode $MP_MODE: adopted=$adopted, lines from the library: $said"
	case $MP_MODE in
	plain) ((adopted == 0 && said == 0)) ;;
	on | off) ((adopted > 0 && said == 0)) ;;
	refused) ((adopted == 0 && said == 1)) ;;
	esac
}

# Its replies depend on nothing but what it was asked.
replies() {
	local what expected='' got=''
	for what in text binary; do
		memcached_start -t "$2"
		expected+=$(client $what)
		memcached_end
	done
	[[ $expected == text*binary* ]]
	mp_env "$1"
	for what in text binary; do
		memcached_start -t "$2"
		got+=$(client $what)
		memcached_end
	done
	same "checksums of all replies" "$expected" "$got"
	MP_STARTS=2
	case $1 in refused) (($(own_lines "$MP_DIR/server/stderr") == 2)) ;;
	*) memcached_verify ;; esac
}

many() {
	mp_env "$1"
	memcached_start -t "$2"
	client idle
	client slow
	memcached_end
	memcached_verify
}

# How many the server lets in. It lowers its own limit of descriptors, hard
# one too, so ours count (LIMITS in the manual): one for each channel, one that
# wakes it, one in all. Natively and refused the number must be the same.
let_in() {
	local natively=$1 got=$2 ours=0
	case $MP_MODE in on | off) ours=$((2 * ($3 + 1) + 1)) ;; esac
	echo "let in: $natively natively, $got now, at most $ours are ours"
	((got <= natively && got >= natively - ours))
}

limits() {
	local natively got what args=(-t "$2" -c "$3")
	for what in limit queue; do
		[[ $what == limit ]] || args+=(-o no_maxconns_fast)
		MP_PREFIX=()
		memcached_start "${args[@]}"
		natively=$(client $what)
		memcached_end
		mp_env "$1"
		memcached_start "${args[@]}"
		got=$(client $what)
		memcached_end
		let_in "${natively#"$what "}" "${got#"$what "}" "$2"
	done
	memcached_verify
}

timeout_of_idle() {
	mp_env "$1"
	memcached_start -t 2 -o idle_timeout=1
	client timeout
	memcached_end
	memcached_verify
}

@test "plain: replies, 1 thread" { replies plain 1; }
@test "on: replies, 1 thread" { replies on 1; }
@test "off: replies, 1 thread" { replies off 1; }
@test "refused: replies, 1 thread" { replies refused 1; }
@test "plain: replies, 4 threads" { replies plain 4; }
@test "on: replies, 4 threads" { replies on 4; }
@test "off: replies, 4 threads" { replies off 4; }

@test "plain: many clients, 4 threads" { many plain 4; }
@test "on: many clients, 1 thread" { many on 1; }
@test "on: many clients, 4 threads" { many on 4; }
@test "off: many clients, 1 thread" { many off 1; }
@test "off: many clients, 4 threads" { many off 4; }
@test "refused: many clients, 4 threads" { many refused 4; }

@test "plain: limit of connections" { limits plain 1 120; }
@test "on: limit of connections, 1 thread" { limits on 1 120; }
@test "on: limit of connections, 4 threads" { limits on 4 300; }
@test "off: limit of connections, 4 threads" { limits off 4 300; }

@test "plain: idle_timeout" { timeout_of_idle plain; }
@test "on: idle_timeout" { timeout_of_idle on; }
@test "off: idle_timeout" { timeout_of_idle off; }
