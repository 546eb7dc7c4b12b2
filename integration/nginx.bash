# SPDX-License-Identifier: MIT
# Start and stop an unmodified nginx in its own directory, with the files
# that the tests ask for. Needs lib.bash; nothing here depends on bats.
# shellcheck shell=bash disable=SC2034,SC2154

# A whole path: the binary upgrade executes what it was started as.
NGX_BIN=$(command -v nginx)

# What a test may set before nginx_start; nginx_defaults puts it back.
nginx_defaults() {
	NGX_WORKERS=1
	NGX_DAEMON=on
	NGX_LISTEN=
	NGX_MAIN=
	NGX_EVENTS=
	NGX_HTTP=
	NGX_SERVER=
	NGX_UPSTREAM=9
	NGX_LIMIT=
}

# Files to serve: every size the data paths of a server treat differently.
# Fixed seed, so that two runs can be compared by their checksums.
www_make() {
	local www file
	www=$(mp_dir_new)
	"$PY" - "$www" <<-'PY'
		import os, random, sys
		rng = random.Random(612)
		for name, size in (("f612", 612), ("f64k", 65536), ("f5m", 5 << 20)):
		    with open(os.path.join(sys.argv[1], name), "wb") as out:
		        out.write(rng.randbytes(size))
		with open(os.path.join(sys.argv[1], "f100m"), "wb") as out:
		    for _ in range(100):
		        out.write(rng.randbytes(1 << 20))
	PY
	printf '<!doctype html><title>small</title>small page\n' >"$www/small.html"
	for file in small.html f612 f64k f5m f100m; do
		sha "$www/$file" >"$www/$file.sum"
	done
	printf '%s\n' "$www"
}

www_sum() { cat "$MP_WWW/$1.sum"; }

# nginx_conf NAME: write NAME's configuration; sets NGX_DIR and NGX_PORT.
nginx_conf() {
	local conf word
	NGX_DIR=$MP_DIR/$1
	if [[ ! -d $NGX_DIR ]]; then
		mkdir "$NGX_DIR" && mkdir -m 0777 "$NGX_DIR/stored"
		: >"$NGX_DIR/error.log"
	fi
	[[ -s $NGX_DIR/port ]] || free_ports 1 >"$NGX_DIR/port"
	NGX_PORT=$(<"$NGX_DIR/port")
	conf=$(<"$MP_HERE/conf/nginx.conf")
	local -A words=([DIR]=$NGX_DIR [PORT]=$NGX_PORT [WWW]=$MP_WWW
		[MAIN]=$(nginx_user)$NGX_MAIN [DAEMON]=$NGX_DAEMON
		[WORKERS]=$NGX_WORKERS [HTTP]=$NGX_HTTP [SERVER]=$NGX_SERVER
		[UPSTREAM]=$NGX_UPSTREAM [LISTEN]=$NGX_LISTEN
		[EVENTS]=${NGX_EVENTS:-worker_connections 2048;})
	for word in "${!words[@]}"; do
		conf=${conf//@$word@/${words[$word]}}
	done
	printf '%s\n' "$conf" >"$NGX_DIR/nginx.conf"
}

# As root the workers drop to another user, as on every real machine.
nginx_user() {
	((EUID == 0)) || return 0
	printf 'user www-data;\n'
}

# nginx_run NAME ARGUMENT...: nginx itself, in the mode of the test.
# The started server must not hold the descriptors bats waits for.
nginx_run() {
	local dir=$MP_DIR/$1
	shift
	(
		# shellcheck disable=SC2086 # an option and its value
		[[ -z $NGX_LIMIT ]] || ulimit $NGX_LIMIT
		ulimit -c 0
		exec "${MP_PREFIX[@]}" "$NGX_BIN" -p "$dir" -e "$dir/error.log" \
			-c "$dir/nginx.conf" "$@" \
			</dev/null >>"$dir/stdout" 2>>"$dir/stderr" 3>&-
	)
}

# nginx_start NAME: start and wait until it serves; sets NGX_PID.
nginx_start() {
	nginx_conf "$1"
	if [[ $NGX_DAEMON == on ]]; then
		nginx_run "$1"
	else
		nginx_run "$1" &
		NGX_JOB=$!
	fi
	wait_for 10 nginx_serves "$NGX_DIR"
	NGX_PID=$(<"$NGX_DIR/nginx.pid")
}

nginx_serves() {
	[[ -s $1/nginx.pid ]] && curl -s -m 2 -o "$1/serves" \
		"http://127.0.0.1:$(<"$1/port")/hello"
}

# Workers only: during a binary upgrade the new master is a child, too.
nginx_workers() {
	local pid
	for pid in $(children "$1"); do
		grep -qsa '^nginx: worker process' "/proc/$pid/cmdline" &&
			printf '%s\n' "$pid"
	done
	return 0
}
nginx_has_workers() { (($(nginx_workers "$1" | wc -l) == $2)); }

# nginx_end PID [SIGNAL]: and wait for the master, which waits for workers.
nginx_end() {
	kill -"${2:-QUIT}" "$1"
	wait_for 10 pid_gone "$1"
}

# The server itself saw nothing wrong. Asking for a file that is not there
# is an error to nginx, and a thing the tests do.
nginx_log_clean() {
	if grep -E '\[(alert|emerg|crit|error)\]' "$MP_DIR/$1/error.log" |
		grep -v 'No such file or directory'; then
		echo "unexpected in the error log of $1"
		return 1
	fi
}

nginx_verify() { mp_verify "$MP_DIR/$1/stderr" "$MP_DIR/$1/error.log"; }

# load_start NAME ARGUMENT...: load.py until load_end, at most 60 s.
load_start() {
	local name=$1
	shift
	"$PY" "$MP_HERE/load.py" --port "$NGX_PORT" --seconds 60 \
		--until "$MP_DIR/enough" --ready "$MP_DIR/$name.ready" \
		--get "/hello=text:hello, world" --get "/f612=$MP_WWW/f612" \
		--get "/f64k=$MP_WWW/f64k" "$@" >"$MP_DIR/$name.out" 2>&1 3>&- &
	eval "LOAD_$name=\$!"
	wait_for 10 test -e "$MP_DIR/$name.ready"
}

# load_end NAME: no failure, and what it counted.
load_end() {
	local name=$1 status=0 job=LOAD_$1
	touch "$MP_DIR/enough"
	wait "${!job}" || status=$?
	echo "$name: $(cat "$MP_DIR/$name.out")"
	return $status
}

# log_says TEXT COUNT: the error log has it at least so often.
log_says() { (($(grep -c "$1" "$NGX_DIR/error.log") >= $2)); }
