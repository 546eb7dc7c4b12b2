# SPDX-License-Identifier: MIT
# Servers whose workers come and go while a client counts what it loses.
# Needs lib.bash and nginx.bash.
# shellcheck shell=bash disable=SC2034,SC2154

LOSS=$MP_BUILD/tests/tools/loss

# A test that hangs is a failure, and not the end of the others.
export BATS_TEST_TIMEOUT=${MP_TEST_SECONDS:-100}

# A request for the number of the process that answers.
WHO='GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
WHO_KEEP='GET /pid HTTP/1.1\r\nHost: a\r\n\r\n'

# part_env MODE[/STEP]: the mode, and how listeners are partitioned (auto).
part_env() {
	mp_env "${1%%/*}"
	MP_STEP=auto
	[[ $1 != */* ]] || MP_STEP=${1#*/}
	[[ $MP_MODE != plain ]] || return 0
	grep -q MEGAPIPE_PARTITION "$MP_LIB" ||
		skip "this library partitions no listener"
	mp_with "MEGAPIPE_PARTITION=$MP_STEP"
}

# part_start MODE[/STEP] WORKERS [LISTEN]: nginx that says who answers.
part_start() {
	part_env "$1"
	part_ready "${@:2}"
}

# After part_env, for those who add to the environment.
part_ready() {
	NGX_WORKERS=$1 NGX_LISTEN=${2:-}
	NGX_SERVER='location = /pid { return 200 "$pid\n"; }'
	nginx_start server
	wait_for 10 nginx_has_workers "$NGX_PID" "$NGX_WORKERS"
}

part_end() {
	nginx_end "${1:-$NGX_PID}"
	nginx_log_clean server
	wait_for 5 mp_none_left
	nginx_verify server
	part_verify
}

# Was there a queue for each worker where there should be?
part_verify() {
	local partitioned claims
	partitioned=$(stat_sum partitioned)
	claims=$(stat_sum partition_claims)
	echo "partitioned=$partitioned claims=$claims"
	case $MP_MODE/$MP_STEP in
	plain/* | refused/* | */off) ((claims == 0)) ;;
	*) ((claims > 0)) ;;
	esac
}

# loss_start NAME ARGUMENT...: in the background, until loss_end or a minute.
# LOSS_END is empty where the client closes.
loss_start() {
	local name=$1
	shift
	# shellcheck disable=SC2086 # nothing, or an option
	"$LOSS" -p "$NGX_PORT" ${LOSS_END--x} -q "$WHO" -u "$MP_DIR/$name.enough" \
		-o "$MP_DIR/$name.ready" -l 2000 "$@" \
		>"$MP_DIR/$name.out" 2>&1 3>&- &
	eval "LOSS_$name=\$!"
	wait_for 10 test -e "$MP_DIR/$name.ready"
}

# loss_stop NAME: its exit status; what it counted is printed.
loss_stop() {
	local status=0 job=LOSS_$1
	touch "$MP_DIR/$1.enough"
	wait "${!job}" || status=$?
	sed "/^by /d; s/^/$1: /" "$MP_DIR/$1.out"
	return $status
}

# loss_end NAME: not one connection may be lost or have waited long.
loss_end() { loss_stop "$1" && loss_complete "$MP_DIR/$1.out"; }

# Who began has an answer, or was in the hands of a worker that was killed.
loss_complete() {
	local started answered hand late
	started=$(loss_count started "$1")
	answered=$(loss_count answered "$1")
	hand=$(loss_count hand "$1")
	late=$(loss_count late "$1")
	((started > 0 && answered + hand == started && late == 0))
}

loss_count() {
	local n
	n=$(grep -oE "(^| )$1=[0-9]+" "$2" | tail -n 1)
	echo "${n##*=}"
}

# Workers of this generation, which have not been told to end.
part_workers() {
	local pid
	for pid in $(children "$1"); do
		grep -saE '^nginx: worker process' "/proc/$pid/cmdline" |
			grep -qv shutting && echo "$pid"
	done | sort
}

# renewed MASTER COUNT BEFORE: so many workers, none of which is in BEFORE.
renewed() {
	local now
	now=$(part_workers "$1")
	(($(wc -w <<<"$now") == $2)) || return 1
	[[ -z $(comm -12 <(printf '%s\n' "$now") <(printf '%s\n' "$3")) ]]
}

# part_reload [WORKERS]: the new generation is there, the old may still end.
part_reload() {
	local before
	NGX_WORKERS=${1:-$NGX_WORKERS}
	nginx_conf server
	before=$(part_workers "$NGX_PID")
	kill -HUP "$NGX_PID"
	wait_for 15 renewed "$NGX_PID" "$NGX_WORKERS" "$before"
}

# by_ratio FILE: the most loaded worker over the mean, in hundredths, of what
# a client that asked for /pid has counted; and that table on one line.
by_ratio() {
	awk -v workers="$2" '/^by / { sum += $3; if ($3 > max) max = $3 }
	END { printf "%d\n", max * workers * 100 / sum }' "$1"
}
by_line() {
	awk '/^by / { printf "%s%s", sep, $3; sep = " " } END { print "" }' "$1"
}

# prefork_start ARGUMENT...: prefork.py; sets PRE_PID, NGX_PORT, PRE_PORTS.
prefork_start() {
	mkdir -p "$MP_DIR/prefork"
	: >"$MP_DIR/prefork/ports"
	"${MP_PREFIX[@]}" "$PY" "$MP_HERE/prefork.py" "$@" \
		</dev/null >"$MP_DIR/prefork/ports" \
		2>>"$MP_DIR/prefork/stderr" 3>&- &
	PRE_PID=$!
	wait_for 10 test -s "$MP_DIR/prefork/ports"
	read -r NGX_PORT PRE_PORTS <"$MP_DIR/prefork/ports"
}

prefork_end() {
	local status=0
	kill -TERM "$PRE_PID"
	wait "$PRE_PID" || status=$?
	same "exit status" 0 "$status"
}

hup_workers() { children "$PRE_PID" | sort; }
hup_renewed() {
	[[ -z $(comm -12 <(hup_workers) <(printf '%s\n' "$1")) ]]
}

# listening PORT: sockets in state LISTEN, of whomever.
listening() { ss -Hltn "sport = :$1" | wc -l; }
