#!/bin/sh
# SPDX-License-Identifier: MIT
# Partitioned listeners on the eight CPUs of a virtual machine: what
# integration/partition_*.bats asks, in what busybox can do, and slower, as the
# machine is emulated. Called by init under the names of its parts; prints
# TAP, one result for each step of MEGAPIPE_PARTITION (plain: one).
# shellcheck disable=SC3043 # busybox has local

preload=${LD_PRELOAD:-}
unset LD_PRELOAD
part=${0##*/}
steps=plain
# Emulated, a step takes its time: all of them once is enough.
case ${preload:+$MEGAPIPE_LWSOCKET} in
on) steps='ebpf cbpf hash' ;;
off) steps=ebpf ;;
esac
# Steps are not chosen here, but by what a user may do.
[ -z "$preload" ] || [ "$part" != partition_sysctl ] || steps=auto
count=0
failed=0
masks=
user=root
port=8080
close='GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
keep='GET /pid HTTP/1.1\r\nHost: a\r\n\r\n'

result()
{
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $part, $2"
	else
		echo "not ok $count - $part, $2"
		tail -n 5 /tmp/error.log
		failed=1
	fi
}

# until_true COMMAND...: at most ten seconds.
until_true()
{
	local turns=200

	until "$@"; do
		turns=$((turns - 1))
		[ $turns -gt 0 ] || { echo "gave up: $*"; return 1; }
		sleep 0.05
	done
}

conf()
{
	cat >/tmp/nginx.conf <<-EOF
		user www-data;
		worker_processes $1;
		pid /tmp/nginx.pid;
		error_log /tmp/error.log notice;
		$2
		events { worker_connections 2048; }
		http {
			access_log off;
			client_body_temp_path /tmp/body;
			proxy_temp_path /tmp/proxy;
			fastcgi_temp_path /tmp/fastcgi;
			uwsgi_temp_path /tmp/uwsgi;
			scgi_temp_path /tmp/scgi;
			server {
				listen 127.0.0.1:$port;
				location = /pid { return 200 "\$pid\n"; }
			}
		}
	EOF
}

loss()
{
	/t/loss -p $port -w 30 -l 10000 "$@"
}

# start WORKERS [DIRECTIVE]: sets master. Another port each time: what a killed
# server left is in nobody's way.
start()
{
	port=$((port + 1))
	rm -f /tmp/nginx.pid /tmp/enough /tmp/ready
	conf "$@"
	su -s /bin/sh $user -c "exec env LD_PRELOAD='$preload' $masks \
		MEGAPIPE_PARTITION=$step MEGAPIPE_STATS=/tmp/stats /t/nginx \
		-p /tmp -c /tmp/nginx.conf -e /tmp/error.log" || return
	until_true test -s /tmp/nginx.pid || return
	master=$(cat /tmp/nginx.pid)
	until_true has_workers "$1" none || return
}

stop()
{
	kill -QUIT "$master"
	until_true gone "$master"
}

gone()
{
	[ ! -e "/proc/$1" ]
}

workers()
{
	local pid

	for pid in $(cat "/proc/$master/task/$master/children"); do
		grep -q 'worker process' "/proc/$pid/cmdline" 2>/dev/null &&
			! grep -q shutting "/proc/$pid/cmdline" && echo "$pid"
	done
}

# has_workers COUNT NOT...: so many, and none of these.
has_workers()
{
	local n=$1 pid now

	shift
	now=$(workers)
	[ "$(echo "$now" | wc -w)" = "$n" ] || return
	for pid in $now; do
		case " $* " in *" $pid "*) return 1 ;; esac
	done
}

reload()
{
	local before

	conf "$1"
	before=$(workers)
	kill -HUP "$master"
	# shellcheck disable=SC2086 # a list
	until_true has_workers "$1" $before
}

load_start()
{
	loss -x -q "$close" -r 60 -u /tmp/enough -o /tmp/ready -t 100 \
		>/tmp/loss &
	client=$!
	until_true test -e /tmp/ready
}

load_end()
{
	local code

	touch /tmp/enough
	wait $client
	code=$?
	grep -v '^by' /tmp/loss
	return $code
}

partition_reload()
{
	start 4 && load_start || return
	reload 8 && reload 3 || return
	load_end && stop
}

# another MASTER: there is one more master, with its workers.
another()
{
	[ -s /tmp/nginx.pid.oldbin ] && [ -s /tmp/nginx.pid ] || return
	master=$(cat /tmp/nginx.pid)
	[ "$master" != "$1" ] && has_workers 4 none
}

# is_left COUNT MASTER: it has so many workers now; master is that one.
is_left()
{
	master=$2
	has_workers "$1" none
}

