#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 1200
# Partitioned listeners where something is not allowed, and every kind of
# address: without privileges, where bpf() is refused, IPv4 and IPv6, several
# of each, unix sockets, port 0, listeners that were inherited, a port that is
# taken. Each serves through reloads without a loss, and is seen as natively.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load partition

setup_file() {
	MP_WWW=$(mp_dir_new)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

is_root() { ((EUID == 0)) || skip "not root"; }

life() {
	loss_start short
	part_reload 2
	part_reload 4
	part_reload 1
	part_reload 3
	loss_end short
	part_end
}

# Root that may do anything but this: the queues are chosen without eBPF.
no_capability() {
	is_root
	part_env "$1"
	MP_PREFIX=(setpriv --bounding-set \
		"-bpf,-sys_admin,-net_admin,-perfmon" "${MP_PREFIX[@]}")
	part_ready 4
	life
}

# Nobody's server: no capability at all, and one user from the beginning.
no_root() {
	is_root
	part_env "$1"
	MP_PREFIX=(setpriv --reuid www-data \
		--regid www-data --clear-groups --inh-caps=-all \
		--bounding-set=-all "${MP_PREFIX[@]}")
	mkdir "$MP_DIR/server" "$MP_DIR/server/stored"
	for file in error.log stderr stdout; do
		: >"$MP_DIR/server/$file"
	done
	chown -R www-data "$MP_DIR/server" "$MP_DIR"
	nginx_user() { :; }
	part_ready 4
	life
}

no_bpf() {
	part_env "$1"
	MP_PREFIX=("$MP_REFUSE" "$2" bpf -- "${MP_PREFIX[@]}")
	part_ready 4
	life
}

# Every address at once; a client for each of them.
addresses() {
	local v6only dual any other
	grep -q . /proc/net/if_inet6 || skip "no IPv6"
	part_env "$1"
	read -r v6only dual any other < <(free_ports 4)
	NGX_SERVER="listen [::1]:$v6only; listen [::]:$dual ipv6only=off;
		listen $any; listen 127.0.0.1:$other backlog=64;
		listen unix:$MP_DIR/unix;
		location = /pid { return 200 \"\$pid\\n\"; }"
	NGX_WORKERS=3
	nginx_start server
	local sock names=(one two three four five six seven)
	loss_start one -r 1000
	loss_start two -p "$v6only" -a ::1 -r 150
	loss_start three -p "$dual" -a ::1 -r 150
	loss_start four -p "$dual" -r 150
	loss_start five -p "$any" -r 150
	loss_start six -p "$other" -r 150
	loss_start seven -a "$MP_DIR/unix" -r 150
	part_reload 2
	part_reload 4
	part_reload 3
	for sock in "${names[@]}"; do
		loss_end "$sock"
	done
	part_end
}

# Ports that the kernel chose: one for each address, the same for all.
port_zero() {
	local i before
	part_env "$1"
	prefork_start 3 127.0.0.1:0 0.0.0.0:0
	((NGX_PORT > 0 && PRE_PORTS > 0 && NGX_PORT != PRE_PORTS))
	loss_start one -r 400
	loss_start two -p "$PRE_PORTS" -r 150
	for i in 1 2 3; do
		before=$(hup_workers)
		kill -HUP "$PRE_PID"
		wait_for 10 hup_renewed "$before"
	done
	loss_end one
	loss_end two
	prefork_end
	wait_for 5 mp_none_left
	mp_verify "$MP_DIR/prefork/stderr"
	part_verify
}

# What binds to the address of a server sees, in all ways one can ask: printed
# as errno names.
probe() {
	"$PY" - "$NGX_PORT" "$1" <<-'PY'
		import errno, itertools, os, socket, sys
		port = int(sys.argv[1])
		if sys.argv[2] == "nobody":
		    os.setuid(65534)
		for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"):
		    for names in itertools.product((0, 1), repeat=2):
		        sock = socket.socket(socket.AF_INET6 if ":" in host
		                             else socket.AF_INET)
		        for name, value in zip((socket.SO_REUSEADDR,
		                                socket.SO_REUSEPORT), names):
		            sock.setsockopt(socket.SOL_SOCKET, name, value)
		        said = []
		        try:
		            sock.bind((host, port))
		            said.append("bound")
		            sock.listen(1)
		            said.append("listens")
		        except OSError as err:
		            said.append(errno.errorcode[err.errno])
		        print(host, *names, *said)
		        sock.close()
	PY
}

probe_all() {
	probe root
	((EUID != 0)) || probe nobody
}

# The oracle is a plain server on a port of its own.
taken() {
	local natively now
	part_start plain 2
	natively=$(probe_all)
	nginx_end "$NGX_PID"
	part_env "$1"
	part_ready 2
	curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/hello"
	now=$(probe_all)
	same "errors of bind() and listen()" "$natively" "$now"
	part_reload 4
	same "after a reload" "$natively" "$(probe_all)"
	second_server
	loss_start short
	loss_end short
	part_end
}

# The same server once more, in the same mode and as the same user: it must
# say that the address is taken, and not take a share of it.
second_server() {
	local status=0
	sed "s,$MP_DIR/server,$MP_DIR/second," "$NGX_DIR/nginx.conf" \
		>"$MP_DIR/second.conf"
	mkdir -p "$MP_DIR/second"
	timeout 20 "${MP_PREFIX[@]}" "$NGX_BIN" -p "$MP_DIR/second" \
		-c "$MP_DIR/second.conf" -e "$MP_DIR/second/error.log" \
		</dev/null >"$MP_DIR/second/out" 2>&1 3>&- || status=$?
	same "exit status of a second server" 1 "$status"
	grep -q 'Address already in use' "$MP_DIR/second/out"
}

# Systemd's way: whoever activates keeps the listeners, and what arrives while
# no server runs waits for the next one.
activated() {
	local i status=0 children
	part_env "$1"
	mkdir "$MP_DIR/prefork"
	"$PY" "$MP_HERE/activate.py" "${MP_PREFIX[@]}" "$PY" \
		"$MP_HERE/prefork.py" 3 --inherit </dev/null \
		>"$MP_DIR/prefork/ports" 2>"$MP_DIR/prefork/stderr" 3>&- &
	PRE_PID=$!
	wait_for 10 test -s "$MP_DIR/prefork/ports"
	read -r NGX_PORT PRE_PORTS <"$MP_DIR/prefork/ports"
	loss_start one -w 10 -l 8000 -r 400
	loss_start two -w 10 -l 8000 -r 150 -p "$PRE_PORTS"
	for i in 1 2 3; do
		children=$(children "$PRE_PID")
		kill -USR1 "$PRE_PID"
		wait_for 10 another_child "$children"
	done
	loss_end one
	loss_end two
	kill -TERM "$PRE_PID"
	wait "$PRE_PID" || status=$?
	same "exit status" 0 "$status"
	wait_for 5 mp_none_left
	MP_STARTS=4 mp_verify "$MP_DIR/prefork/stderr"
}
another_child() {
	local now
	now=$(children "$PRE_PID")
	[[ -n $now && $now != "$1" && $(children "$now" | wc -l) == 3 ]]
}

# nginx's own way of inheriting, which its binary upgrade uses: the variable
# NGINX has the numbers of its listeners.
inherited() {
	part_env "$1"
	# It takes itself for the second of an upgrade, and stays where it is.
	NGX_DAEMON=off
	NGX_WORKERS=3
	NGX_SERVER='location = /pid { return 200 "$pid\n"; }'
	nginx_conf server
	MP_PREFIX=("$PY" -c '
import os, socket, sys
sock = socket.socket()
sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.bind(("127.0.0.1", int(sys.argv[1])))
sock.listen(511)
sock.setblocking(False)
os.set_inheritable(sock.fileno(), True)
os.environ["NGINX"] = "%d;" % sock.fileno()
os.execvp(sys.argv[2], sys.argv[2:])' "$NGX_PORT" "${MP_PREFIX[@]:-env}")
	part_ready 3
	loss_start short
	part_reload 4
	part_reload 2
	loss_end short
	nginx_end "$NGX_PID"
	wait_for 5 mp_none_left
	nginx_verify server
}

@test "plain: root without the capabilities" { no_capability plain; }
@test "on: root without the capabilities" { no_capability on; }
@test "off: root without the capabilities" { no_capability off; }
@test "plain: another user's server" { no_root plain; }
@test "on: another user's server" { no_root on; }
@test "off: another user's server" { no_root off; }
@test "on: bpf() is refused, EPERM" { no_bpf on EPERM; }
@test "on: bpf() is refused, ENOSYS" { no_bpf on ENOSYS; }

@test "plain: addresses" { addresses plain; }
@test "on: addresses" { addresses on; }
@test "off: addresses" { addresses off; }
@test "on/cbpf: addresses" { addresses on/cbpf; }
@test "on/hash: addresses" { addresses on/hash; }

@test "plain: port 0" { port_zero plain; }
@test "on: port 0" { port_zero on; }
@test "off: port 0" { port_zero off; }
@test "on/cbpf: port 0" { port_zero on/cbpf; }

@test "plain: a port that is taken" { taken plain; }
@test "on: a port that is taken" { taken on; }
@test "off: a port that is taken" { taken off; }
@test "on/cbpf: a port that is taken" { taken on/cbpf; }
@test "on/hash: a port that is taken" { taken on/hash; }

@test "plain: activated listeners" { activated plain; }
@test "on: activated listeners" { activated on; }
@test "off: activated listeners" { activated off; }

@test "plain: inherited listeners" { inherited plain; }
@test "on: inherited listeners" { inherited on; }
@test "off: inherited listeners" { inherited off; }
