#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 900
# Other shapes of servers while clients count: threads that share a listener,
# one that dispatches, a single process, workers of gunicorn and uWSGI, which
# are no event loops or sleep in select() and poll(). Reloads lose nothing, and
# who has no use for partitions has none.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load partition

setup() {
	mp_setup
	mkdir "$MP_DIR/server"
	NGX_PORT=$(free_ports 1)
}
teardown() { mp_teardown; }

# server COMMAND...: sets PID.
server() {
	(
		ulimit -c 0
		exec "${MP_PREFIX[@]}" "$@" </dev/null \
			>>"$MP_DIR/server/stdout" 2>>"$MP_DIR/server/stderr" 3>&-
	) &
	PID=$!
	wait_for 15 port_answers "$NGX_PORT"
}

# server_end SIGNAL STATUS...: one of these.
server_end() {
	local status=0
	kill -"$1" "$PID"
	shift
	wait "$PID" || status=$?
	[[ " $* " == *" $status "* ]] || same "exit status" "$*" "$status"
	wait_for 10 mp_none_left
	echo "claims=$(stat_sum partition_claims)"
}

# Nobody forks: no partition, one socket.
no_partition() {
	same "listening sockets" 1 "$(listening "$NGX_PORT")"
	part_none
}
part_none() { same "claims" 0 "$(stat_sum partition_claims)"; }

haproxy_conf() {
	cat >"$MP_DIR/server/haproxy.cfg" <<-EOF
		global
			nbthread $1
			stats socket $MP_DIR/server/sock mode 600 level admin expose-fd listeners
		defaults
			mode http
			timeout client 10s
			timeout connect 10s
			timeout server 10s
		frontend all
			bind 127.0.0.1:$NGX_PORT
			http-request return status 200 content-type text/plain lf-string %pid
	EOF
}

only_worker_is_not() {
	[[ $(children "$PID" | wc -l) == 1 && $(children "$PID") != "$1" ]]
}

haproxy_reload() {
	local i worker=none
	part_env "$1"
	haproxy_conf "$2"
	server haproxy -W -f "$MP_DIR/server/haproxy.cfg"
	wait_for 15 only_worker_is_not none
	loss_start short
	for i in 1 2 3; do
		worker=$(children "$PID")
		kill -USR2 "$PID"
		wait_for 20 only_worker_is_not "$worker"
	done
	loss_end short
	server_end TERM 0 143
}

# Its pause lets go of the port (SIGTTOU), and SIGTTIN takes it again.
haproxy_paused() {
	local worker before
	part_env "$1"
	haproxy_conf "$2"
	server haproxy -W -f "$MP_DIR/server/haproxy.cfg"
	wait_for 15 only_worker_is_not none
	worker=$(children "$PID")
	before=$(listening "$NGX_PORT")
	for _ in 1 2 3; do
		kill -TTOU "$worker"
		wait_for 10 haproxy_is_shut
		kill -TTIN "$worker"
		wait_for 10 port_answers "$NGX_PORT"
		same "listening sockets" "$before" "$(listening "$NGX_PORT")"
		"$LOSS" -p "$NGX_PORT" -x -q "$WHO" -n 300 -l 2000 |
			tee "$MP_DIR/short.out"
		loss_complete "$MP_DIR/short.out"
	done
	before=$(ticks "$worker")
	sleep 0.5
	(($(ticks "$worker") - before < 10))
	server_end TERM 0 143
}
# Ticks of processor time: 50 are what a loop that never sleeps takes then.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
haproxy_is_shut() { (($(listening "$NGX_PORT") == 0)); }

memcached_threads() {
	local user=()
	((EUID != 0)) || user=(-u nobody)
	part_env "$1"
	server memcached "${user[@]}" -l 127.0.0.1 -p "$NGX_PORT" -U 0 -t 4 \
		-c 4096
	no_partition
	"$LOSS" -p "$NGX_PORT" -q 'get a\r\n' -e 'END\r\n' -n 3000 -l 2000 |
		tee "$MP_DIR/short.out"
	loss_complete "$MP_DIR/short.out"
	"$LOSS" -p "$NGX_PORT" -q 'get a\r\n' -e 'END\r\n' -n 1000 -k |
		tee "$MP_DIR/held.out"
	loss_complete "$MP_DIR/held.out"
	server_end TERM 0
	part_none
}

# Its children save the data: they have the listener, and no use for it.
redis_single() {
	local i
	part_env "$1"
	server redis-server --port "$NGX_PORT" --bind 127.0.0.1 \
		--dir "$MP_DIR/server" --save '' --maxclients 4000
	# Other addresses than 127.0.0.1 are strangers to it.
	LOSS_END='' loss_start short -s 0 -q 'PING\r\n' -e '+PONG\r\n'
	for i in 1 2 3; do
		redis-cli -p "$NGX_PORT" bgsave >/dev/null
		wait_for 5 saved $i
	done
	no_partition
	loss_end short
	server_end TERM 0
	part_none
}
saved() {
	(($(grep -c 'Background saving terminated' "$MP_DIR/server/stdout") >= $1))
}

