#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# redis-benchmark with its whole list of tests, as it comes and pipelined,
# with large values, with one client, with threads of its own; and redis
# under that load while it forks (BGSAVE, BGREWRITEAOF) or feeds a replica.
# No command may fail, and what redis holds afterwards is what was sent.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load redis

setup() { mp_setup; }
teardown() { mp_teardown; }

TESTS=(PING_INLINE PING_MBULK SET GET INCR LPUSH RPUSH LPOP RPOP SADD HSET
	SPOP ZADD ZPOPMIN LRANGE_100 LRANGE_300 LRANGE_500 LRANGE_600 MSET)

# benchmark COUNT ARGUMENT...: the whole list; every test must end.
benchmark() {
	local count=$1 name
	shift
	timeout 60 redis-benchmark -h 127.0.0.1 -p "$RDS_PORT" --csv \
		-n "$count" "$@" >"$MP_DIR/csv" 2>"$MP_DIR/bench.err"
	for name in "${TESTS[@]}"; do
		grep -q "^\"$name" "$MP_DIR/csv" || {
			echo "no result for $name"
			return 1
		}
	done
	# It asks for the configuration; other lines there are failures.
	! grep -v -e '^$' -e 'Keepalive disabled' "$MP_DIR/bench.err" || return 1
}

# A server with helper threads that reads a file now and then (its own /proc
# entry, ten times a second): nobody waits for that, and its connections stay
# without descriptors. Two seconds, in which new connections come as well.
files_read() {
	local end=$((SECONDS + 2))
	mp_env "$1"
	redis_start server
	while ((SECONDS <= end)); do
		redis-benchmark -h 127.0.0.1 -p "$RDS_PORT" -t get -n 5000 \
			-c 20 -q >/dev/null
	done
	redis_end
	if [[ $1 == on ]] && grep -q ' accepted_lw=' "$MP_STATS"; then
		! grep -o ' mat_block=.*' "$MP_STATS" || return 1
	fi
	redis_verify server
}

bench() {
	local count=$2
	mp_env "$1"
	shift
	# shellcheck disable=SC2086 # options and their values
	redis_start server ${OPTIONS:-}
	benchmark "$@"
	same "counter" "$count" "$(r get counter:__rand_int__)"
	# Pushed by LPUSH, RPUSH and the LRANGE preparation, popped twice.
	same "list" "$count" "$(r llen mylist)"
	same "error replies" 0 "$(redis_info total_error_replies)"
	redis_end
	redis_verify server
}

# load_start: redis-benchmark on many keys until load_end ends it.
load_start() {
	redis-benchmark -h 127.0.0.1 -p "$RDS_PORT" -q -l -c 20 -r 20000 \
		-d 100 -t set,get,incr,lpush,hset >"$MP_DIR/load.out" 2>&1 3>&- &
	LOAD=$!
	wait_for 5 busy
}
busy() { (($(redis_info total_commands_processed) > 2000)); }
load_end() {
	kill -0 "$LOAD"
	kill "$LOAD"
	wait "$LOAD" || true
	! grep -i 'error' "$MP_DIR/load.out" || return 1
}

# The child that saves inherits every connection and must not touch them.
background_saves() {
	local digest
	mp_env "$1"
	redis_start server --appendonly yes
	redis_fill 2000
	load_start
	for _ in 1 2 3; do
		r bgsave
		wait_for 20 redis_info_is rdb_bgsave_in_progress 0
		same "saved" ok "$(redis_info rdb_last_bgsave_status)"
		r bgrewriteaof
		wait_for 20 redis_info_is aof_rewrite_in_progress 0
		same "rewritten" ok "$(redis_info aof_last_bgrewrite_status)"
	done
	load_end
	digest=$(redis_digest)
	redis_end shutdown nosave
	# What the append-only file holds is what was there: a plain redis.
	MP_PREFIX=()
	redis_start server --appendonly yes
	same "from the append-only file" "$digest" "$(redis_digest)"
	redis_end shutdown nosave
	redis_verify server
}

