#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# redis beyond one server and plain TCP: TLS and a unix socket beside it,
# RESP3, values of 64 MiB, a chain of replicas with an append-only file
# written at each command, Sentinel, a cluster of three.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load ../lib
load ../redis
load ../servers

setup() { mp_setup; }
teardown() { mp_teardown; }

# rtls COMMAND...: one command over TLS.
rtls() {
	timeout 30 redis-cli -h 127.0.0.1 -p "$TLS" --tls \
		--cacert "$RDS_DIR/cert.pem" "$@"
}
runix() { timeout 30 redis-cli -s "$RDS_DIR/redis.sock" "$@"; }

# One dataset seen through TCP, TLS and a unix socket by many clients.
ways() {
	local TLS
	TLS=$(free_ports 1)
	mkdir -p "$MP_DIR/server"
	tls_make "$MP_DIR/server"
	redis_start server --tls-port "$TLS" --tls-auth-clients no \
		--tls-cert-file "$MP_DIR/server/cert.pem" \
		--tls-key-file "$MP_DIR/server/key.pem" \
		--unixsocket "$MP_DIR/server/redis.sock" \
		--tls-ca-cert-file "$MP_DIR/server/cert.pem" "$@"
	redis_fill 300
	rtls --pipe <"$MP_DIR/fill" | grep -v elapsed
	runix --pipe <"$MP_DIR/fill" | grep -v elapsed
	redis_digest
	rtls get string:7
	runix get string:7
	r -3 hgetall hash:1
	r -3 --json hgetall hash:1
	client redis_session "$RDS_PORT"
	client redis_session "$TLS" "$RDS_DIR/cert.pem"
	client redis_session "$RDS_DIR/redis.sock"
	client redis_large "$RDS_PORT" 67108864
	client redis_large "$TLS" 67108864 "$RDS_DIR/cert.pem"
	client redis_large "$RDS_DIR/redis.sock" 67108864
	timeout 60 redis-benchmark -h 127.0.0.1 -p "$TLS" --tls --cacert \
		"$RDS_DIR/cert.pem" -q -n 2000 -c 20 -P 8 -t set,get,lrange \
		>"$MP_DIR/bench" 2>&1
	grep -ciE 'error|warning' "$MP_DIR/bench" || true
	redis_end
	session_verify_redis server
}

session_verify_redis() {
	local name files=()
	for name; do
		files+=("$MP_DIR/$name"/{stderr,redis.log})
	done
	MP_STARTS=$# mp_verify "${files[@]}" >&2
}

ways_threads() { ways --io-threads 3 --io-threads-do-reads yes; }

# redis_more NAME [OPTION...]: another server; its port and pid in PORT_NAME
# and PID_NAME.
redis_more() {
	redis_start "$@" --repl-diskless-sync-delay 0 \
		--repl-backlog-size 32mb
	eval "PORT_$1=\$RDS_PORT PID_$1=\$RDS_PID"
}

link_up() { [[ $(rcli "$1" info replication) == *link_status:up* ]]; }
same_data() { [[ $(redis_digest "$1") == "$(redis_digest "$2")" ]]; }

# first <- second <- third; the second is cut off and asks for what it missed.
chain() {
	local PORT_{server1,server2,server3} PID_{server1,server2,server3}
	redis_more server1 --appendonly yes --appendfsync always
	redis_fill 500
	redis_more server2 --replicaof 127.0.0.1 "$PORT_server1" \
		--repl-diskless-load on-empty-db
	redis_more server3 --replicaof 127.0.0.1 "$PORT_server2"
	wait_for 20 link_up "$PORT_server2" >&2
	wait_for 20 link_up "$PORT_server3" >&2
	RDS_PORT=$PORT_server1
	redis_fill 900 | tail -n 1
	rcli "$PORT_server2" client kill type master
	r set while cut
	redis_fill 400 | tail -n 1
	wait_for 20 link_up "$PORT_server2" >&2
	wait_for 20 same_data "$PORT_server1" "$PORT_server3" >&2
	redis_digest "$PORT_server2"
	rcli "$PORT_server3" get while
	redis_info sync_full
	redis_info sync_partial_ok
	r script flush
	r eval 'for i = 1, 100 do redis.call("incr", KEYS[1]) end return 1' \
		1 counted
	wait_for 20 same_data "$PORT_server1" "$PORT_server3" >&2
	for name in server3 server2 server1; do
		port=PORT_$name pid=PID_$name
		rcli "${!port}" shutdown nosave
		wait "${!pid}"
	done
	session_verify_redis server1 server2 server3
	# From the append-only file alone, plainly.
	MP_PREFIX=()
	redis_start server1 --appendonly yes
	redis_digest
	redis_end
}

