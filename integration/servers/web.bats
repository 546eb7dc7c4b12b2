#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 900
# Web servers and proxies beyond those of `make check`: Apache with both of
# its threaded ways to serve, Squid, Varnish, nghttpx, PHP's FastCGI manager,
# stunnel. Each answers as it does plainly.

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

apache_conf() {
	local module modules=/usr/lib/apache2/modules
	cat <<-CONF
		ServerRoot $SRV_DIR
		PidFile $SRV_DIR/pid
		DefaultRuntimeDir $SRV_DIR
		Mutex pthread
		ErrorLog $SRV_DIR/error.log
		ServerName localhost
		ServerTokens Prod
		Listen 127.0.0.1:$PORT
		Listen 127.0.0.1:$TLS
	CONF
	for module in "mpm_$1" authz_core ssl socache_shmcb http2 proxy \
		proxy_http deflate; do
		echo "LoadModule ${module}_module $modules/mod_$module.so"
	done
	((EUID != 0)) || printf 'User www-data\nGroup www-data\n'
	cat <<-CONF
		StartServers 2
		$([[ $1 == prefork ]] || echo ThreadsPerChild 8)
		MaxRequestWorkers 32
		KeepAliveTimeout 2
		DocumentRoot $MP_WWW
		<Directory />
			Require all granted
		</Directory>
		Protocols h2 http/1.1
		ProxyPass /up/ http://127.0.0.1:$BACK_http/
		<VirtualHost 127.0.0.1:$TLS>
			SSLEngine on
			SSLCertificateFile $SRV_DIR/cert.pem
			SSLCertificateKeyFile $SRV_DIR/key.pem
		</VirtualHost>
	CONF
}

apache() {
	local PORT TLS
	backend
	read -r PORT TLS < <(free_ports 2)
	server_dir
	apache_conf "$1" >"$SRV_DIR/conf"
	serve server apache2 -DFOREGROUND -f "$SRV_DIR/conf"
	wait_for 10 port_answers "$PORT" >&2
	web_files "http://127.0.0.1:$PORT"
	web_files "https://127.0.0.1:$TLS"
	web_backend "http://127.0.0.1:$PORT/up"
	web_backend "https://127.0.0.1:$TLS/up"
	web_raw "$PORT"
	client slow_reader "$PORT" /f5m , aborted "$PORT" /f5m , \
		slow_upload "$PORT" /up/sum , \
		tls_resume "$TLS" "$SRV_DIR/cert.pem"
	web_load "$PORT" /f612 "$MP_WWW/f612"
	kill -USR1 "$SRV_PID"
	web_load "$PORT" /f64k "$MP_WWW/f64k"
	unserve TERM 0
	backend_end
	"$2" server >&2
}

squid() {
	local PORT TLS
	backend
	PORT=$(free_ports 1)
	server_dir
	cat >"$SRV_DIR/conf" <<-CONF
		http_port 127.0.0.1:$PORT accel defaultsite=localhost
		cache_peer 127.0.0.1 parent $BACK_http 0 no-query originserver
		http_access allow all
		cache_mem 16 MB
		pid_filename $SRV_DIR/pid
		access_log stdio:$SRV_DIR/access.log
		cache_log $SRV_DIR/cache.log
		coredump_dir $SRV_DIR
		shutdown_lifetime 0 seconds
		max_filedescriptors 4096
		pinger_enable off
		visible_hostname localhost

	CONF
	serve server "$(type -P squid)" -N -f "$SRV_DIR/conf"
	wait_for 20 port_answers "$PORT" >&2
	# Twice: from the backend, and from memory.
	web_backend "http://127.0.0.1:$PORT"
	web_backend "http://127.0.0.1:$PORT"
	client slow_reader "$PORT" /bytes/1000000 , aborted "$PORT" /bytes/999999
	unserve TERM 0
	backend_end
	session_verify server >&2
}

varnish() {
	local PORT
	backend
	PORT=$(free_ports 1)
	server_dir
	serve server varnishd -F -a "127.0.0.1:$PORT" -n "$SRV_DIR/work" \
		-b "127.0.0.1:$BACK_http" -s malloc,32m -j none \
		-p thread_pools=1 -p thread_pool_min=10
	wait_for 30 port_answers "$PORT" >&2
	wait_for 10 varnish_serves >&2
	web_backend "http://127.0.0.1:$PORT"
	web_backend "http://127.0.0.1:$PORT"
	client slow_reader "$PORT" /bytes/1000000 , aborted "$PORT" /bytes/999999
	unserve TERM 0
	backend_end
	silent_verify server >&2
}
varnish_serves() { curl -s -f -o "$MP_DIR/got" "http://127.0.0.1:$PORT/bytes/1"; }

nghttpx_session() {
	local PORT TLS
	backend
	read -r PORT TLS < <(free_ports 2)
	server_dir
	serve server nghttpx --conf=/dev/null -f "127.0.0.1,$PORT;no-tls" -f "127.0.0.1,$TLS" \
		-b "127.0.0.1,$BACK_http" --workers="$1" --no-ocsp \
		--accesslog-file=/dev/null --errorlog-file="$SRV_DIR/error.log" \
		"$SRV_DIR/key.pem" "$SRV_DIR/cert.pem"
	wait_for 10 port_answers "$PORT" >&2
	web_backend "http://127.0.0.1:$PORT"
	web_backend "https://127.0.0.1:$TLS"
	get --http2 -Z --no-progress-meter -o "$MP_DIR/a" -o "$MP_DIR/b" \
		"https://127.0.0.1:$TLS/bytes/"{300000,4000000}
	sha "$MP_DIR"/[ab]
	client slow_reader "$PORT" /bytes/1000000 , aborted "$PORT" /bytes/999999 , \
		tls_broken "$TLS"
	unserve QUIT 0
	backend_end
	session_served server >&2
}

