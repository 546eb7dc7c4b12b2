# SPDX-License-Identifier: MIT
# Any server in the modes of lib.bash, and how a mode is compared with plain:
# a session prints what its clients saw of a server that it starts and ends,
# and that text has to be the same. Needs lib.bash.
# shellcheck shell=bash disable=SC2034,SC2154

SRV_SITE=$MP_HERE

# need COMMAND...: or the test says which one is not there.
need() {
	local name
	for name; do
		command -v "$name" >/dev/null || skip "$name is not installed"
	done
}

# serve NAME COMMAND...: in the foreground as a job, in the mode of the test,
# in a directory of its own. Sets SRV_PID and SRV_DIR. A session of its own,
# too: some servers end by a signal to their whole process group.
serve() {
	SRV_DIR=$MP_DIR/$1
	shift
	mkdir -p "$SRV_DIR"
	chmod 0777 "$SRV_DIR"
	(
		ulimit -c 0
		cd "$SRV_DIR" || exit
		exec setsid "${MP_PREFIX[@]}" "$@" </dev/null >>"$SRV_DIR/stdout" \
			2>>"$SRV_DIR/stderr" 3>&-
	) &
	SRV_PID=$!
}

# unserve SIGNAL STATUS [PID]: end it; its exit status must be that one.
unserve() {
	local status=0
	kill -"$1" "${3:-$SRV_PID}"
	wait "${3:-$SRV_PID}" || status=$?
	same "exit status after SIG$1" "$2" "$status" >&2
}

# backend: a plain backend.py. Sets BACK_http, BACK_fastcgi and so on to ports.
backend() {
	local prefix=("${MP_PREFIX[@]}") name port
	MP_PREFIX=()
	mkdir -p "$MP_DIR/backend"
	rm -f "$MP_DIR/backend/ports"
	serve backend "$PY" "$MP_HERE/backend.py" "$MP_DIR/backend/ports"
	BACK_PID=$SRV_PID
	wait_for 10 test -e "$MP_DIR/backend/ports"
	while IFS='=' read -r name port; do
		printf -v "BACK_$name" %s "$port"
	done <"$MP_DIR/backend/ports"
	MP_PREFIX=("${prefix[@]}")
}

backend_end() {
	kill -TERM "$BACK_PID"
	wait "$BACK_PID" 2>/dev/null || true
}

client() { timeout 60 "$PY" "$MP_HERE/client.py" "$@"; }

# as_plain MODE SESSION [ARGUMENT...]: SESSION natively, once for all modes of
# a file, then in MODE. With MP_TWICE=1 the mode plain runs it a second time:
# whether what it prints depends on anything but the server is seen that way.
as_plain() {
	local mode=$1 plain
	shift
	plain=$BATS_FILE_TMPDIR/$(tr -c '[:alnum:]\n' _ <<<"$*").plain
	mp_env "$mode"
	local prefix=("${MP_PREFIX[@]}")
	if [[ ! -e $plain ]]; then
		MP_PREFIX=() MP_MODE=plain
		"$@" >"$MP_DIR/plain.out"
		mv "$MP_DIR/plain.out" "$plain"
		[[ $mode != plain || -n ${MP_TWICE:-} ]] || return 0
	fi
	MP_PREFIX=("${prefix[@]}") MP_MODE=$mode
	: >"$MP_STATS"
	rm -rf "$MP_DIR"/server*
	"$@" >"$MP_DIR/$mode.out"
	diff -au "$plain" "$MP_DIR/$mode.out"
}

