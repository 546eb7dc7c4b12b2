#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the environment decides: nothing at all with MEGAPIPE=off, plain
# service and one line that says why where io_uring is refused, no service
# with MEGAPIPE=strict, and one line for each value that makes no sense.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load redis

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }

setup() {
	mp_setup
	SYSCTL=/proc/sys/kernel/io_uring_disabled
	SYSCTL_WAS=
}

teardown() {
	[[ -z $SYSCTL_WAS ]] || echo "$SYSCTL_WAS" >"$SYSCTL"
	mp_teardown
}

# said NAME: the library's lines of that server.
said() { grep -h '^megapipe:' "$MP_DIR/$1"/{stderr,error.log,redis.log} 2>/dev/null; }

says_once() {
	local lines
	lines=$(said "$1") || true
	echo "$1 said: $lines"
	(($(grep -c . <<<"$lines") == 1)) || return 1
	shift
	for word; do
		grep -qiE -e "$word" <<<"$lines" || {
			echo "but not: $word"
			return 1
		}
	done
}

says_nothing() {
	! said "$1" || return 1
}

nginx_once() {
	local status=0
	NGX_DAEMON=off NGX_WORKERS=2
	nginx_start server
	same "served" "$(www_sum f64k)" "$(curl -sS -m 10 \
		"http://127.0.0.1:$NGX_PORT/f64k" | sha)"
	# Both workers got as far as serving before they are told to end.
	wait_for 5 nginx_has_workers "$NGX_PID" 2
	for _ in 1 2 3 4 5 6 7 8; do
		curl -sS -m 10 -o /dev/null "http://127.0.0.1:$NGX_PORT/f612"
	done
	kill -QUIT "$NGX_PID"
	wait "$NGX_JOB" || status=$?
	same "exit status" 0 "$status"
}

redis_once() {
	redis_start redis
	same "served" OK "$(r set key value)"
	redis_end
}

both_once() {
	nginx_once
	redis_once
}

accelerated() { same "accelerated: $(stat_sum accepted)" "$1" \
	"$(($(stat_sum accepted) > 0))"; }

refused() {
	mp_env refused "$1"
	both_once
	says_once server "$1|$2"
	says_once redis "$1|$2"
	accelerated 0
}

# Machine-wide, so only where it was asked for.
disabled_by_sysctl() {
	mp_env on
	[[ -n ${MP_SYSCTL:-} ]] ||
		skip "changes a setting of the whole machine: set MP_SYSCTL=1"
	[[ -w $SYSCTL ]] || skip "kernel.io_uring_disabled cannot be written"
	SYSCTL_WAS=$(<"$SYSCTL")
	if ! echo 2 2>/dev/null >"$SYSCTL"; then
		SYSCTL_WAS=
		skip "kernel.io_uring_disabled cannot be set"
	fi
	both_once
	says_once server io_uring
	says_once redis io_uring
	accelerated 0
}

# Kernels differ in what they charge to the limit: a channel that fits, or
# one line that says why there is none.
locked_memory() {
	local copy=$MP_DIR/preload.so accepted
	((EUID == 0)) || skip "root has to become another user"
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	mp_need_lib
	# The build tree may not be readable for that user.
	cp "$MP_LIB" "$copy"
	chmod 0644 "$copy"
	MP_LIB=$copy
	mp_env on
	MP_PREFIX=(setpriv --reuid nobody --regid nogroup --clear-groups
		"${MP_PREFIX[@]}")
	mkdir -m 0777 "$MP_DIR/redis"
	touch "$MP_DIR"/redis/{stdout,stderr}
	RDS_LIMIT="-l 0"
	redis_once
	accepted=$(stat_sum accepted)
	echo "accepted: $accepted"
	if ((accepted > 0)); then
		says_nothing redis
	else
		says_once redis 'memlock|locked|memory'
	fi
}

# fd_kinds PID: its descriptors, whatever their numbers and inodes.
fd_kinds() {
	find "/proc/$1/fd" -mindepth 1 -printf '%l\n' |
		sed -E "s/[0-9]+//g; s/megapipe[^\/]*//" | sort
}

