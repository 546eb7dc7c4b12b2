#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every byte a client gets from nginx is the byte it gets from plain nginx:
# files of all sizes, keep-alive, close, pipelined, ranges, HEAD, errors,
# uploads through a second nginx; with 1 and 2 workers. A plain nginx with
# the same files answers every request first and is the oracle.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }

setup() {
	mp_setup
	MP_PREFIX=()
	nginx_start oracle
	ORACLE=$NGX_PORT ORACLE_PID=$NGX_PID
}
teardown() { mp_teardown; }

# server_start MODE WORKERS [CONF]: the server, the second nginx behind it.
server_start() {
	mp_env "$1"
	nginx_start second
	SECOND_PID=$NGX_PID
	NGX_UPSTREAM=$NGX_PORT NGX_WORKERS=$2 NGX_SERVER=${3:-}
	nginx_start server
	MP_STARTS=2
}

server_end() {
	nginx_end "$NGX_PID"
	nginx_end "$SECOND_PID"
	nginx_end "$ORACLE_PID"
	nginx_log_clean server
	nginx_log_clean second
	mp_verify "$MP_DIR"/{server,second}/{stderr,error.log}
}

# fetch PORT CURL-ARGUMENT...: headers without Date, status, sum of the body.
# @ in an argument is the server's address.
fetch() {
	local url="http://127.0.0.1:$1" out=$MP_DIR/fetched
	shift
	rm -f "$out".*
	curl -sS -m 60 -D "$out.headers" "${@//@/$url}" >"$out.body"
	printf 'curl exit %s\n' $?
	grep -vi '^date:' "$out.headers"
	[[ " $* " == *" -I "* ]] || sha "$out.body"
}

# alike WHAT CURL-ARGUMENT...: the server answers as the oracle does.
alike() {
	local what=$1
	shift
	same "$what" "$(fetch "$ORACLE" "$@")" "$(fetch "$NGX_PORT" "$@")"
}

# raw_get PORT ARGUMENT...: sum and size of what came, and how it ended.
raw_get() {
	"$PY" "$MP_HERE/raw.py" "$@" >"$MP_DIR/raw"
	echo "$(sha "$MP_DIR/raw") $(wc -c <"$MP_DIR/raw") bytes," \
		"$(tail -n 1 "$MP_DIR/raw" | grep -ao 'end: .*')"
}

alike_raw() {
	local what=$1
	shift
	same "$what" "$(raw_get "$ORACLE" "$@")" "$(raw_get "$NGX_PORT" "$@")"
}

# file_is NAME CURL-ARGUMENT...: what arrives is what lies on the disk.
file_is() {
	local name=$1
	shift
	same "$name" "$(www_sum "$name")" \
		"$(curl -sS -m 60 "$@" "http://127.0.0.1:$NGX_PORT/$name" | sha)"
}

# Files read by nginx's own threads: 32 of them in the same process.
THREADS="location /threads/ { alias @WWW@/; aio threads; sendfile on; }"

files() {
	local file
	server_start "$1" "$2" "${THREADS/@WWW@/$MP_WWW}"
	for file in small.html f612 f64k f5m; do
		file_is "$file"
		file_is "$file" -H 'Connection: close'
		alike "$file" "@/$file"
	done
	file_is f100m
	file_is f612 --http1.0
	for file in small.html f612 f64k f5m; do
		alike "sendfile $file" "@/sendfile/$file"
		same "threads $file" "$(www_sum "$file")" "$(curl -sS -m 60 \
			"http://127.0.0.1:$NGX_PORT/threads/$file" | sha)"
		alike "HEAD $file" -I "@/$file"
	done
	same "sendfile f100m" "$(www_sum "f100m")" "$(curl -sS -m 60 \
		"http://127.0.0.1:$NGX_PORT/sendfile/f100m" | sha)"
	server_end
}

requests() {
	server_start "$1" "$2"
	alike "16 on one connection" "@/"{f612,f64k}{,,,,,,,}
	alike "404" @/none
	alike "404 on a kept connection" @/none @/f612
	alike "405" -X DELETE @/f612
	alike "400" -H "Host: a b" @/f612
	alike "416" -r 700- @/f612
	alike "range" -r 10-99 @/f612
	alike "last bytes" -r -1 @/f5m
	alike "middle of a large file" -r 1048575-3145729 @/f100m
	alike "several ranges" -r 0-9,100-109 @/f612
	alike "304" -H "If-None-Match: $(curl -sI \
		"http://127.0.0.1:$ORACLE/f612" | sed -n 's/^ETag: \(.*\)\r/\1/p')" \
		@/f612
	alike "414" "@/$(printf '%09000d' 0)"
	alike "large headers" -H "X: $(printf '%07000d' 0)" @/f612
	server_end
}