# server_dir: a directory for the server before it is started, with a key.
server_dir() {
	SRV_DIR=$MP_DIR/server
	mkdir "$SRV_DIR"
	chmod 0777 "$SRV_DIR"
	tls_make "$SRV_DIR"
	chmod 0644 "$SRV_DIR"/*.pem
}

# session_verify NAME...: mp_verify for servers of that session, with their
# lines wherever they went.
session_verify() {
	local name files=()
	for name; do
		files+=("$MP_DIR/$name"/{stdout,stderr,error.log})
	done
	mp_verify "${files[@]}"
}

# session_untouched NAME...: a server that waits in none of epoll's ways is
# the kernel's in every mode, and no reason to say anything.
session_untouched() {
	local name files=() said
	for name; do
		files+=("$MP_DIR/$name"/{stdout,stderr})
	done
	said=$(own_lines "${files[@]}") || true
	echo "mode $MP_MODE: accepted=$(stat_sum accepted), lines: $said"
	((said == 0 && $(stat_sum accepted) == 0))
}

# get CURL-ARGUMENT...: the test's own certificate is trusted.
get() {
	local trust=()
	[[ ! -e $SRV_DIR/cert.pem ]] || trust=(--cacert "$SRV_DIR/cert.pem")
	curl -sS -m 30 "${trust[@]}" "$@" 2>&1 || echo "curl exit $?"
}

# web_files URL: the files of www_make, in the ways every server has.
web_files() {
	local url=$1 file version
	for version in --http1.1 --http2; do
		[[ $version$url != --http2http:* ]] || continue
		for file in small.html f612 f64k f5m none; do
			get $version -w '%{http_code} %{size_download}\n' \
				-o "$MP_DIR/got" "$url/$file"
			[[ $file == none ]] || sha "$MP_DIR/got"
		done
		get $version "$url"/f612{,,,} "$url"/f64k{,,,} | sha
		get $version -r 100-300000 "$url/f5m" | sha
		get $version -I "$url/f64k" | grep -i '^content-length'
	done
	get --http1.0 "$url/f64k" | sha
	get -H 'Connection: close' "$url/f612" | sha
}

# web_raw PORT: requests in one piece, in pieces, and of no sense.
web_raw() {
	"$PY" "$MP_HERE/raw.py" "$1" /f612 /f64k --repeat 10 | grep -a -c HTTP/
	"$PY" "$MP_HERE/raw.py" "$1" /f612 --piece 3 | tail -n 1 | grep -ao 'end:.*'
	"$PY" "$MP_HERE/raw.py" "$1" /x --text 'nonsense\r\n\r\n' | head -c 12
	echo
}

# web_backend URL: what a server passes on to a backend.py behind it.
web_backend() {
	local url=$1 path
	for path in bytes/{0,1,1000,70000,3000000} chunked/300000 \
		close/100000 slow/40000; do
		printf '%s ' "$path"
		get "$url/$path" | sha
	done
	get --data-binary "@$MP_WWW/f5m" "$url/sum"
	get --data-binary "@$MP_WWW/f612" "$url/sum" \
		--next -sS "$url/bytes/7" | sha
	get -T - "$url/sum" <"$MP_WWW/f64k"
}

# web_load PORT PATH FILE: clients that keep connections and such that do not.
web_load() {
	local mode
	for mode in keep short; do
		"$PY" "$MP_HERE/load.py" --port "$1" --mode $mode --threads 6 \
			--requests "${WEB_REQUESTS:-400}" --get "$2=$3" --any-end |
			sed 's/retried=[0-9]* //'
	done
}

# session_served NAME...: mp_verify where connections may be taken by epoll
# without being accepted from it: at least one was the library's.
session_served() {
	local name files=() said served
	for name; do
		files+=("$MP_DIR/$name"/{stdout,stderr,error.log})
	done
	said=$(own_lines "${files[@]}") || true
	served=$(($(stat_sum accepted) + $(stat_sum adopted)))
	echo "mode $MP_MODE: accepted or adopted=$served, lines: $said"
	case $MP_MODE in
	plain) ((served == 0 && said == 0)) ;;
	on | off) ((served > 0 && said == 0)) ;;
	refused) ((served == 0 && said > 0)) ;;
	esac
}

# silent_verify NAME...: whatever of it is ours, nothing was said, unless it
# was refused.
silent_verify() {
	local name files=() said
	for name; do
		files+=("$MP_DIR/$name"/{stdout,stderr,error.log})
	done
	said=$(own_lines "${files[@]}") || true
	echo "mode $MP_MODE: accepted=$(stat_sum accepted)" \
		"adopted=$(stat_sum adopted), lines: $said"
	[[ $MP_MODE == refused ]] || ((said == 0))
}
