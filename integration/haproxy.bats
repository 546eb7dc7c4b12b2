#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# haproxy between checking clients and a plain nginx: the same bytes, the
# same log, and reloads under load lose no more than haproxy itself would.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load haproxy

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() {
	mp_setup
	haproxy_defaults
}
teardown() { mp_teardown; }

# The backend has no preload: what differs is haproxy's doing.
backend() {
	nginx_start backend
	HAP_UPSTREAM=$NGX_PORT
}

# Everything a client sees, as text to compare.
session() {
	local web=http://127.0.0.1:$HAP_PORT tcp=http://127.0.0.1:$HAP_TCP
	local tls=https://127.0.0.1:$HAP_TLS url file get=(curl -sS -m 30)
	get+=(--cacert "$HAP_DIR/cert.pem")
	for url in "$web" "$tcp" "$tls"; do
		for file in small.html f612 f64k f5m; do
			"${get[@]}" "$url/$file" | sha
		done
		"${get[@]}" -T "$MP_WWW/f5m" "$url/stored/up"
		"${get[@]}" "$url/stored/up" | sha
		"${get[@]}" -I "$url/f64k" | grep -v '^[dD]ate:'
		"${get[@]}" -r 1000-70000 "$url/f5m" | sha
		"${get[@]}" -X DELETE -w '%{http_code}\n' "$url/stored/up"
	done
	"${get[@]}" --http1.1 "$tls/f5m" | sha
	"${get[@]}" --no-progress-meter -Z "$tls/f5m" "$tls/f64k" "$tls/f612" -o "$HAP_DIR/1" \
		-o "$HAP_DIR/2" -o "$HAP_DIR/3"
	sha "$HAP_DIR"/[123]
	"${get[@]}" -w '%{http_code}\n' "$web/nowhere"
	"${get[@]}" -w '%{http_code}\n' "$web/nothing" | tail -n 1
	"${get[@]}" -0 -w '%{http_version}\n' "$web/hello"
	"$PY" "$MP_HERE/raw.py" "$HAP_PORT" /hello /f612 /f64k --repeat 20 | sha
	"$PY" "$MP_HERE/raw.py" "$HAP_TCP" /f64k --piece 7 --half-close | sha
	"$PY" "$MP_HERE/raw.py" "$HAP_PORT" / --text 'nonsense\r\n\r\n'
	"$PY" "$MP_HERE/raw.py" "$HAP_PORT" /f5m --abort-after 100000
	"$PY" "$MP_HERE/raw.py" "$HAP_TCP" /f5m --abort-after 100000
}

# run_session NAME: the session's output, and haproxy's own view of it in
# its log. How far the cut transfers got is chance.
run_session() {
	haproxy_start "$1"
	session >"$MP_DIR/$1.out" 2>&1
	haproxy_end
	sed -E '/\/hello|(C|S)D$/d; s,https://127.0.0.1:[0-9]+,,' \
		"$HAP_DIR/stdout" | sort >"$MP_DIR/$1.log"
}

# The plain run, once for all modes.
oracle() {
	[[ ! -e $MP_WWW/haproxy.log ]] || return 0
	run_session oracle
	grep -q 200 "$MP_DIR/oracle.log"
	mv "$MP_DIR/oracle.out" "$MP_WWW/haproxy.out"
	mv "$MP_DIR/oracle.log" "$MP_WWW/haproxy.log"
}

bytes() {
	local mode=$1
	HAP_THREADS=$2
	HAP_DEFAULTS=${3:-}
	HAP_REUSE=${4:-always}
	backend
	oracle
	mp_env "$mode"
	# Few are there at a time: every set is to be a channel's.
	((HAP_THREADS == 1)) || export MEGAPIPE_MIN_CONNECTIONS=1
	run_session server
	same "responses" "$(<"$MP_WWW/haproxy.out")" "$(<"$MP_DIR/server.out")"
	same "log" "$(<"$MP_WWW/haproxy.log")" "$(<"$MP_DIR/server.log")"
	haproxy_verify server
	nginx_end "$NGX_PID"
}