# The preload is PHP's; a plain nginx asks it.
php() {
	local PORT prefix=("${MP_PREFIX[@]}")
	PORT=$(free_ports 1)
	mkdir -p "$MP_DIR/server"
	printf '<?php header("X-Size: " . strlen(file_get_contents(%s)));
		echo str_repeat(md5($_SERVER["QUERY_STRING"]),
			(int)$_GET["n"]);' '"php://input"' >"$MP_DIR/server/a.php"
	printf '%s\n' '[global]' "error_log = $MP_DIR/server/error.log" \
		'daemonize = no' 'events.mechanism = epoll' '[www]' \
		"listen = 127.0.0.1:$PORT" 'user = www-data' \
		'pm = static' 'pm.max_children = 2' >"$MP_DIR/server/conf"
	chmod -R a+rX "$MP_DIR"
	serve server "$(compgen -c php-fpm | head -n 1)" -F -y "$MP_DIR/server/conf"
	wait_for 10 port_answers "$PORT" >&2
	MP_PREFIX=()
	NGX_SERVER="location ~ [.]php\$ {
		include /etc/nginx/fastcgi_params;
		fastcgi_param SCRIPT_FILENAME $MP_DIR/server/a.php;
		fastcgi_pass 127.0.0.1:$PORT; }"
	local php=$SRV_PID
	nginx_start front
	MP_PREFIX=("${prefix[@]}")
	local n
	for n in 0 1 3000 90000; do
		curl -sS -m 20 "http://127.0.0.1:$NGX_PORT/a.php?n=$n" | sha
		curl -sS -m 20 -D - -o /dev/null --data-binary \
			"@$MP_WWW/f64k" \
			"http://127.0.0.1:$NGX_PORT/a.php?n=$n" | grep X-Size
	done
	nginx_end "$NGX_PID"
	unserve QUIT 0 "$php"
	silent_verify server >&2
}

# Threads that wait by poll().
stunnel_session() {
	local PORT
	backend
	PORT=$(free_ports 1)
	server_dir
	printf '%s\n' 'foreground = yes' 'pid =' 'debug = err' '[echo]' \
		"accept = 127.0.0.1:$PORT" "connect = 127.0.0.1:$BACK_echo" \
		"cert = $SRV_DIR/both.pem" >"$SRV_DIR/conf"
	serve server stunnel4 "$SRV_DIR/conf"
	wait_for 10 port_answers "$PORT" >&2
	client echo "$PORT" 3000000 "$SRV_DIR/cert.pem" , tls_broken "$PORT" , \
		echo "$PORT" 100000 "$SRV_DIR/cert.pem"
	unserve TERM 0
	backend_end
	silent_verify server >&2
}

@test "plain: apache, event" { need apache2; as_plain plain apache event silent_verify; }
@test "on: apache, event" { need apache2; as_plain on apache event silent_verify; }
@test "off: apache, event" { need apache2; as_plain off apache event silent_verify; }
@test "refused: apache, event" { need apache2; as_plain refused apache event silent_verify; }

@test "plain: apache, worker" { need apache2; as_plain plain apache worker silent_verify; }
@test "on: apache, worker" { need apache2; as_plain on apache worker silent_verify; }
@test "off: apache, worker" { need apache2; as_plain off apache worker silent_verify; }

@test "plain: apache, prefork" { need apache2; as_plain plain apache prefork silent_verify; }
@test "on: apache, prefork" { need apache2; as_plain on apache prefork silent_verify; }
@test "off: apache, prefork" { need apache2; as_plain off apache prefork silent_verify; }

@test "plain: squid" { need squid; as_plain plain squid; }
@test "on: squid" { need squid; as_plain on squid; }
@test "off: squid" { need squid; as_plain off squid; }

@test "plain: varnish" { need varnishd; as_plain plain varnish; }
@test "on: varnish" { need varnishd; as_plain on varnish; }
@test "off: varnish" { need varnishd; as_plain off varnish; }

@test "plain: nghttpx" { need nghttpx; as_plain plain nghttpx_session 1; }
@test "on: nghttpx" { need nghttpx; as_plain on nghttpx_session 1; }
@test "off: nghttpx" { need nghttpx; as_plain off nghttpx_session 1; }

@test "plain: nghttpx, 2 workers" { need nghttpx; as_plain plain nghttpx_session 2; }
@test "on: nghttpx, 2 workers" { need nghttpx; as_plain on nghttpx_session 2; }
@test "off: nghttpx, 2 workers" { need nghttpx; as_plain off nghttpx_session 2; }

@test "plain: php-fpm" { need php-fpm8.2; as_plain plain php; }
@test "on: php-fpm" { need php-fpm8.2; as_plain on php; }
@test "off: php-fpm" { need php-fpm8.2; as_plain off php; }

@test "plain: stunnel" { need stunnel4; as_plain plain stunnel_session; }
@test "on: stunnel" { need stunnel4; as_plain on stunnel_session; }
@test "off: stunnel" { need stunnel4; as_plain off stunnel_session; }

