#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# lighttpd, with one process and with two, by itself and as a proxy: files,
# TLS, HTTP/2, FastCGI, uploads; each answer is plain lighttpd's.

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

lighttpd_conf() {
	cat <<-CONF
		server.modules = ("mod_access", "mod_proxy", "mod_fastcgi",
			"mod_accesslog", "mod_openssl")
		server.document-root = "$MP_WWW"
		server.port = $1
		server.bind = "127.0.0.1"
		server.max-worker = $3
		server.errorlog = "$SRV_DIR/error.log"
		server.upload-dirs = ("$SRV_DIR")
		server.max-request-size = 100000
		server.stream-request-body = 1
		server.stream-response-body = 1
		accesslog.filename = "$SRV_DIR/access.log"
		accesslog.format = "%r %s"
		mimetype.assign = ("" => "application/octet-stream")
		\$SERVER["socket"] == "127.0.0.1:$2" {
			ssl.engine = "enable"
			ssl.pemfile = "$SRV_DIR/both.pem"
		}
		\$HTTP["url"] =~ "^/(bytes|chunked|slow|sum|close|early|upgrade)" {
			proxy.server = ("" => (("host" => "127.0.0.1",
				"port" => $BACK_http)))
			proxy.header = ("upgrade" => "enable")
		}
		fastcgi.server = ("/fastcgi" => (("host" => "127.0.0.1",
			"port" => $BACK_fastcgi, "check-local" => "disable")))
	CONF
}

lighttpd_session() {
	local port tls web
	backend
	read -r port tls < <(free_ports 2)
	SRV_DIR=$MP_DIR/server
	mkdir "$SRV_DIR"
	tls_make "$SRV_DIR"
	lighttpd_conf "$port" "$tls" "$1" >"$SRV_DIR/conf"
	serve server "$(type -P lighttpd)" -D -f "$SRV_DIR/conf"
	wait_for 10 port_answers "$port" >&2
	wait_for 10 port_answers "$tls" >&2
	for web in "http://127.0.0.1:$port" "https://127.0.0.1:$tls"; do
		web_files "$web"
		web_backend "$web"
		get "$web/fastcgi/70000" "$web/fastcgi/3" | sha
		get -D - -o "$MP_DIR/got" --data-binary "@$MP_WWW/f5m" \
			"$web/fastcgi/4" | grep -i '^x-'
	done
	client slow_reader "$port" /f5m , slow_upload "$port" /sum , \
		upgrade "$port" /upgrade , \
		slow_upload "$port" /sum 90000 chunked , \
		tls_resume "$tls" "$SRV_DIR/cert.pem" , aborted "$port" /f5m
	web_raw "$port"
	unserve TERM 0
	backend_end
	session_verify server >&2
}

lighttpd() {
	[[ -e /usr/lib/lighttpd/mod_openssl.so ]] ||
		skip "lighttpd-mod-openssl is not installed"
	as_plain "$1" lighttpd_session "$2"
}

@test "plain: lighttpd" { lighttpd plain 0; }
@test "on: lighttpd" { lighttpd on 0; }
@test "off: lighttpd" { lighttpd off 0; }
@test "refused: lighttpd" { lighttpd refused 0; }
@test "plain: lighttpd, 2 workers" { lighttpd plain 2; }
@test "on: lighttpd, 2 workers" { lighttpd on 2; }
@test "off: lighttpd, 2 workers" { lighttpd off 2; }
