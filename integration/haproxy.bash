# SPDX-License-Identifier: MIT
# Start and stop an unmodified haproxy in its own directory. Needs lib.bash.
# shellcheck shell=bash disable=SC2034 # others read what is set here

# What a test may set before haproxy_start.
haproxy_defaults() {
	HAP_THREADS=1
	HAP_GLOBAL=
	HAP_DEFAULTS=
	HAP_BIND=
	HAP_REUSE=always
	HAP_MAXCONN=500
	HAP_UPSTREAM=9
	HAP_ARGS=()
}

haproxy_conf() {
	local conf word
	HAP_DIR=$MP_DIR/$1
	mkdir -p "$HAP_DIR"
	[[ -s $HAP_DIR/ports ]] || free_ports 3 >"$HAP_DIR/ports"
	read -r HAP_PORT HAP_TCP HAP_TLS <"$HAP_DIR/ports"
	[[ -e $HAP_DIR/both.pem ]] || tls_make "$HAP_DIR"
	conf=$(<"$MP_HERE/conf/haproxy.cfg")
	local -A words=([DIR]=$HAP_DIR [PORT]=$HAP_PORT [TCP]=$HAP_TCP
		[TLS]=$HAP_TLS [THREADS]=$HAP_THREADS [GLOBAL]=$HAP_GLOBAL
		[DEFAULTS]=$HAP_DEFAULTS [BIND]=$HAP_BIND [REUSE]=$HAP_REUSE
		[MAXCONN]=$HAP_MAXCONN [UPSTREAM]=$HAP_UPSTREAM)
	for word in "${!words[@]}"; do
		conf=${conf//@$word@/${words[$word]}}
	done
	printf '%s\n' "$conf" >"$HAP_DIR/haproxy.cfg"
}

# haproxy_start NAME [ARGUMENT...]: in the foreground, as a job; sets HAP_PID.
haproxy_start() {
	haproxy_conf "$1"
	shift
	(
		ulimit -c 0
		exec "${MP_PREFIX[@]}" haproxy -f "$HAP_DIR/haproxy.cfg" \
			"$@" </dev/null >>"$HAP_DIR/stdout" \
			2>>"$HAP_DIR/stderr" 3>&-
	) &
	HAP_PID=$!
	wait_for 10 haproxy_serves "$HAP_PORT"
}

haproxy_serves() {
	curl -s -m 2 -o "$HAP_DIR/serves" "http://127.0.0.1:$1/hello"
}

# haproxy_end [SIGNAL]: and its exit status must be what a signal makes it.
haproxy_end() {
	local status=0
	kill -"${1:-USR1}" "$HAP_PID"
	wait "$HAP_PID" || status=$?
	same "exit status" "${2:-0}" "$status"
}

# A listener that two threads watch is the kernel's; what they accept from it
# is driven by their channels all the same: adopted counts that.
haproxy_verify() {
	local said adopted
	((HAP_THREADS > 1)) || {
		mp_verify "$MP_DIR/$1/stderr"
		return
	}
	said=$(own_lines "$MP_DIR/$1/stderr") || true
	adopted=$(stat_sum adopted)
	echo "mode $MP_MODE: adopted=$adopted, lines from the library: $said"
	case $MP_MODE in
	plain) ((adopted == 0 && said == 0)) ;;
	on | off) ((adopted > 0 && said == 0)) ;;
	refused) ((adopted == 0 && said >= ${MP_STARTS:-1})) ;;
	esac
}