hap_load() {
	NGX_PORT=$HAP_PORT
	load_start "$@"
}

load_both() {
	HAP_THREADS=$2
	backend
	mp_env "$1"
	haproxy_start server
	local backend=$NGX_PORT
	hap_load keep --threads 12 --requests 2500
	hap_load short --mode short --threads 8 --requests 1200
	NGX_PORT=$HAP_TCP load_start tcp --mode short --threads 8 --requests 800
	load_finish keep short tcp
	haproxy_end
	haproxy_verify server
}

# Each load ends by its own count of requests.
load_finish() {
	local name status=0 job
	for name; do
		job=LOAD_$name
		wait "${!job}" || status=1
		echo "$name: $(cat "$MP_DIR/$name.out")"
	done
	return $status
}

# A new process takes the listeners of the old one over its socket, and the
# old one finishes what it has.
takeover() {
	local i old
	HAP_THREADS=$2
	backend
	mp_env "$1"
	haproxy_start server
	hap_load keep --threads 8
	hap_load short --mode short --threads 8
	for i in 1 2 3; do
		old=$HAP_PID
		haproxy_start server -x "$HAP_DIR/sock" -sf "$old"
		wait_for 30 pid_gone "$old"
	done
	load_end keep
	load_end short
	haproxy_end
	MP_STARTS=4
	haproxy_verify server
}

# The status is the last worker's, or 0 when an older one ended after it: both
# are seen natively. What matters here is that all end.
haproxy_end_master() {
	local status=0
	kill -TERM "$HAP_PID"
	wait "$HAP_PID" || status=$?
	((status == 0 || status == 143))
	wait_for 10 port_refuses "$HAP_PORT"
}

master_workers() { children "$HAP_PID"; }
# Looked at once: between two looks a worker may come.
only_worker_is_not() {
	ONLY_WORKER=$(master_workers)
	[[ $ONLY_WORKER =~ ^[0-9]+$ && $ONLY_WORKER != "$1" ]]
}

# The master re-executes itself and starts a new worker. One that is told to
# stop before its first wait never meets the library, so each answers first.
reload() {
	local i worker
	HAP_THREADS=$2
	backend
	mp_env "$1"
	haproxy_start server -W
	hap_load keep --threads 8
	hap_load short --mode short --threads 8
	for i in 1 2 3; do
		wait_for 30 only_worker_is_not "${worker:-none}"
		worker=$ONLY_WORKER
		wait_for 10 haproxy_serves "$HAP_PORT"
		kill -USR2 "$HAP_PID"
	done
	wait_for 30 only_worker_is_not "$worker"
	wait_for 10 haproxy_serves "$HAP_PORT"
	load_end keep
	load_end short
	haproxy_end_master
	MP_STARTS=4 MP_CONTROLS=8
	haproxy_verify server
}

# Two connections to the backend, many clients: they wait in haproxy's queue,
# and in the kernel's once maxconn is reached.
queued() {
	HAP_MAXCONN=2
	HAP_BIND="maxconn 10"
	backend
	mp_env "$1"
	haproxy_start server
	hap_load keep --threads 30 --mode short --requests 1500
	load_finish keep
	haproxy_end
	haproxy_verify server
}

