#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# nginx with the modules of Debian's package, each of which uses connections
# in a way of its own: TLS and HTTP/2, proxies and gateways, upgraded
# connections, filters, limits and timeouts, and the stream module. What
# clients see, and what nginx logs of it, is what plain nginx gives.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load servers

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

# modules WORKERS: nginx with conf/modules.conf, before a backend of all
# kinds. Sets WEB and the like to its ports.
modules() {
	local ports word conf
	backend
	mkdir -p "$MP_DIR/server/pages"
	mkdir -m 0777 "$MP_DIR/server/stored"
	: >"$MP_DIR/server/error.log"
	tls_make "$MP_DIR/server"
	printf 'a <!--#include virtual="/f612" --> b' \
		>"$MP_DIR/server/pages/page"
	printf '<!--#include virtual="/kept/bytes/70000" wait="yes" -->%s' \
		'<!--#include virtual="/kept/slow/9000" -->.' \
		>"$MP_DIR/server/pages/slow"
	touch -d 2020-01-01 "$MP_DIR"/server/pages/*
	read -r WEB TLS PROXIED SHORT HASTY STREAM STREAM_TLS DGRAM \
		< <(free_ports 8)
	conf=$(<"$MP_HERE/conf/modules.conf")
	local -A words=([DIR]=$MP_DIR/server [WWW]=$MP_WWW [PLAIN]=$WEB
		[TLS]=$TLS [PROXIED]=$PROXIED [SHORT]=$SHORT [HASTY]=$HASTY
		[HTTP]=$BACK_http [FASTCGI]=$BACK_fastcgi [SCGI]=$BACK_scgi
		[UWSGI]=$BACK_uwsgi)
	for word in "${!words[@]}"; do
		conf=${conf//@$word@/${words[$word]}}
	done
	printf '%s\n' "$conf" >"$MP_DIR/server/modules.conf"
	NGX_HTTP="include $MP_DIR/server/modules.conf;"
	NGX_WORKERS=${1:-1}
	nginx_start server
	NGX_URL=http://127.0.0.1:$WEB SRV_DIR=$NGX_DIR
}

# Ends nginx; then its access log is whole and is compared as well.
modules_end() {
	nginx_end "$NGX_PID"
	backend_end
	[[ ! -e $NGX_DIR/access.log ]] || sort "$NGX_DIR/access.log"
	sed -nE '/\[(emerg|alert|crit|error)\]/{
		s/^[0-9/]+ [0-9:]+ //; s/[0-9]+#[0-9]+: (\*[0-9]+ )?//
		s/127.0.0.1:[0-9]+/ADDRESS/g; s,/[^ ]*/server/,/,g
		s/while (sending to client|reading upstream)/under way/; p }' "$NGX_DIR/error.log" |
		grep -v 'prematurely closed' | sort
	session_verify server >&2
}

