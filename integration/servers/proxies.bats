#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 900
# Servers and proxies that are none of web.bats: h2o, hitch, tinyproxy,
# privoxy, dante, sslh. Each answers as it does plainly.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load ../lib
load ../nginx
load ../servers

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

h2o_session() {
	local PORT TLS
	backend
	read -r PORT TLS < <(free_ports 2)
	server_dir
	cat >"$SRV_DIR/conf" <<-CONF
		num-threads: $1
		error-log: $SRV_DIR/error.log
		pid-file: $SRV_DIR/pid
		listen:
		  host: 127.0.0.1
		  port: $PORT
		listen:
		  host: 127.0.0.1
		  port: $TLS
		  ssl:
		    certificate-file: $SRV_DIR/cert.pem
		    key-file: $SRV_DIR/key.pem
		hosts:
		  default:
		    paths:
		      /up/:
		        proxy.reverse.url: http://127.0.0.1:$BACK_http/
		      /:
		        file.dir: $MP_WWW
	CONF
	serve server h2o -c "$SRV_DIR/conf"
	wait_for 10 port_answers "$PORT" >&2
	web_files "http://127.0.0.1:$PORT"
	web_files "https://127.0.0.1:$TLS"
	web_backend "http://127.0.0.1:$PORT/up"
	web_backend "https://127.0.0.1:$TLS/up"
	web_raw "$PORT"
	client slow_reader "$PORT" /f5m , aborted "$PORT" /f5m , \
		slow_upload "$PORT" /up/sum , crowd "$PORT" /f612 , \
		tls_resume "$TLS" "$SRV_DIR/cert.pem"
	web_load "$PORT" /f612 "$MP_WWW/f612"
	web_load "$PORT" /f64k "$MP_WWW/f64k"
	unserve TERM 0
	backend_end
	session_served server >&2
}

hitch_session() {
	local PORT
	backend
	PORT=$(free_ports 1)
	server_dir
	serve server hitch -f "[127.0.0.1]:$PORT" \
		-b "[127.0.0.1]:$BACK_http" --workers="$1" --user=nobody \
		--ocsp-dir= "$SRV_DIR/both.pem"
	wait_for 10 port_answers "$PORT" >&2
	web_backend "https://127.0.0.1:$PORT"
	client tls_broken "$PORT" , \
		tls_resume "$PORT" "$SRV_DIR/cert.pem" /bytes/64000
	unserve TERM 0
	backend_end
	session_served server >&2
}

# by_proxy URL PORT: what a client of a proxy gets.
by_proxy() {
	local path
	for path in bytes/{0,1,1000,70000,3000000} chunked/300000 slow/40000; do
		get -x "$2" "$1/$path" | sha
		get -p -x "$2" "$1/$path" | sha
	done
	get -x "$2" "$1"/bytes/{10,2000}{,,,} | sha
	get -x "$2" --data-binary "@$MP_WWW/f5m" "$1/sum"
	get -p -x "$2" --data-binary "@$MP_WWW/f5m" "$1/sum"
}

tinyproxy_session() {
	local PORT
	backend
	PORT=$(free_ports 1)
	server_dir
	printf '%s\n' "Port $PORT" 'Listen 127.0.0.1' 'Timeout 20' \
		'MaxClients 300' 'LogLevel Error' 'User root' \
		"LogFile \"$SRV_DIR/log\"" >"$SRV_DIR/conf"
	serve server tinyproxy -d -c "$SRV_DIR/conf"
	wait_for 10 port_answers "$PORT" >&2
	by_proxy "http://127.0.0.1:$BACK_http" "http://127.0.0.1:$PORT"
	unserve TERM 0
	backend_end
	silent_verify server >&2
}

privoxy_session() {
	local PORT
	backend
	PORT=$(free_ports 1)
	server_dir
	printf '%s\n' "listen-address 127.0.0.1:$PORT" 'toggle 0' \
		'keep-alive-timeout 5' 'socket-timeout 20' >"$SRV_DIR/conf"
	serve server privoxy --no-daemon "$SRV_DIR/conf"
	wait_for 10 port_answers "$PORT" >&2
	by_proxy "http://127.0.0.1:$BACK_http" "http://127.0.0.1:$PORT"
	unserve TERM 15
	backend_end
	silent_verify server >&2
}

danted_session() {
	local PORT
	backend
	PORT=$(free_ports 1)
	server_dir
	cat >"$SRV_DIR/conf" <<-CONF
		logoutput: $SRV_DIR/log
		internal: 127.0.0.1 port = $PORT
		external: 127.0.0.1
		clientmethod: none
		socksmethod: none
		client pass { from: 0/0 to: 0/0 }
		socks pass { from: 0/0 to: 0/0 }
	CONF
	serve server danted -f "$SRV_DIR/conf" -p "$SRV_DIR/pid"
	wait_for 10 port_answers "$PORT" >&2
	by_proxy "http://127.0.0.1:$BACK_http" "socks5://127.0.0.1:$PORT"
	unserve TERM 0
	backend_end
	silent_verify server >&2
}

sslh_session() {
	local PORT
	backend
	PORT=$(free_ports 1)
	server_dir
	serve server sslh -f -n -p "127.0.0.1:$PORT" \
		--http "127.0.0.1:$BACK_http" --anyprot "127.0.0.1:$BACK_echo" \
		-P "$SRV_DIR/pid"
	wait_for 10 port_answers "$PORT" >&2
	web_backend "http://127.0.0.1:$PORT"
	client echo_many "$PORT"
	unserve TERM 0
	backend_end
	silent_verify server >&2
}

@test "plain: h2o" { need h2o; as_plain plain h2o_session 1; }
@test "on: h2o" { need h2o; as_plain on h2o_session 1; }
@test "off: h2o" { need h2o; as_plain off h2o_session 1; }

@test "plain: h2o, 2 threads" { need h2o; as_plain plain h2o_session 2; }
@test "on: h2o, 2 threads" { need h2o; as_plain on h2o_session 2; }
@test "off: h2o, 2 threads" { need h2o; as_plain off h2o_session 2; }

@test "plain: hitch" { need hitch; as_plain plain hitch_session 1; }
@test "on: hitch" { need hitch; as_plain on hitch_session 1; }
@test "off: hitch" { need hitch; as_plain off hitch_session 1; }

@test "plain: tinyproxy" { need tinyproxy; as_plain plain tinyproxy_session; }
@test "on: tinyproxy" { need tinyproxy; as_plain on tinyproxy_session; }
@test "off: tinyproxy" { need tinyproxy; as_plain off tinyproxy_session; }

@test "plain: privoxy" { need privoxy; as_plain plain privoxy_session; }
@test "on: privoxy" { need privoxy; as_plain on privoxy_session; }
@test "off: privoxy" { need privoxy; as_plain off privoxy_session; }

@test "plain: dante" { need danted; as_plain plain danted_session; }
@test "on: dante" { need danted; as_plain on danted_session; }
@test "off: dante" { need danted; as_plain off danted_session; }

@test "plain: sslh" { need sslh; as_plain plain sslh_session; }
@test "on: sslh" { need sslh; as_plain on sslh_session; }
@test "off: sslh" { need sslh; as_plain off sslh_session; }