# The same descriptors as without the preload, no thread, no line.
off() {
	local kinds threads
	nginx_start oracle
	kinds=$(fd_kinds "$(nginx_workers "$NGX_PID")")
	nginx_end "$NGX_PID"
	mp_env on
	mp_with MEGAPIPE=off
	nginx_start oracle
	same "descriptors" "$kinds" "$(fd_kinds "$(nginx_workers "$NGX_PID")")"
	threads=(/proc/"$(nginx_workers "$NGX_PID")"/task/*)
	same "threads" 1 "${#threads[@]}"
	nginx_end "$NGX_PID"
	both_once
	says_nothing server
	says_nothing redis
	accelerated 0
}

off_beats_refusal() {
	mp_env refused
	mp_with MEGAPIPE=off
	both_once
	says_nothing server
	says_nothing redis
}

# refuses_to_start WORD...: status 2, one line, nobody serves.
refuses_to_start() {
	local status=0
	nginx_conf server
	NGX_DAEMON=off
	nginx_conf server
	timeout 20 "${MP_PREFIX[@]}" "$NGX_BIN" -p "$NGX_DIR" \
		-e "$NGX_DIR/error.log" -c "$NGX_DIR/nginx.conf" \
		</dev/null >"$NGX_DIR/stdout" 2>"$NGX_DIR/stderr" 3>&- || status=$?
	same "nginx: exit status" 2 "$status"
	says_once server "$@"
	port_refuses "$NGX_PORT"
	wait_for 5 mp_none_left
	status=0
	mkdir "$MP_DIR/redis"
	timeout 20 "${MP_PREFIX[@]}" redis-server --bind 127.0.0.1 \
		--port "$NGX_PORT" --save "" --dir "$MP_DIR/redis" \
		</dev/null >"$MP_DIR/redis/stdout" 2>"$MP_DIR/redis/stderr" \
		3>&- || status=$?
	same "redis: exit status" 2 "$status"
	says_once redis "$@"
	wait_for 5 mp_none_left
}

strict_refused() {
	mp_env refused "$1"
	mp_with MEGAPIPE=strict
	refuses_to_start "$1|$2"
}

strict_works() {
	mp_env on
	mp_with MEGAPIPE=strict
	both_once
	says_nothing server
	says_nothing redis
	accelerated 1
}

# malformed NAME VALUE: served all the same, and said once, with what would
# have been accepted (which starts by a value or a range).
malformed() {
	mp_env on
	mp_with "$1=$2"
	redis_once
	says_once redis "$1" "$2" 'on|off|auto|[0-9]|number'
	rm -rf "$MP_DIR/redis"
	[[ $1 != MEGAPIPE ]] || return 0
	mp_with MEGAPIPE=strict
	refuses_to_start "$1" "$2"
}

two_malformed() {
	mp_env on
	mp_with MEGAPIPE_BATCH=many MEGAPIPE_LINGER_MS=soon
	nginx_once
	same "lines" 2 "$(said server | grep -c .)"
	said server | grep 'MEGAPIPE_BATCH.*many'
	said server | grep 'MEGAPIPE_LINGER_MS.*soon'
	accelerated 1
}

# Values that are small or large are still correct.
values() {
	local name
	mp_env on
	mp_with "$@"
	nginx_start server
	for name in f612 f64k f5m; do
		same "$name" "$(www_sum $name)" "$(curl -sS -m 30 \
			"http://127.0.0.1:$NGX_PORT/$name" | sha)"
	done
	load_start keep --mode keep --threads 4
	load_start short --mode short --threads 4
	load_end keep
	load_end short
	nginx_end "$NGX_PID"
	nginx_log_clean server
	nginx_verify server
}

# No setting at all: on, at the depth that fits the kernel.
defaults() {
	mp_env on
	MP_PREFIX=(env "LD_PRELOAD=$MP_LIB" "MEGAPIPE_STATS=$MP_STATS")
	both_once
	says_nothing server
	says_nothing redis
	accelerated 1
}

# Without a file for them the counters cost nothing and say nothing.
no_stats() {
	mp_env on
	MP_PREFIX=(env "LD_PRELOAD=$MP_LIB")
	both_once
	says_nothing server
	same "stats" "" "$(cat "$MP_STATS")"
	MP_PREFIX+=("MEGAPIPE_STATS=$MP_DIR/none/such")
	redis_once
}

@test "plain: the servers these tests use" {
	mp_env plain
	both_once
	says_nothing server
}
@test "no setting at all" { defaults; }
@test "no file for the counters" { no_stats; }
@test "io_uring refused with EPERM" { refused EPERM 'not permitted'; }
@test "io_uring refused with ENOSYS" { refused ENOSYS 'not implemented|no io_uring'; }
@test "io_uring refused with ENOMEM" { refused ENOMEM 'memory'; }
@test "io_uring disabled by sysctl" { disabled_by_sysctl; }
@test "no locked memory, not root" { locked_memory; }

@test "MEGAPIPE=off does nothing" { off; }
@test "MEGAPIPE=off says nothing where io_uring is refused" {
	off_beats_refusal
}
@test "MEGAPIPE=strict where io_uring is refused" {
	strict_refused EPERM 'not permitted'
}
@test "MEGAPIPE=strict where io_uring does not exist" {
	strict_refused ENOSYS 'not implemented|no io_uring'
}
@test "MEGAPIPE=strict where all is well" { strict_works; }

@test "malformed: MEGAPIPE=maybe" { malformed MEGAPIPE maybe; }
@test "malformed: MEGAPIPE_LWSOCKET=yes" { malformed MEGAPIPE_LWSOCKET yes; }
@test "malformed: MEGAPIPE_BATCH=many" { malformed MEGAPIPE_BATCH many; }
@test "malformed: MEGAPIPE_BATCH=12x" { malformed MEGAPIPE_BATCH 12x; }
@test "malformed: MEGAPIPE_BATCH=-1" { malformed MEGAPIPE_BATCH -1; }
@test "malformed: MEGAPIPE_READAHEAD=1x" { malformed MEGAPIPE_READAHEAD 1x; }
@test "malformed: MEGAPIPE_SNDBUF=0x10" { malformed MEGAPIPE_SNDBUF 0x10; }
@test "malformed: MEGAPIPE_LINGER_MS=soon" {
	malformed MEGAPIPE_LINGER_MS soon
}
@test "malformed: MEGAPIPE_MIN_CONNECTIONS=0" {
	malformed MEGAPIPE_MIN_CONNECTIONS 0
}
@test "malformed: a number too large" {
	malformed MEGAPIPE_BATCH 99999999999999999999
}
@test "two malformed values are two lines" { two_malformed; }

@test "MEGAPIPE_BATCH=1" { values MEGAPIPE_BATCH=1; }
@test "MEGAPIPE_LINGER_MS=0" { values MEGAPIPE_LINGER_MS=0; }
@test "MEGAPIPE_LWSOCKET=auto" { values MEGAPIPE_LWSOCKET=auto; }