# A snapshot of a quiet dataset, taken in the background, is exact.
snapshot() {
	local digest
	mp_env "$1"
	redis_start server
	redis_fill 2000
	digest=$(redis_digest)
	r bgsave
	wait_for 20 redis_info_is rdb_bgsave_in_progress 0
	same "saved" ok "$(redis_info rdb_last_bgsave_status)"
	redis_end
	MP_PREFIX=()
	redis_start server
	same "from the snapshot" "$digest" "$(redis_digest)"
	redis_end
	redis_verify server
}

in_step() {
	[[ $(redis_digest "$1") == "$(redis_digest "$2")" ]]
}

replica() {
	local primary replica primary_pid replica_pid
	mp_env "$1"
	redis_start primary --repl-diskless-sync "$2" \
		--repl-diskless-sync-delay 0
	primary=$RDS_PORT primary_pid=$RDS_PID
	redis_fill 5000
	load_start
	redis_start replica --replicaof 127.0.0.1 "$primary"
	replica=$RDS_PORT replica_pid=$RDS_PID
	wait_for 20 redis_info_is master_link_status up
	# A link that was cut is taken up again, without a second full copy.
	rcli "$primary" client kill type replica
	wait_for 20 redis_info_is master_link_status up
	load_end
	same "a write is confirmed" 1 "$(printf '%s\n' 'set last write' \
		'wait 1 5000' | rcli "$primary" | tail -n 1)"
	wait_for 10 in_step "$primary" "$replica"
	same "the write" write "$(rcli "$replica" get last)"
	rcli "$replica" replicaof no one
	same "a primary of its own" OK "$(rcli "$replica" set own 1)"
	rcli "$replica" shutdown nosave
	wait "$replica_pid"
	RDS_PORT=$primary RDS_PID=$primary_pid
	redis_end
	MP_STARTS=2
	mp_verify "$MP_DIR"/{primary,replica}/{stderr,redis.log}
}

@test "plain: files are read beside connections" { files_read plain; }
@test "on: files are read beside connections" { files_read on; }

@test "plain: redis-benchmark" { bench plain 5000 -c 50; }
@test "on: redis-benchmark" { bench on 5000 -c 50; }
@test "off: redis-benchmark" { bench off 5000 -c 50; }
@test "refused: redis-benchmark" { bench refused 5000 -c 50; }

@test "plain: redis-benchmark -P 16" { bench plain 16000 -c 50 -P 16; }
@test "on: redis-benchmark -P 16" { bench on 16000 -c 50 -P 16; }
@test "off: redis-benchmark -P 16" { bench off 16000 -c 50 -P 16; }

@test "plain: redis-benchmark -d 65536" { bench plain 60 -c 50 -d 65536; }
@test "on: redis-benchmark -d 65536" { bench on 60 -c 50 -d 65536; }
@test "off: redis-benchmark -d 65536" { bench off 60 -c 50 -d 65536; }

@test "plain: redis-benchmark -c 1" { bench plain 1000 -c 1; }
@test "on: redis-benchmark -c 1" { bench on 1000 -c 1; }
@test "off: redis-benchmark -c 1" { bench off 1000 -c 1; }

@test "plain: one connection for each command" { bench plain 1000 -c 20 -k 0; }
@test "on: one connection for each command" { bench on 1000 -c 20 -k 0; }
@test "off: one connection for each command" { bench off 1000 -c 20 -k 0; }

@test "on: redis with threads of its own" {
	OPTIONS="--io-threads 2 --io-threads-do-reads yes"
	bench on 2000 -c 50
}
@test "off: redis with threads of its own" {
	OPTIONS="--io-threads 2 --io-threads-do-reads yes"
	bench off 2000 -c 50
}

@test "plain: BGSAVE and BGREWRITEAOF under load" { background_saves plain; }
@test "on: BGSAVE and BGREWRITEAOF under load" { background_saves on; }
@test "off: BGSAVE and BGREWRITEAOF under load" { background_saves off; }

@test "plain: a snapshot in the background" { snapshot plain; }
@test "on: a snapshot in the background" { snapshot on; }
@test "off: a snapshot in the background" { snapshot off; }

@test "plain: a replica, diskless" { replica plain yes; }
@test "on: a replica, diskless" { replica on yes; }
@test "off: a replica, diskless" { replica off yes; }
@test "plain: a replica, by file" { replica plain no; }
@test "on: a replica, by file" { replica on no; }
@test "off: a replica, by file" { replica off no; }