# The command socket (a unix socket), and a backend that comes and goes.
admin() {
	local ask=("$PY" -c '
import socket, sys
sock = socket.socket(socket.AF_UNIX)
sock.connect(sys.argv[1])
sock.sendall(sys.argv[2].encode() + b"\n")
while data := sock.recv(65536):
    sys.stdout.buffer.write(data)')
	backend
	mp_env "$1"
	haproxy_start server
	curl -sS "http://127.0.0.1:$HAP_PORT/hello"
	"${ask[@]}" "$HAP_DIR/sock" "show stat" | grep -q '^nginx,one'
	"${ask[@]}" "$HAP_DIR/sock" "show fd" | grep -q 'listener\|conn'
	"${ask[@]}" "$HAP_DIR/sock" "disable server nginx/one"
	same "in maintenance" 503 "$(curl -sS -o "$MP_DIR/body" \
		-w '%{http_code}' "http://127.0.0.1:$HAP_PORT/hello")"
	"${ask[@]}" "$HAP_DIR/sock" "enable server nginx/one"
	same "again" "hello, world" \
		"$(curl -sS "http://127.0.0.1:$HAP_PORT/hello")"
	"${ask[@]}" "$HAP_DIR/sock" "disable frontend web"
	port_answers "$HAP_TCP"
	"${ask[@]}" "$HAP_DIR/sock" "enable frontend web"
	same "enabled" "hello, world" \
		"$(curl -sS "http://127.0.0.1:$HAP_PORT/hello")"
	haproxy_end
	haproxy_verify server
}

# haproxy's own checks are connections it makes, of HTTP and of TCP: a backend
# that goes away is noticed and one that comes back, too.
checks() {
	backend
	local port=$NGX_PORT
	mp_env "$1"
	local prefix=("${MP_PREFIX[@]}")
	HAP_DEFAULTS="option httpchk GET /hello
	default-server check inter 100ms fall 2 rise 2"
	haproxy_start server
	nginx_end "$NGX_PID"
	wait_for 10 hap_status 503
	MP_PREFIX=()
	nginx_start backend
	wait_for 10 hap_status 200
	MP_PREFIX=("${prefix[@]}")
	same "served" "$(www_sum f5m)" \
		"$(curl -sS "http://127.0.0.1:$HAP_PORT/f5m" | sha)"
	haproxy_end
	grep -q 'Server nginx/one is DOWN' "$HAP_DIR"/std*
	grep -q 'Server nginx/one is UP' "$HAP_DIR"/std*
	nginx_end "$NGX_PID"
	haproxy_verify server
}
hap_status() {
	[[ $(curl -s -o "$MP_DIR/got" -w '%{http_code}' \
		"http://127.0.0.1:$HAP_PORT/hello") == "$1" ]]
}

@test "plain: bytes and log" { bytes plain 1; }
@test "on: bytes and log" { bytes on 1; }
@test "off: bytes and log" { bytes off 1; }
@test "refused: bytes and log" { bytes refused 1; }
@test "on: bytes and log, 2 threads, no reuse" { bytes on 2 "" never; }
@test "off: bytes and log, 2 threads" { bytes off 2; }
@test "on: bytes and log, splice" { bytes on 1 "option splice-auto"; }
@test "off: bytes and log, splice" { bytes off 1 "option splice-auto"; }

@test "plain: load, 2 threads" { load_both plain 2; }
@test "on: load" { load_both on 1; }
@test "on: load, 2 threads" { load_both on 2; }
@test "off: load, 2 threads" { load_both off 2; }

@test "plain: -sf under load" { takeover plain 1; }
@test "plain: -sf under load, 2 threads" { takeover plain 2; }
@test "on: -sf under load" { takeover on 1; }
@test "on: -sf under load, 2 threads" { takeover on 2; }
@test "off: -sf under load" { takeover off 1; }

@test "plain: master-worker reload under load" { reload plain 1; }
@test "plain: master-worker reload, 2 threads" { reload plain 2; }
@test "on: master-worker reload under load" { reload on 1; }
@test "on: master-worker reload, 2 threads" { reload on 2; }
@test "refused: master-worker reload under load" { reload refused 1; }

@test "plain: maxconn" { queued plain; }
@test "on: maxconn" { queued on; }
@test "off: maxconn" { queued off; }

@test "plain: command socket" { admin plain; }
@test "on: command socket" { admin on; }
@test "off: command socket" { admin off; }

@test "plain: checks" { checks plain; }
@test "on: checks" { checks on; }
@test "off: checks" { checks off; }