# show WORD...: a word that begins with a slash is a path, any other one an
# option of curl. One connection; for each path the status, the length and the
# sum of what came.
show() {
	local word i=0 args=() paths=()
	rm -f "$MP_DIR"/show.*
	for word; do
		[[ $word == /* ]] || {
			args+=("$word")
			continue
		}
		args+=(-o "$MP_DIR/show.${#paths[@]}" "$NGX_URL$word")
		paths+=("$word")
	done
	get -w '%{http_code} %{size_download} %{errormsg}\n' "${args[@]}"
	for word in "${paths[@]}"; do
		[[ ! -e $MP_DIR/show.$i ]] ||
			echo "$word $(sha "$MP_DIR/show.$i")"
		i=$((i + 1))
	done
}

all_files() {
	local file
	for file in small.html f612 f64k f5m; do
		printf '%s%s\n' "$1" "$file"
	done
}

tls() {
	local version
	modules "$1"
	NGX_URL=https://127.0.0.1:$TLS
	for version in --http1.1 --http2; do
		# shellcheck disable=SC2046 # words
		show $version $(all_files /) $(all_files /sent/) $(all_files /threads/) \
			$(all_files /zipped/) /kept/bytes/300000 \
			/unbuffered/chunked/900000 /none /hello
		get $version -T "$MP_WWW/f5m" "$NGX_URL/stored/up"
		sha "$MP_DIR/server/stored/up"
		get $version -T - "$NGX_URL/kept/sum" <"$MP_WWW/f5m"
		get $version -r 100-200000 "$NGX_URL/f5m" | sha
		get $version --limit-rate 20M "$NGX_URL/f5m" | sha
	done
	show_parallel
	client tls_resume "$TLS" "$NGX_DIR/cert.pem" , tls_broken "$TLS"
	get -w '%{http_code}' -o /dev/null "http://127.0.0.1:$TLS/hello"
	modules_end
}

# Many streams of one HTTP/2 connection at once.
show_parallel() {
	local i args=()
	for i in 0 1 2 3 4 5 6 7 8 9; do
		args+=(-o "$MP_DIR/p$i" "$NGX_URL/f5m"
			-o "$MP_DIR/q$i" "$NGX_URL/kept/bytes/${i}0000")
	done
	get --no-progress-meter -Z --http2 "${args[@]}"
	sha "$MP_DIR"/[pq]?
}

proxied() {
	local way file
	modules "$1"
	for way in kept fresh unbuffered buffers; do
		show /$way/{bytes/{0,1,1000,70000,5000000},chunked/1000000} \
			/$way/{close/300000,slow/80000,bytes/5,none,reset/0}
		show /$way/cut/50000 /$way/bytes/6
		get -I "$NGX_URL/$way/bytes/1000" | grep -v ^Date
		for file in f612 f64k f5m; do
			get --data-binary "@$MP_WWW/$file" "$NGX_URL/$way/sum"
		done
		get -T - "$NGX_URL/$way/sum" <"$MP_WWW/f5m"
		get --data-binary "@$MP_WWW/f64k" "$NGX_URL/$way/echo" | sha
		get --data-binary "@$MP_WWW/f64k" "$NGX_URL/$way/early"
		client slow_upload "$WEB" /$way/sum 200000 , \
			slow_upload "$WEB" /$way/sum 100000 chunked , \
			expect "$WEB" /$way/sum , \
			slow_reader "$WEB" /$way/bytes/1000000
	done
	show /limited/bytes/300000 /second/bytes/1000 /second/chunked/100000 \
		/refused/x /impatient/hang/0 /kept/accel/0 /kept/bytes/7
	show /cached/bytes/90000 /cached/bytes/90000 /cached/chunked/900 \
		/sliced/f5m
	get -D - -o /dev/null "$NGX_URL/cached/bytes/90000" | grep X-Cache
	get --data-binary "@$MP_WWW/f100m" "$NGX_URL/kept/sum"
	get --data-binary "@$MP_WWW/f64k" "$NGX_URL/mirrored/sum"
	get --data-binary "@$MP_WWW/f5m" "$NGX_URL/kept_file/sum"
	show /allowed/f64k /denied/f64k
	modules_end
}

gateways() {
	local way
	modules "$1"
	for way in fastcgi scgi uwsgi; do
		show /$way/{0,1,612,70000,5000000,status/201,status/500,x}
		get -D - -o /dev/null "$NGX_URL/$way/5" | grep -v ^Date
		get -D - -o /dev/null --data-binary "@$MP_WWW/f5m" \
			"$NGX_URL/$way/1" | grep X-
		get -D - -o /dev/null -T - "$NGX_URL/$way/100" \
			<"$MP_WWW/f64k" | grep X-
		client slow_reader "$WEB" /$way/2000000
	done
	modules_end
}

filters() {
	local way
	modules "$1"
	# shellcheck disable=SC2046 # words
	for way in threads threads_only direct sent cork opened buffered \
		replaced tried; do
		show $(all_files /$way/)
		show -r 70000-900000 /$way/f5m
	done
	client slow_reader "$WEB" /sent/f5m
	show --compressed /zipped/small.html /zipped/f64k /zipped/f5m
	get --compressed -D - -o /dev/null "$NGX_URL/zipped/f64k" |
		grep -i encoding
	show /included/page /included/slow /listed/ /gone /missing /elsewhere \
		/nothing /tried/none
	get -X MOVE -H "Destination: /stored/b" "$NGX_URL/stored/a" | tail -n 1
	get --unix-socket "$NGX_DIR/web.sock" "$NGX_URL/f64k" | sha
	show /threads/f100m /sent/f100m
	client proxy_header "$PROXIED"
	modules_end
}

upgraded() {
	modules "$1"
	client upgrade "$WEB" /upgrade , upgrade "$WEB" /upgrade
	modules_end
}

# limit_conn counts connections that are served, limit_req has one token a
# minute; the pace is nginx's own timer.
limits() {
	local job
	modules "$1"
	rm -f "$MP_DIR/few"
	get -o "$MP_DIR/few" "$NGX_URL/few/f64k" 3>&- &
	job=$!
	wait_for 5 test -s "$MP_DIR/few"
	show /few/f612
	wait "$job"
	sha "$MP_DIR/few"
	show /seldom/f612 /seldom/f612
	client timed "$WEB" 0.8 4 'GET /paced/f5m HTTP/1.0\r\nRange: ' \
		'bytes=0-1000000\r\n\r\n' | tail -n 1
	show --data-binary "@$MP_WWW/f5m" /small/sum /kept/sum
	show -T - /small/sum <"$MP_WWW/f5m"
	modules_end
}

timeouts() {
	local post='POST /kept/sum HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n'
	modules "$1"
	client timed "$HASTY" 0.25 2 ''
	client timed "$HASTY" 0.25 2 'GET /hel'
	client timed "$HASTY" 0.25 2 "$post"'\r\n' 'abc'
	client timed "$HASTY" 0.25 2 'GET /hello HTTP/1.1\r\nHost: a\r\n\r\n'
	client timed "$HASTY" 0 2 "$(printf \
		'GET /hello HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n%.0s' 1 2 3 4 5)"
	client not_reading "$HASTY" /f100m
	client not_reading "$HASTY" /reset/f100m
	client timed "$HASTY" 0 2 \
		"${post/kept/small}Content-Length: 90000\\r\\n\\r\\nabc" 'def'
	client timed "$HASTY" 0 2 \
		'POST /small/sum HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\nabc' 'def'
	modules_end
}

@test "plain: TLS and HTTP/2" { as_plain plain tls 1; }
@test "on: TLS and HTTP/2" { as_plain on tls 1; }
@test "off: TLS and HTTP/2" { as_plain off tls 1; }
@test "refused: TLS and HTTP/2" { as_plain refused tls 1; }

@test "plain: proxies" { as_plain plain proxied 1; }
@test "on: proxies" { as_plain on proxied 1; }
@test "off: proxies" { as_plain off proxied 1; }

@test "plain: FastCGI, SCGI, uwsgi" { as_plain plain gateways 1; }
@test "on: FastCGI, SCGI, uwsgi" { as_plain on gateways 1; }
@test "off: FastCGI, SCGI, uwsgi" { as_plain off gateways 1; }

@test "plain: ways to send a file" { as_plain plain filters 1; }
@test "on: ways to send a file" { as_plain on filters 1; }
@test "off: ways to send a file" { as_plain off filters 1; }

@test "plain: an upgraded connection" { as_plain plain upgraded 1; }
@test "on: an upgraded connection" { as_plain on upgraded 1; }
@test "off: an upgraded connection" { as_plain off upgraded 1; }

@test "plain: limits" { as_plain plain limits 1; }
@test "on: limits" { as_plain on limits 1; }
@test "off: limits" { as_plain off limits 1; }

@test "plain: timeouts" { as_plain plain timeouts 1; }
@test "on: timeouts" { as_plain on timeouts 1; }
@test "off: timeouts" { as_plain off timeouts 1; }

