#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Echo servers on every way to wait that a distribution has a library for:
# Python's asyncio, uvloop, selectors, select and threads, Perl, Node.js,
# libevent, libuv. What is sent comes back, whole and in order.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load servers

setup_file() {
	local name
	command -v gcc >/dev/null || return 0
	for name in libevent libuv; do
		gcc -O2 -o "$BATS_FILE_TMPDIR/$name" \
			"$BATS_TEST_DIRNAME/echo/$name.c" \
			"-l${name#lib}" 2>/dev/null || true
	done
	chmod 0755 "$BATS_FILE_TMPDIR"
}
setup() { mp_setup; }
teardown() { mp_teardown; }

echo_command() {
	local port=$2
	case $1 in
	node) COMMAND=(node "$MP_HERE/echo/server.js" "$port" "$WEB") ;;
	libevent | libuv) COMMAND=("$BATS_FILE_TMPDIR/$1" "$port") ;;
	perl_*) COMMAND=(perl "$MP_HERE/echo/loops.pl" "${1#*_}" "$port") ;;
	*) COMMAND=("$PY" "$MP_HERE/echo/loops.py" "$1" "$port") ;;
	esac
}

echo_session() {
	local port WEB COMMAND count=40
	read -r port WEB < <(free_ports 2)
	echo_command "$1" "$port"
	serve server "${COMMAND[@]}"
	wait_for 10 port_answers "$port" >&2
	[[ $1 != perl_prefork ]] || count=4
	client echo "$port" , echo_many "$port" $count , \
		echo_short "$port" , aborts "$port"
	[[ $1 != node ]] || node_web
	client echo "$port" 100000
	unserve TERM 0
	case $1 in
	poll | select | threads | forking | perl_*)
		session_untouched server >&2 ;;
	*) session_verify server >&2 ;;
	esac
}

node_web() {
	local url=http://127.0.0.1:$WEB path
	wait_for 10 port_answers "$WEB" >&2
	for path in bytes/{0,1,1000,70000,3000000} chunked/500000 \
		child/3000000 exec thread/300000 file none; do
		printf '%s ' "$path"
		curl -sS -m 20 "$url/$path" | sha
	done
	curl -sS -m 20 "$url"/bytes/{10,200,3000}{,,,} | sha
	head -c 5000000 /dev/zero >"$MP_DIR/body"
	curl -sS -m 20 --data-binary "@$MP_DIR/body" "$url/sum"
	curl -sS -m 20 -T - "$url/sum" <"$MP_DIR/body"
	client slow_upload "$WEB" /sum 100000 chunked | sed 's/b.[0-9a-f]*\\r.*//'
	client slow_reader "$WEB" /bytes/1000000 , expect "$WEB" /sum , \
		upgrade "$WEB" /upgrade
}

echoes() {
	case $2 in
	uvloop) "$PY" -c 'import uvloop' 2>/dev/null ||
		skip "python3-uvloop is not installed" ;;
	node) need node ;;
	perl_*) need perl ;;
	lib*) [[ -x $BATS_FILE_TMPDIR/$2 ]] ||
		skip "gcc and $2-dev are not installed" ;;
	esac
	as_plain "$1" echo_session "$2"
}

@test "plain: asyncio" { echoes plain asyncio; }
@test "on: asyncio" { echoes on asyncio; }
@test "off: asyncio" { echoes off asyncio; }
@test "refused: asyncio" { echoes refused asyncio; }

@test "plain: protocol" { echoes plain protocol; }
@test "on: protocol" { echoes on protocol; }
@test "off: protocol" { echoes off protocol; }

@test "plain: uvloop" { echoes plain uvloop; }
@test "on: uvloop" { echoes on uvloop; }
@test "off: uvloop" { echoes off uvloop; }

@test "plain: selectors" { echoes plain selectors; }
@test "on: selectors" { echoes on selectors; }
@test "off: selectors" { echoes off selectors; }

@test "plain: epoll" { echoes plain epoll; }
@test "on: epoll" { echoes on epoll; }
@test "off: epoll" { echoes off epoll; }

@test "plain: libevent" { echoes plain libevent; }
@test "on: libevent" { echoes on libevent; }
@test "off: libevent" { echoes off libevent; }
@test "refused: libevent" { echoes refused libevent; }

@test "plain: libuv" { echoes plain libuv; }
@test "on: libuv" { echoes on libuv; }
@test "off: libuv" { echoes off libuv; }

@test "plain: node" { echoes plain node; }
@test "on: node" { echoes on node; }
@test "off: node" { echoes off node; }
@test "refused: node" { echoes refused node; }

@test "plain: poll" { echoes plain poll; }
@test "on: poll" { echoes on poll; }

@test "plain: select" { echoes plain select; }
@test "on: select" { echoes on select; }

@test "plain: threads" { echoes plain threads; }
@test "on: threads" { echoes on threads; }

@test "plain: forking" { echoes plain forking; }
@test "on: forking" { echoes on forking; }

@test "plain: perl_select" { echoes plain perl_select; }
@test "on: perl_select" { echoes on perl_select; }

@test "plain: perl_prefork" { echoes plain perl_prefork; }
@test "on: perl_prefork" { echoes on perl_prefork; }

