#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The drop-ins of contrib/systemd switch Debian's own units to channels and
# back: their Exec lines are run with the drop-in's environment, in a machine
# of namespaces into which `make install` installed.
# timeout: 120

load lib
load cli
load private

setup() { mp_setup; }
teardown() { mp_teardown; }

need_unit() {
	[[ -e /usr/lib/systemd/system/$1.service ]] ||
		skip "$1.service of Debian is not installed"
	need_private
}

# there FUNCTION ARGUMENT...: in such a machine, after `make install`.
there() {
	export MP_TOP MP_BUILD MP_HERE PY
	private bash -euc '
		unset MAKEFLAGS MAKELEVEL DESTDIR PREFIX
		make -s -C "$MP_TOP" "BUILD=$MP_BUILD" install >/dev/null
		ldconfig
		. "$MP_HERE/lib.bash"
		systemctl() { "$MP_HERE/systemctl" "$@"; }
		json() { "$PY" -c "import json, sys; d = json.load(sys.stdin); print(eval(sys.argv[1]))" "$1"; }
		eval "$1"
		shift
		"$@"' there "$(declare -f "$1" "asks_$2")" "$@"
}

# switch NAME: plain, with the drop-in, plain.
switch() {
	local dir=/etc/systemd/system/$1.service.d name=$1
	accepted() {
		megapipe stat --json "$name" | json \
			"sum(c['counters']['accepted'] for p in d for c in p['channels'])"
	}
	# A function: set -e does not see what stands behind a !.
	nobody_has_it() {
		! grep -l libmegapipe-preload /proc/[0-9]*/maps 2>/dev/null
	}
	systemctl start "$1"
	wait_for 30 "asks_$1" >/dev/null
	plain=$("asks_$1")
	nobody_has_it
	mkdir -p "$dir"
	cp "/usr/local/share/megapipe/systemd/$1.conf" "$dir/megapipe.conf"
	systemctl daemon-reload
	systemctl restart "$1"
	wait_for 30 "asks_$1" >/dev/null
	same "answer" "$plain" "$("asks_$1")"
	megapipe stat "$1"
	(($(accepted) >= 2))
	if [[ $1 == nginx ]]; then
		systemctl reload nginx
		wait_for 30 "asks_$1" >/dev/null
		same "answer after a reload" "$plain" "$("asks_$1")"
	fi
	rm "$dir/megapipe.conf"
	systemctl daemon-reload
	systemctl restart "$1"
	wait_for 30 "asks_$1" >/dev/null
	same "answer as before" "$plain" "$("asks_$1")"
	nobody_has_it
	systemctl stop "$1"
}

asks_nginx() { curl -sS -f -m 5 http://127.0.0.1/; }
@test "systemd: nginx" {
	need_unit nginx
	[[ -e /etc/nginx/sites-enabled/default ]] ||
		skip "nginx is not configured as Debian does it"
	there switch nginx
}

asks_redis-server() {
	redis-cli -h 127.0.0.1 SET a b && redis-cli -h 127.0.0.1 GET a
}
@test "systemd: redis" {
	need_unit redis-server
	there switch redis-server
}

asks_memcached() {
	local answer
	exec 9<>/dev/tcp/127.0.0.1/11211 || return
	printf 'set a 0 0 1\r\nb\r\nquit\r\n' >&9
	read -r -t 5 answer <&9
	exec 9<&- 9>&-
	echo "$answer"
}
@test "systemd: memcached" {
	need_unit memcached
	there switch memcached
}