raw() {
	local sixteen=(/hello /f612 /hello /none)
	server_start "$1" "$2"
	alike_raw "pipelined small" /hello --repeat 16
	alike_raw "pipelined mixed" "${sixteen[@]}" --repeat 4
	alike_raw "pipelined 64 KiB" /f64k --repeat 16
	alike_raw "pipelined in odd pieces" "${sixteen[@]}" --repeat 4 --piece 37
	alike_raw "dribbled" /f612 --piece 1 --pause 0.002
	alike_raw "half close" /f64k --half-close --method GET
	alike_raw "half close and nothing" /x --text '' --half-close
	alike_raw "small window" /f5m --rcvbuf 4096
	alike_raw "garbage" /x --text 'garbage\r\n\r\n'
	alike_raw "a binary hello" /x --text '\x16\x03\x01\x02\x00\x01\x00'
	# Clients that go away in the middle must not disturb the next one.
	for _ in 1 2 3 4 5 6 7 8; do
		"$PY" "$MP_HERE/raw.py" "$NGX_PORT" /f5m --abort-after 100000
		"$PY" "$MP_HERE/raw.py" "$NGX_PORT" /f5m --abort-after 0
	done
	file_is f5m
	server_end
}

proxied() {
	local name url
	server_start "$1" "$2"
	url=http://127.0.0.1:$NGX_PORT
	for name in f612 f64k f5m; do
		curl -sS -m 60 -f --data-binary "@$MP_WWW/$name" "$url/upload/$name"
		same "uploaded $name" "$(www_sum "$name")" \
			"$(sha "$MP_DIR/second/stored/$name")"
		same "through the proxy $name" "$(www_sum "$name")" \
			"$(curl -sS -m 60 "$url/proxy/$name" | sha)"
	done
	curl -sS -m 60 -f -T - "$url/stored/chunked" <"$MP_WWW/f5m"
	same "chunked upload" "$(www_sum "f5m")" \
		"$(sha "$MP_DIR/server/stored/chunked")"
	curl -sS -m 60 -f -H 'Expect: 100-continue' -T "$MP_WWW/f64k" \
		"$url/stored/expected"
	same "100-continue" "$(www_sum "f64k")" \
		"$(sha "$MP_DIR/server/stored/expected")"
	same "large file through the proxy" "$(www_sum "f100m")" \
		"$(curl -sS -m 60 "$url/proxy/f100m" | sha)"
	server_end
}

# nginx's own timer paces this answer: 64 KiB at 40 KiB/s, 1 to 2 s.
limited_rate() {
	local start=${EPOCHREALTIME/[.,]/} took
	server_start "$1" 1
	same "limit_rate" "$(www_sum "f64k")" \
		"$(curl -sS -m 20 "http://127.0.0.1:$NGX_PORT/slow/f64k" | sha)"
	took=$((${EPOCHREALTIME/[.,]/} - start))
	echo "took $took us"
	((took > 500000 && took < 4000000))
	server_end
}

tls() {
	local url port version name
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 \
		-set_serial 1 -subj /CN=localhost \
		-keyout "$MP_DIR/key" -out "$MP_DIR/cert" 2>/dev/null
	chmod 0644 "$MP_DIR/key"
	port=$(free_ports 1)
	server_start "$1" 1 "listen 127.0.0.1:$port ssl http2;
		ssl_certificate $MP_DIR/cert; ssl_certificate_key $MP_DIR/key;"
	url=https://127.0.0.1:$port
	for version in --http1.1 --http2; do
		for name in f612 f64k f5m; do
			same "TLS $version $name" "$(www_sum "$name")" \
				"$(curl -sS -k -m 60 $version "$url/$name" | sha)"
		done
		same "TLS $version kept" "$(cat "$MP_WWW"/f612{,,,} | sha)" \
			"$(curl -sS -k -m 60 $version "$url"/f612{,,,} | sha)"
	done
	server_end
}

@test "plain: files, 1 worker" { files plain 1; }
@test "on: files, 1 worker" { files on 1; }
@test "off: files, 1 worker" { files off 1; }
@test "refused: files, 1 worker" { files refused 1; }
@test "on: files, 2 workers" { files on 2; }
@test "off: files, 2 workers" { files off 2; }

@test "plain: kinds of requests, 1 worker" { requests plain 1; }
@test "on: kinds of requests, 1 worker" { requests on 1; }
@test "off: kinds of requests, 1 worker" { requests off 1; }
@test "refused: kinds of requests, 2 workers" { requests refused 2; }
@test "on: kinds of requests, 2 workers" { requests on 2; }
@test "off: kinds of requests, 2 workers" { requests off 2; }

@test "plain: pipelined, dribbled, half closed, aborted" { raw plain 1; }
@test "on: pipelined, dribbled, half closed, aborted" { raw on 1; }
@test "off: pipelined, dribbled, half closed, aborted" { raw off 1; }
@test "on: pipelined and the rest, 2 workers" { raw on 2; }
@test "off: pipelined and the rest, 2 workers" { raw off 2; }

@test "plain: uploads and a second nginx behind" { proxied plain 1; }
@test "on: uploads and a second nginx behind" { proxied on 1; }
@test "off: uploads and a second nginx behind" { proxied off 1; }
@test "refused: uploads and a second nginx behind" { proxied refused 1; }
@test "on: uploads and a second nginx, 2 workers" { proxied on 2; }

@test "plain: limit_rate" { limited_rate plain; }
@test "on: limit_rate" { limited_rate on; }
@test "off: limit_rate" { limited_rate off; }

@test "plain: TLS, HTTP/1.1 and HTTP/2" { tls plain; }
@test "on: TLS, HTTP/1.1 and HTTP/2" { tls on; }
@test "off: TLS, HTTP/1.1 and HTTP/2" { tls off; }
