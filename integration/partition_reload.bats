#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 1800
# Workers come and go under 2,000 short connections a second, and the client
# loses none: reloads, other numbers of workers, killed and frozen workers,
# the binary upgrade and back, the master killed. What a killed worker had in
# hand is lost natively, too. MP_RELOADS and MP_KILL_SECONDS make it longer,
# `make check-partition` sets them. What a listener with nginx's own reuseport
# loses is printed beside it.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load partition

RELOADS=${MP_RELOADS:-8}
KILL_SECONDS=${MP_KILL_SECONDS:-2}

setup_file() {
	MP_WWW=$(mp_dir_new)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

# Two generations overlap: the next reload does not wait for the old to end.
reload_many() {
	local i
	for ((i = 0; i < $1; i++)); do
		part_reload
	done
}

count_changes() {
	local n
	for n in 2 4 1 3 4; do
		part_reload $n
	done
}

reloads() {
	part_start "$1" 4
	loss_start short -t 600
	reload_many "$RELOADS"
	loss_end short
	part_end
}

counts() {
	part_start "$1" 4
	loss_start short
	count_changes
	loss_end short
	part_end
}

# killed MODE FREEZE_MS: one every second is slow for a test of seconds.
killed() {
	part_start "$1" 4
	loss_start short -t "$KILL_SECONDS" -K "$NGX_PID" -W worker \
		-i 250 -f "$2"
	wait_for $((KILL_SECONDS + 20)) pid_gone "$LOSS_short"
	loss_end short
	(($(loss_count kills "$MP_DIR/short.out") >= KILL_SECONDS * 2))
	wait_for 10 nginx_has_workers "$NGX_PID" 4
	MP_STARTS=1 killed_end
}

# nginx says [alert] when a worker was killed: that is what the test is about.
killed_end() {
	nginx_end "$NGX_PID"
	wait_for 5 mp_none_left
	nginx_verify server
	part_verify
}

new_master_up() {
	local new
	[[ -s $NGX_DIR/nginx.pid.oldbin && -s $NGX_DIR/nginx.pid ]] || return 1
	new=$(<"$NGX_DIR/nginx.pid")
	[[ $new != "$NGX_PID" ]] && nginx_has_workers "$new" "$NGX_WORKERS"
}

# Forward, back, and forward for good.
upgraded() {
	local new
	part_start "$1" 4
	loss_start short
	kill -USR2 "$NGX_PID"
	wait_for 10 new_master_up
	new=$(<"$NGX_DIR/nginx.pid")
	kill -WINCH "$NGX_PID"
	wait_for 10 nginx_has_workers "$NGX_PID" 0
	kill -HUP "$NGX_PID"
	wait_for 10 nginx_has_workers "$NGX_PID" 4
	nginx_end "$new"
	kill -USR2 "$NGX_PID"
	wait_for 10 new_master_up
	new=$(<"$NGX_DIR/nginx.pid")
	nginx_end "$NGX_PID"
	NGX_PID=$new
	part_reload
	loss_end short
	MP_STARTS=3 part_end
}

# Nobody replaces a worker: the others have to take what it leaves, the last
# one everything.
orphaned() {
	local workers worker i=0 signal=(KILL QUIT KILL)
	part_start "$1" 4
	workers=$(part_workers "$NGX_PID")
	loss_start short -w 4
	kill -KILL "$NGX_PID"
	wait_for 5 pid_gone "$NGX_PID"
	for worker in $workers; do
		((i < 3)) || break
		kill -${signal[i]} "$worker"
		wait_for 10 pid_gone "$worker"
		i=$((i + 1))
		some_more short 300
	done
	loss_stop short || true
	in_hand_only 2
	kill -QUIT "$worker"
	wait_for 10 mp_none_left
	nginx_verify server
	part_verify
}

# some_more NAME COUNT: until another client has so many answers.
some_more() {
	"$LOSS" -p "$NGX_PORT" -x -q "$WHO" -n "$2" -w 4 -l 2000 \
		>"$MP_DIR/$1.more" 2>&1 || { cat "$MP_DIR/$1.more" && return 1; }
}

# A worker killed by the test, not by the client, may have had one request
# in hand for each connection it had: a few, never refused, never waiting.
in_hand_only() {
	local out=$MP_DIR/short.out kind lost=0
	for kind in refused unanswered wrong other late; do
		same "$kind" 0 "$(loss_count $kind "$out")"
	done
	lost=$(($(loss_count reset "$out") + $(loss_count cut "$out")))
	echo "in hand: $lost"
	((lost <= $1 * 16))
}

# The losses of nginx's own reuseport: what a share of the port costs when its
# worker goes and nobody takes its queue. Printed, nothing is asked of it.
reuseport_beside() {
	local workers worker
	part_start plain 4 reuseport
	loss_start counts -w 3
	count_changes
	loss_stop counts >&3 || true
	loss_start orphan -w 1.5
	workers=$(part_workers "$NGX_PID")
	kill -KILL "$NGX_PID"
	worker=$(head -n 1 <<<"$workers")
	kill -KILL "$worker"
	wait_for 10 pid_gone "$worker"
	"$LOSS" -p "$NGX_PORT" -x -q "$WHO" -n 400 -w 1 \
		>"$MP_DIR/more" 2>&1 || true
	loss_stop orphan >&3 || true
	for worker in $(tail -n 3 <<<"$workers"); do
		kill -QUIT "$worker"
	done
	wait_for 10 mp_none_left
}

@test "plain: reloads" { reloads plain; }
@test "on: reloads" { reloads on; }
@test "off: reloads" { reloads off; }
@test "refused: reloads" { reloads refused; }

@test "plain: other numbers of workers" { counts plain; }
@test "on: other numbers of workers" { counts on; }
@test "off: other numbers of workers" { counts off; }

@test "plain: killed workers" { killed plain 0; }
@test "on: killed workers" { killed on 0; }
@test "off: killed workers" { killed off 0; }
@test "plain: frozen workers, killed" { killed plain 60; }
@test "on: frozen workers, killed" { killed on 60; }
@test "off: frozen workers, killed" { killed off 60; }

@test "plain: upgrade, back, upgrade" { upgraded plain; }
@test "on: upgrade, back, upgrade" { upgraded on; }
@test "off: upgrade, back, upgrade" { upgraded off; }

@test "plain: the master killed" { orphaned plain; }
@test "on: the master killed" { orphaned on; }
@test "off: the master killed" { orphaned off; }

# Each step down of how the queues are made, with all that may happen.
@test "on/ebpf: other numbers of workers" { counts on/ebpf; }
@test "on/cbpf: other numbers of workers" { counts on/cbpf; }
@test "on/hash: other numbers of workers" { counts on/hash; }
@test "on/off: other numbers of workers" { counts on/off; }
@test "on/cbpf: reloads" { reloads on/cbpf; }
@test "on/hash: reloads" { reloads on/hash; }
@test "on/off: reloads" { reloads on/off; }
@test "on/cbpf: killed workers" { killed on/cbpf 0; }
@test "on/hash: killed workers" { killed on/hash 0; }
@test "on/off: killed workers" { killed on/off 0; }
@test "on/cbpf: frozen workers, killed" { killed on/cbpf 60; }
@test "on/hash: frozen workers, killed" { killed on/hash 60; }
@test "on/cbpf: upgrade, back, upgrade" { upgraded on/cbpf; }
@test "on/hash: upgrade, back, upgrade" { upgraded on/hash; }
@test "on/off: upgrade, back, upgrade" { upgraded on/off; }
@test "on/cbpf: the master killed" { orphaned on/cbpf; }
@test "on/hash: the master killed" { orphaned on/hash; }
@test "on/off: the master killed" { orphaned on/off; }

@test "plain: what reuseport loses, printed" { reuseport_beside; }
