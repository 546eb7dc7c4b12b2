# SPDX-License-Identifier: MIT
# Helpers for the tests of the command megapipe. Needs lib.bash.
# shellcheck shell=bash disable=SC2034 # others read what is set here

MP=$MP_BUILD/megapipe

# server_start [MODE]: integration/server.py under that mode; sets SRV_PID and
# SRV_PORT, and lets two connections prove that they are used there.
server_start() {
	mp_env "${1:-on}"
	mkdir -p "$MP_DIR/server"
	SRV_PORT=$(free_ports 1)
	"${MP_PREFIX[@]}" "$PY" "$MP_HERE/server.py" "$SRV_PORT" \
		</dev/null >"$MP_DIR/server/stdout" \
		2>"$MP_DIR/server/stderr" 3>&- &
	SRV_PID=$!
	wait_for 10 port_answers "$SRV_PORT"
	CONNS=()
	tell_once echo a >/dev/null
	tell_once echo b >/dev/null
	tell_once echo c >/dev/null
}

# tell_once WORD...: over a connection of its own; prints the answer.
tell_once() {
	local answer
	exec 9<>"/dev/tcp/127.0.0.1/$SRV_PORT" || return 1
	echo "$*" >&9
	read -r -t 10 answer <&9 || true
	exec 9<&- 9>&-
	printf '%s\n' "$answer"
}

# conn_open: a connection that stays; its descriptor here is CONN.
conn_open() {
	exec {CONN}<>"/dev/tcp/127.0.0.1/${1:-$SRV_PORT}"
}
# tell FD WORD...: the answer is in ANSWER.
tell() {
	local fd=$1
	shift
	echo "$*" >&"$fd"
	read -r -t 10 ANSWER <&"$fd"
}
conn_close() { exec {CONN}<&- {CONN}>&-; }

server_end() {
	local status=0
	tell_once end >/dev/null || return 1
	wait "$SRV_PID" || status=$?
	same "exit status" 0 "$status"
}

# json FILTER: a Python expression over the JSON on standard input, as d.
json() {
	"$PY" -c 'import json, sys
d = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$1"
}

# row FD FIELD: of that socket of the server.
row() {
	"$MP" sockets --json "$SRV_PID" fd "$1" | json "d[0]['$2']"
}

# count NAME [PID]: a counter over all channels of a process.
count() {
	"$MP" stat --json "${2:-$SRV_PID}" | json \
		"sum(c['counters']['$1'] for p in d if p['pid'] == ${2:-$SRV_PID} for c in p['channels'])"
}

# fails STATUS TEXT COMMAND...: that exit status, and a message with the text.
fails() {
	local status=0 want=$1 text=$2 said
	shift 2
	said=$("$@" 2>&1 >/dev/null) || status=$?
	printf '%s: %s\n' "$*" "$said"
	same "exit status of $*" "$want" "$status" &&
		[[ $said == *"$text"* && $said == megapipe:* ]]
}

# lacks FILE PATTERN: nothing of that kind is in it.
lacks() {
	if grep -q -e "$2" "$1"; then
		echo "found in $1: $2"
		return 1
	fi
}