# Forward, back, and forward for good.
partition_upgrade()
{
	local old new

	start 4 && load_start || return
	old=$master
	kill -USR2 "$old"
	until_true another "$old" || return
	new=$master
	kill -WINCH "$old"
	until_true is_left 0 "$old" || return
	kill -HUP "$old"
	until_true is_left 4 "$old" || return
	master=$new
	stop || return
	kill -USR2 "$old"
	until_true another "$old" || return
	kill -QUIT "$old"
	until_true gone "$old" || return
	load_end && stop
}

# Whatever that sysctl is: root gets the kernel's program, others the classic
# one, and a reload loses nothing. (1 is the same as 2, and for good.)
partition_sysctl()
{
	local value values=2 sysctl=/proc/sys/kernel/unprivileged_bpf_disabled

	# Both values once are enough, as all steps are above.
	[ "${preload:+$MEGAPIPE_LWSOCKET}" != on ] || values='0 2'
	for value in $values; do
		echo $value >$sysctl || return
		user=root
		chosen_by_user eBPF || return
		user=www-data
		chosen_by_user 'classic BPF' || return
	done
}

chosen_by_user()
{
	local pid

	start 3 && load_start || return
	for pid in $(workers); do
		[ -z "$preload" ] || /t/megapipe stat --json "$pid" |
			tee /tmp/stat | grep -qF "\"by\": \"$1\"" ||
			{ cat /tmp/stat; return 1; }
	done
	reload 4 && load_end && stop
}

partition_kill()
{
	start 6 && loss -x -q "$close" -r 100 -t 3 -K "$master" -W worker \
		-i 500 >/tmp/loss || { cat /tmp/loss; return 1; }
	loss -x -q "$close" -r 100 -t 3 -K "$master" -W worker -i 700 \
		-f 200 >/tmp/loss || { cat /tmp/loss; return 1; }
	orphans && stop
}

# The master is killed, then the workers but one: the last serves all.
orphans()
{
	local pid last

	for pid in $(workers); do
		last=$pid
	done
	pid=$(workers)
	kill -KILL "$master"
	for pid in $pid; do
		[ "$pid" = "$last" ] || kill -KILL "$pid"
	done
	loss -x -q "$close" -r 100 -n 200 >/tmp/loss ||
		{ cat /tmp/loss; return 1; }
	master=$last
}

# One after the other, from each CPU: all by the worker of that CPU. A plain
# server does not do that.
partition_pinned()
{
	local cpu pid own

	start 8 'worker_cpu_affinity 00000001 00000010 00000100 00001000
		00010000 00100000 01000000 10000000;' || return
	for cpu in 0 1 2 3 4 5 6 7; do
		loss -x -q "$close" -n 50 -m 1 -c $cpu >/tmp/loss || return
		for pid in $(workers); do
			grep -q "^Cpus_allowed_list:	$cpu$" \
				"/proc/$pid/status" && own=$pid
		done
		echo "# $step: CPU $cpu: $(awk -v own="$own" '/^by/ { n += $3
			if ($2 == own) mine = $3 }
			END { print mine + 0 " of " n }' /tmp/loss)"
		case $step in ebpf|cbpf)
			grep -q "^by $own 50$" /tmp/loss || return ;;
		esac
	done
	stop
}

# Fewer workers than CPUs: each has the connections of those that it was told.
partition_masks()
{
	local cpu by=

	masks=MEGAPIPE_CPUS=0-3/4-7
	start 2 || return
	for cpu in 0 3 4 7; do
		loss -x -q "$close" -n 50 -m 1 -c $cpu >/tmp/loss || return
		by="$by $(sed -n 's/^by \([0-9]*\) 50$/\1/p' /tmp/loss)"
	done
	echo "# $step:$by"
	# shellcheck disable=SC2086 # a list
	case $step in ebpf|cbpf) two_and_two $by || return ;; esac
	stop
}

two_and_two()
{
	[ $# = 4 ] && [ "$1" = "$2" ] && [ "$3" = "$4" ] && [ "$1" != "$3" ]
}

# All clients on one CPU: the most loaded has at most 1.25 times the mean.
partition_balance()
{
	start 8 && loss -k -q "$keep" -n 800 -r 400 -c 0 >/tmp/loss || return
	awk -v step="$step" '/^by/ { n += $3; list = list " " $3
		if ($3 > max) max = $3 }
	END { printf "# %s:%s, most loaded %.2f of the mean\n", step, list,
			max * 8 / n
		exit step == "ebpf" && max * 8 > n * 1.25 }' /tmp/loss || return
	stop
}

: >/tmp/error.log
: >/tmp/stats
chmod 666 /tmp/error.log /tmp/stats
for step in $steps; do
	"$part"
	result $? "$step"
	# Those of a part that failed.
	[ "$failed" = 0 ] || break
done
if [ -n "$preload" ] && [ $failed = 0 ] && ! grep -q 'partition_claims=[1-9]' /tmp/stats; then
	result 1 'no worker has claimed a partition'
	cat /tmp/stats
fi
echo "1..$count"
exit $failed
