#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Settings: the file and its sections, the environment before the file, which
# programs and which listeners are meant, where lines go, and what is said of
# everything that is not understood.
# timeout: 120

load lib
load cli

setup() {
	mp_setup
	CONF=$MP_DIR/conf
}
teardown() { mp_teardown; }

# with_file MODE LINE...: a server with that file of settings.
with_file() {
	printf '%s\n' "${@:2}" >"$CONF"
	mp_env "$1"
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_CONFIG=$CONF"
}

server_with() {
	mkdir -p "$MP_DIR/server"
	SRV_PORT=${SRV_PORT:-$(free_ports 1)}
	"$@" "$PY" "$MP_HERE/server.py" "$SRV_PORT" </dev/null \
		>"$MP_DIR/server/stdout" 2>"$MP_DIR/server/stderr" 3>&- &
	SRV_PID=$!
	wait_for 10 port_answers "$SRV_PORT"
	tell_once echo a >/dev/null
}

said() { grep '^megapipe' "$MP_DIR/server/stderr" || true; }

buffers() { "$MP" stat --json "$SRV_PID" | json \
	"max(c['buffers'] for c in d[0]['channels'])"; }

accelerated() { "$MP" stat "$SRV_PID" | grep -q '1 listening'; }

@test "a file, its sections, and the environment before it" {
	name=$(basename "$(readlink -f "$PY")")
	with_file on 'MEGAPIPE_BUFFERS = 16'
	same "general" 16 "$(buffers)"
	server_end
	with_file on 'MEGAPIPE_BUFFERS = 16' "[other $name]" \
		'MEGAPIPE_BUFFERS = 32' '[other]' 'MEGAPIPE_BUFFERS = 64'
	same "section" 32 "$(buffers)"
	server_end
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_CONFIG=$CONF" MEGAPIPE_BUFFERS=8
	same "environment" 8 "$(buffers)"
	server_end
	same "nothing was said" "" "$(said)"
}

@test "run --config" {
	printf 'MEGAPIPE_BUFFERS = 16\n' >"$CONF"
	cd "$MP_DIR"
	server_with "$MP" run --config=conf
	same "buffers" 16 "$(buffers)"
	server_end
}

@test "mistakes: file, line, what is accepted; served all the same" {
	with_file on '# fine' 'MEGAPIPE_BATCH = many' 'BATCH = 3' 'what?' \
		'[broken' 'MEGAPIPE_BUFFERS = 16'
	said
	same "lines" 4 "$(said | wc -l)"
	said | grep -qF "$CONF:2: MEGAPIPE_BATCH=many is not understood (accepted: 1 to 4096 requests); using 32"
	said | grep -qF "$CONF:3: BATCH is not a variable of ours (accepted: MEGAPIPE "
	said | grep -qF "$CONF:4: accepted are NAME = VALUE"
	said | grep -qF "$CONF:5: a section is [PROGRAM...]"
	accelerated
	server_end
}

# strict TEXT VAR=VALUE...: not started, status 2, that text.
strict() {
	local status=0 text=$1
	shift
	mp_env on
	"${MP_PREFIX[@]}" MEGAPIPE=strict "$@" sh -c 'echo started' \
		>"$MP_DIR/out" 2>"$MP_DIR/err" || status=$?
	cat "$MP_DIR/err"
	same "status" 2 "$status"
	same "output" "" "$(<"$MP_DIR/out")"
	grep -qF -- "$text" "$MP_DIR/err"
}

@test "strict refuses" {
	echo 'MEGAPIPE_BATCH = many' >"$CONF"
	strict "$CONF:1: MEGAPIPE_BATCH=many" "MEGAPIPE_CONFIG=$CONF"
	strict "$MP_DIR/none: No such file" "MEGAPIPE_CONFIG=$MP_DIR/none"
	strict "$MP_DIR: Is a directory" "MEGAPIPE_CONFIG=$MP_DIR"
	strict "MEGAPIPE_CONFIG= is empty (accepted: a file name)" MEGAPIPE_CONFIG=
	head -c 70000 /dev/zero | tr '\0' '#' >"$CONF"
	strict "$CONF: too long (accepted: a text of at most 65536 bytes)" \
		"MEGAPIPE_CONFIG=$CONF"
	printf 'a\0b' >"$CONF"
	strict "$CONF:1: it is not a text" "MEGAPIPE_CONFIG=$CONF"
	strict "MEGAPIPE_LISTEN=eighty is not understood (accepted: [!]ADDRESS[:PORT]" \
		MEGAPIPE_LISTEN=eighty
	strict "MEGAPIPE_LOG=loud is not understood (accepted: on off all)" \
		MEGAPIPE_LOG=loud
	strict "MEGAPIPE_PROGRAMS= is empty (accepted: names of programs)" \
		MEGAPIPE_PROGRAMS=
}

@test "a missing file: said, and served" {
	mp_env on
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_CONFIG=$MP_DIR/none"
	said | grep -qF "$MP_DIR/none: No such file"
	accelerated
	server_end
}

@test "MEGAPIPE_PROGRAMS" {
	name=$(basename "$(readlink -f "$PY")")
	mp_env on
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_PROGRAMS=other $name"
	accelerated
	server_end
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_PROGRAMS=pyth*"
	accelerated
	server_end
	server_with "${MP_PREFIX[@]}" MEGAPIPE_PROGRAMS=other MEGAPIPE_BATCH=x
	"$MP" stat "$SRV_PID" | grep 'no channel'
	server_end
	same "a program that is not meant says nothing" "" "$(said)"
}

@test "MEGAPIPE_LISTEN" {
	mp_env on
	SRV_PORT=$(free_ports 1)
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_LISTEN=1 $SRV_PORT"
	accelerated
	server_end
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_LISTEN=127.0.0.1:$SRV_PORT"
	accelerated
	server_end
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_LISTEN=!$SRV_PORT"
	tell_once echo b
	"$MP" sockets -H "$SRV_PID" >"$MP_DIR/out"
	cat "$MP_DIR/out"
	# With nothing to take there is no channel, which is said instead.
	same "all left" "$(wc -l <"$MP_DIR/out")" \
		"$(grep -cE ' kernel .*the process has no channel' "$MP_DIR/out")"
	same "accepted" 0 "$(count accepted)"
	server_end
}

@test "MEGAPIPE_LOG and MEGAPIPE_LOG_FILE" {
	mp_env on
	server_with "${MP_PREFIX[@]}" MEGAPIPE_LOG=off MEGAPIPE_BATCH=x
	server_end
	same "off" "" "$(said)"
	server_with "${MP_PREFIX[@]}" MEGAPIPE_LOG=all
	conn_open
	tell "$CONN" pass
	tell_once echo turn
	server_end
	said | grep -q '^megapipe: channel of thread [0-9]*: 128 buffers'
	said | grep -q "^megapipe: socket [0-9]* is the kernel's: handover_pass"
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_LOG_FILE=$MP_DIR/log" MEGAPIPE_BATCH=x
	server_end
	same "not on standard error" "" "$(said)"
	grep -q "^megapipe\[$SRV_PID\]: MEGAPIPE_BATCH=x" "$MP_DIR/log"
	server_with "${MP_PREFIX[@]}" "MEGAPIPE_LOG_FILE=$MP_DIR/none/log" MEGAPIPE_BATCH=x
	server_end
	said | grep -q "MEGAPIPE_BATCH=x"
}