# A server of workers in Python: the same application for each.
wsgi_app() {
	cat >"$MP_DIR/server/app.py" <<-'PY'
		import os
		def application(environ, start_response):
		    body = b"%d\n" % os.getpid()
		    start_response("200 OK", [("Content-Type", "text/plain"),
		                              ("Content-Length", str(len(body)))])
		    return [body]
	PY
}

# other_children BEFORE COUNT: none of them is an old one.
other_children() {
	local now
	now=$(children "$PID" | sort)
	(($(wc -w <<<"$now") == $2)) || return 1
	[[ -z $(comm -12 <(printf '%s\n' "$now") <(printf '%s\n' "$1")) ]]
}

gunicorn_workers() {
	local before i
	[[ -x /usr/bin/gunicorn ]] || skip "no gunicorn"
	part_env "$1"
	wsgi_app
	server /usr/bin/gunicorn -b "127.0.0.1:$NGX_PORT" -w 3 -k "$2" \
		--threads "$3" --chdir "$MP_DIR/server" app:application
	wait_for 10 other_children none 3
	loss_start short -r 200
	for i in 1 2; do
		before=$(children "$PID" | sort)
		kill -HUP "$PID"
		wait_for 15 other_children "$before" 3
	done
	loss_end short
	server_end TERM 0
}

uwsgi_workers() {
	[[ -x /usr/bin/uwsgi ]] || skip "no uwsgi"
	part_env "$1"
	wsgi_app
	server /usr/bin/uwsgi --plugin python3 --master --processes 3 \
		--http-socket "127.0.0.1:$NGX_PORT" --wsgi-file app.py \
		--chdir "$MP_DIR/server" --die-on-term
	# A reload begins with all workers ended, and takes a second or two.
	loss_start short -r 300 -w 15 -l 10000
	kill -HUP "$PID"
	wait_for 15 uwsgi_said 'spawned uWSGI worker' 6
	loss_end short
	server_end TERM 0
}
uwsgi_said() { (($(grep -c "$1" "$MP_DIR/server/stderr") >= $2)); }

# Three processes, epoll: the frequent shape. HUP makes new ones, KILL of one
# loses what it had in hand.
prefork_workers() {
	local before i
	part_env "$1"
	prefork_start 3 127.0.0.1:0
	loss_start short -r 500
	for i in 1 2 3 4 5; do
		before=$(children "$PRE_PID" | sort)
		kill -HUP "$PRE_PID"
		wait_for 10 prefork_renewed "$before"
	done
	loss_end short
	"$LOSS" -p "$NGX_PORT" -x -q "$WHO" -t 2 -r 500 -K "$PRE_PID" -i 200 \
		-f 40 -l 2000 | tee "$MP_DIR/killed.out" | sed '/^by/d'
	loss_complete "$MP_DIR/killed.out"
	prefork_end
	wait_for 5 mp_none_left
	part_verify
}
prefork_renewed() {
	[[ -z $(comm -12 <(children "$PRE_PID" | sort) <(printf '%s\n' "$1")) ]]
}

@test "plain: haproxy, 4 threads" { haproxy_reload plain 4; }
@test "on: haproxy, 4 threads" { haproxy_reload on 4; }
@test "off: haproxy, 4 threads" { haproxy_reload off 4; }
@test "on: haproxy, 1 thread" { haproxy_reload on 1; }
@test "plain: haproxy, 1 thread, paused" { haproxy_paused plain 1; }
@test "on: haproxy, 1 thread, paused" { haproxy_paused on 1; }
@test "off: haproxy, 1 thread, paused" { haproxy_paused off 1; }
@test "on: haproxy, 4 threads, paused" { haproxy_paused on 4; }
@test "plain: memcached, 4 threads" { memcached_threads plain; }
@test "on: memcached, 4 threads" { memcached_threads on; }
@test "off: memcached, 4 threads" { memcached_threads off; }
@test "plain: redis" { redis_single plain; }
@test "on: redis" { redis_single on; }
@test "off: redis" { redis_single off; }
@test "plain: a prefork server" { prefork_workers plain; }
@test "on: a prefork server" { prefork_workers on; }
@test "off: a prefork server" { prefork_workers off; }
@test "on/cbpf: a prefork server" { prefork_workers on/cbpf; }
@test "on/hash: a prefork server" { prefork_workers on/hash; }
@test "plain: gunicorn, sync" { gunicorn_workers plain sync 1; }
@test "on: gunicorn, sync" { gunicorn_workers on sync 1; }
@test "plain: gunicorn, gthread" { gunicorn_workers plain gthread 4; }
@test "on: gunicorn, gthread" { gunicorn_workers on gthread 4; }
@test "plain: uwsgi" { uwsgi_workers plain; }
@test "on: uwsgi" { uwsgi_workers on; }
@test "off: uwsgi" { uwsgi_workers off; }
