#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# nginx's stream module: TCP and UDP to an echo backend, TLS ended here, a
# choice by what is spoken, a rate, and an upstream that is not there.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load servers

setup() {
	mp_setup
	MP_WWW=$MP_DIR
}
teardown() { mp_teardown; }

MODULE=/usr/lib/nginx/modules/ngx_stream_module.so

stream() {
	local port tls dgram seen none paced
	backend
	mkdir -p "$MP_DIR/server"
	: >"$MP_DIR/server/error.log"
	mkdir -m 0777 "$MP_DIR/server/stored"
	tls_make "$MP_DIR/server"
	read -r port tls dgram seen none paced < <(free_ports 6)
	NGX_WORKERS=$1
	NGX_MAIN="load_module $MODULE;
	stream {
		proxy_connect_timeout 2s;
		proxy_half_close on;
		upstream echo {
			server 127.0.0.1:9 max_fails=0 down;
			server 127.0.0.1:$BACK_echo;
		}
		map \$ssl_preread_protocol \$chosen {
			'' echo;
			default 127.0.0.1:$tls;
		}
		log_format short '\$protocol \$status \$bytes_received \$bytes_sent';
		access_log $MP_DIR/server/stream.log short;
		server { listen 127.0.0.1:$port; proxy_pass echo; }
		server {
			listen 127.0.0.1:$tls ssl;
			ssl_certificate $MP_DIR/server/cert.pem;
			ssl_certificate_key $MP_DIR/server/key.pem;
			proxy_pass echo;
		}
		server {
			listen 127.0.0.1:$dgram udp reuseport;
			proxy_pass 127.0.0.1:$BACK_datagram;
			proxy_timeout 1s;
		}
		server {
			listen 127.0.0.1:$seen;
			ssl_preread on;
			proxy_pass \$chosen;
		}
		server { listen 127.0.0.1:$none; proxy_pass 127.0.0.1:9; }
		server {
			listen 127.0.0.1:$paced;
			proxy_download_rate 1m;
			proxy_upload_rate 1m;
			proxy_pass echo;
		}
	}"
	nginx_start server
	client echo "$port" , echo_many "$port" , echo_short "$port" , \
		aborts "$port" , echo "$tls" 3000000 "$NGX_DIR/cert.pem" , \
		datagrams "$dgram" , datagrams "$dgram" , \
		echo "$seen" 1000000 "$NGX_DIR/cert.pem" , \
		echo "$seen" 500000 , echo "$paced" 1500000 , ended "$none" , \
		tls_broken "$tls"
	nginx_end "$NGX_PID"
	backend_end
	# How far the aborted ones got is chance.
	grep -vE 'TCP 200 [0-9]+000 ' "$NGX_DIR/stream.log" | sort
	session_verify server >&2
}

streams() {
	[[ -e $MODULE ]] || skip "libnginx-mod-stream is not installed"
	as_plain "$1" stream "$2"
}

@test "plain: streams" { streams plain 1; }
@test "on: streams" { streams on 1; }
@test "off: streams" { streams off 1; }
@test "refused: streams" { streams refused 1; }
@test "on: streams, 2 workers" { streams on 2; }
