#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 900
# Application servers: gunicorn with each kind of worker, uWSGI, Tornado,
# Twisted, Puma and Thin. One small application, the answers compared.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load ../lib
load ../servers

setup() { mp_setup; }
teardown() { mp_teardown; }

APPS=$BATS_TEST_DIRNAME

# app_session VERIFY COMMAND...: @PORT@ in the command is the port.
app_session() {
	local port url path verify=$1
	shift
	port=$(free_ports 1)
	url=http://127.0.0.1:$port
	head -c 3000000 /dev/zero >"$MP_DIR/body"
	serve server "${@//@PORT@/$port}"
	wait_for 20 port_answers "$port" >&2
	for path in bytes/{0,1,1000,70000,3000000} chunked/300000; do
		printf '%s ' "$path"
		get "$url/$path" | sha
	done
	get "$url"/bytes/{100,20000}{,,} | sha
	get --data-binary "@$MP_DIR/body" "$url/sum"
	client slow_reader "$port" /bytes/1000000 , aborted "$port" /bytes/999999
	get "$url/bytes/999999" >"$MP_DIR/999999"
	web_load "$port" /bytes/999999 "$MP_DIR/999999"
	unserve "${APP_SIGNAL:-TERM}" "${APP_STATUS:-0}"
	"$verify" server >&2
}

# Tornado's workers look each second whether they are to end, twice: with two
# seconds of grace some are killed, and leave no counters.
gunicorn_with() {
	need gunicorn
	PATH=/usr/bin:$PATH WEB_REQUESTS=100 as_plain "$1" app_session "$3" \
		/usr/bin/gunicorn --chdir "$APPS" -b 127.0.0.1:@PORT@ -w 2 \
		--threads 4 -k "$2" --graceful-timeout 6 app:app
}

uwsgi_with() {
	local plugin=/usr/lib/uwsgi/plugins/python3_plugin.so
	[[ -e $plugin ]] || skip "uwsgi-plugin-python3 is not installed"
	WEB_REQUESTS=100 as_plain "$1" app_session silent_verify \
		uwsgi_python3 --http-socket 127.0.0.1:@PORT@ --master \
		--wsgi-file "$APPS/app.py" --callable app --die-on-term \
		"${@:2}"
}

program() {
	"$PY" -c "import $2" 2>/dev/null || skip "python3-$2 is not installed"
	APP_STATUS=$3 WEB_REQUESTS=100 as_plain "$1" app_session \
		silent_verify "$PY" "$APPS/app.py" "$2" @PORT@
}

ruby_with() {
	need "$2"
	WEB_REQUESTS=100 APP_SIGNAL=INT APP_STATUS=$3 as_plain "$1" \
		app_session silent_verify "${@:4}"
}

@test "plain: gunicorn, sync" { gunicorn_with plain sync silent_verify; }
@test "on: gunicorn, sync" { gunicorn_with on sync silent_verify; }
@test "off: gunicorn, sync" { gunicorn_with off sync silent_verify; }

@test "plain: gunicorn, gthread" { gunicorn_with plain gthread session_served; }
@test "on: gunicorn, gthread" { gunicorn_with on gthread session_served; }
@test "off: gunicorn, gthread" { gunicorn_with off gthread session_served; }

@test "plain: gunicorn, gevent" { gunicorn_with plain gevent session_served; }
@test "on: gunicorn, gevent" { gunicorn_with on gevent session_served; }
@test "off: gunicorn, gevent" { gunicorn_with off gevent session_served; }

@test "plain: gunicorn, tornado" { gunicorn_with plain tornado session_served; }
@test "on: gunicorn, tornado" { gunicorn_with on tornado session_served; }
@test "off: gunicorn, tornado" { gunicorn_with off tornado session_served; }

@test "plain: uwsgi" { uwsgi_with plain --processes 2; }
@test "on: uwsgi" { uwsgi_with on --processes 2; }
@test "off: uwsgi" { uwsgi_with off --processes 2; }

@test "plain: uwsgi, threads" { uwsgi_with plain --threads 4; }
@test "on: uwsgi, threads" { uwsgi_with on --threads 4; }
@test "off: uwsgi, threads" { uwsgi_with off --threads 4; }

@test "plain: tornado" { program plain tornado 143; }
@test "on: tornado" { program on tornado 143; }
@test "off: tornado" { program off tornado 143; }

@test "plain: twisted" { program plain twisted 0; }
@test "on: twisted" { program on twisted 0; }
@test "off: twisted" { program off twisted 0; }

@test "plain: puma" { ruby_with plain puma 0 puma -C - -t 2:4 -b tcp://127.0.0.1:@PORT@ "$APPS/app.ru"; }
@test "on: puma" { ruby_with on puma 0 puma -C - -t 2:4 -b tcp://127.0.0.1:@PORT@ "$APPS/app.ru"; }
@test "off: puma" { ruby_with off puma 0 puma -C - -t 2:4 -b tcp://127.0.0.1:@PORT@ "$APPS/app.ru"; }

@test "plain: thin" { ruby_with plain thin 0 thin -a 127.0.0.1 -p @PORT@ -R "$APPS/app.ru" start; }
@test "on: thin" { ruby_with on thin 0 thin -a 127.0.0.1 -p @PORT@ -R "$APPS/app.ru" start; }
@test "off: thin" { ruby_with off thin 0 thin -a 127.0.0.1 -p @PORT@ -R "$APPS/app.ru" start; }