# A sentinel notices that the primary is gone and makes the replica one.
sentinel() {
	local PORT_{server1,server2} PID_{server1,server2} port
	redis_more server1
	redis_fill 100
	redis_more server2 --replicaof 127.0.0.1 "$PORT_server1"
	wait_for 20 link_up "$PORT_server2" >&2
	port=$(free_ports 1)
	mkdir -p "$MP_DIR/server3"
	printf '%s\n' "port $port" "bind 127.0.0.1" "dir $MP_DIR/server3" \
		"logfile $MP_DIR/server3/redis.log" \
		"sentinel monitor one 127.0.0.1 $PORT_server1 1" \
		"sentinel down-after-milliseconds one 500" \
		"sentinel failover-timeout one 5000" \
		>"$MP_DIR/server3/sentinel.conf"
	serve server3 redis-server "$MP_DIR/server3/sentinel.conf" --sentinel
	wait_for 10 redis_serves "$port" >&2
	wait_for 15 sentinel_knows 'num-slaves 1' >&2
	rcli "$PORT_server1" shutdown nosave
	wait "$PID_server1"
	wait_for 15 sentinel_knows "port $PORT_server2" >&2
	wait_for 10 writes "$PORT_server2" >&2
	rcli "$PORT_server2" get string:9
	rcli "$port" shutdown || true
	wait "$SRV_PID"
	rcli "$PORT_server2" shutdown nosave
	wait "$PID_server2"
	session_verify_redis server1 server2 server3
}
sentinel_knows() {
	rcli "$port" sentinel master one | paste - - | tr '\t' ' ' |
		grep -q "^$1\$"
}
writes() { [[ $(rcli "$1" set a b) == OK ]]; }

# Slots on three nodes, moved from one to another, and a node that goes away.
cluster() {
	local PORT_{server1,server2,server3} PID_{server1,server2,server3} i
	rm -f "$MP_DIR"/*.bus
	for i in 1 2 3; do
		node server$i
	done
	timeout 60 redis-cli --cluster-yes --cluster create \
		127.0.0.1:{"$PORT_server1","$PORT_server2","$PORT_server3"} \
		>"$MP_DIR/created"
	grep 'slots covered' "$MP_DIR/created"
	for i in 1 2 3; do
		wait_for 10 cluster_ok "$(port_of "$i")" >&2
	done
	for i in $(seq 30); do
		rcli "$PORT_server1" -c set "key:$i" "value $i"
	done
	rcli "$PORT_server1" set key:1 x | cut -d' ' -f1
	rcli "$PORT_server2" set key:1 x | cut -d' ' -f1
	rcli "$PORT_server3" set key:1 x | cut -d' ' -f1
	timeout 60 redis-cli --cluster-yes --cluster reshard \
		"127.0.0.1:$PORT_server1" --cluster-slots 2000 \
		--cluster-from "$(rcli "$PORT_server1" cluster myid)" \
		--cluster-to "$(rcli "$PORT_server3" cluster myid)" \
		>"$MP_DIR/moved" 2>&1
	for i in $(seq 30); do
		rcli "$PORT_server2" -c get "key:$i"
	done
	for i in 1 2 3; do
		rcli "$(port_of "$i")" dbsize
	done
	rcli "$PORT_server3" shutdown nosave
	wait "$PID_server3"
	wait_for 15 cluster_not_ok "$PORT_server1" >&2
	rcli "$PORT_server1" -c get key:1 | cut -d' ' -f1-2
	node server3
	wait_for 15 cluster_ok "$PORT_server1" >&2
	for i in 1 2 3; do
		rcli "$(port_of "$i")" shutdown nosave
		pid=PID_server$i
		wait "${!pid}"
	done
	session_verify_redis server1 server2 server3
}
port_of() {
	local port=PORT_server$1
	printf '%s\n' "${!port}"
}
node() {
	local bus=$MP_DIR/$1.bus
	[[ -s $bus ]] || free_ports 1 >"$bus"
	redis_more "$1" --cluster-enabled yes --cluster-node-timeout 2000 \
		--cluster-port "$(<"$bus")"
}
cluster_ok() { rcli "$1" cluster info | grep -q '^cluster_state:ok'; }
cluster_not_ok() { ! cluster_ok "$1"; }

@test "plain: TCP, TLS and a unix socket" { as_plain plain ways; }
@test "on: TCP, TLS and a unix socket" { as_plain on ways; }
@test "off: TCP, TLS and a unix socket" { as_plain off ways; }

@test "on: the same with threads" { as_plain on ways_threads; }

@test "plain: a chain of replicas" { as_plain plain chain; }
@test "on: a chain of replicas" { as_plain on chain; }
@test "off: a chain of replicas" { as_plain off chain; }

@test "plain: Sentinel" { as_plain plain sentinel; }
@test "on: Sentinel" { as_plain on sentinel; }
@test "off: Sentinel" { as_plain off sentinel; }

@test "plain: a cluster of three" { as_plain plain cluster; }
@test "on: a cluster of three" { as_plain on cluster; }
@test "off: a cluster of three" { as_plain off cluster; }

