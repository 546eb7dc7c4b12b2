# SPDX-License-Identifier: MIT
# What every integration test shares: the modes a server is run in, free
# ports, waiting for a condition, and cleaning up by process id.
# The native run ("plain") is the oracle: only the server's environment
# differs between modes; clients never get the preload.
# shellcheck shell=bash disable=SC2034 # others read what is set here

MP_TOP=${MP_TOP:-$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)}
MP_BUILD=${MP_BUILD:-$MP_TOP/build}
MP_LIB=$MP_BUILD/libmegapipe-preload.so
MP_REFUSE=$MP_BUILD/tests/tools/refuse
MP_HERE=$MP_TOP/integration

# Debian's own interpreter first: version managers put slow scripts on PATH.
PY=/usr/bin/python3
[[ -x $PY ]] || PY=$(command -v python3)

# Work of one test. Not BATS_TEST_TMPDIR: that one is mode 0700, and the
# workers of a server started by root run as somebody else.
mp_dir_new() {
	local dir
	dir=$(mktemp -d "${TMPDIR:-/tmp}/megapipe.XXXXXX") || return 1
	chmod 0755 "$dir"
	printf '%s\n' "$dir"
}

mp_setup() {
	MP_DIR=$(mp_dir_new)
	MP_STATS=$MP_DIR/stats
	: >"$MP_STATS"
	chmod 0666 "$MP_STATS"
	MP_PREFIX=()
	nginx_defaults 2>/dev/null || true
}

mp_teardown() {
	[[ -n ${MP_DIR:-} ]] || return 0
	[[ -n ${BATS_TEST_COMPLETED:-} ]] || mp_report
	mp_end_all
	rm -rf "$MP_DIR"
}

# Print what the servers said, so that a failure explains itself.
mp_report() {
	local file
	for file in "$MP_DIR"/*/{stderr,error.log,redis.log} "$MP_STATS"; do
		[[ -s $file ]] || continue
		printf '== %s\n' "${file#"$MP_DIR"/}"
		tail -n 15 "$file"
	done
}

# mp_env MODE: set MP_PREFIX, what comes before the server's command.
#   plain    nothing
#   on       the preload, accepted sockets without a kernel descriptor
#   off      the preload, every socket an ordinary descriptor
#   refused  the preload where io_uring_setup() fails with EPERM
# MP_MODES="plain on" restricts a run to those modes.
mp_env() {
	local mode=$1
	if [[ -n ${MP_MODES:-} && " $MP_MODES " != *" $mode "* ]]; then
		skip "mode $mode is not in MP_MODES ($MP_MODES)"
	fi
	MP_MODE=$mode
	MP_PREFIX=()
	[[ $mode != plain ]] || return 0
	mp_need_lib
	local preload=(env "LD_PRELOAD=$MP_LIB" "MEGAPIPE_STATS=$MP_STATS")
	case $mode in
	on | off) MP_PREFIX=("${preload[@]}" "MEGAPIPE_LWSOCKET=$mode") ;;
	refused) MP_PREFIX=("$MP_REFUSE" "${2:-EPERM}" -- "${preload[@]}") ;;
	*) echo "no such mode: $mode" && return 1 ;;
	esac
}

mp_need_lib() {
	[[ -e $MP_LIB ]] || skip "build/libmegapipe-preload.so is missing"
}

# The rest of a load or a wait is bounded: poll, never sleep and hope.
# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@"; do
		if ((${EPOCHREALTIME/[.,]/} > end)); then
			echo "gave up waiting for: $*"
			return 1
		fi
		sleep 0.02
	done
}

# COUNT ports nobody has, below the ephemeral range: above it, a client's
# own outgoing connection could take the number before the server binds.
free_ports() {
	"$PY" - "$1" <<-'PY'
		import random, socket, sys
		low = int(open("/proc/sys/net/ipv4/ip_local_port_range").read().split()[0])
		low = low if low > 12000 else 32768
		ports = []
		while len(ports) < int(sys.argv[1]):
		    port = random.randrange(10000, low)
		    with socket.socket() as sock:
		        try:
		            sock.bind(("127.0.0.1", port))
		        except OSError:
		            continue
		    if port not in ports:
		        ports.append(port)
		print(*ports)
	PY
}

port_answers() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

port_refuses() {
	! port_answers "$1" && return 0
	echo "something still accepts on port $1"
	return 1
}

# A zombie is gone: under an init that reaps late it would stay listed.
pid_gone() {
	local state
	state=$(ps -o state= -p "$1") || return 0
	[[ $state == Z* ]]
}

# Processes that hold a file under our directory open are ours, also after
# their parent died and init adopted them.
mp_procs() {
	find /proc/[0-9]*/fd -lname "$MP_DIR/*" 2>/dev/null |
		cut -d/ -f3 | sort -nu | grep -vx "$$"
}

mp_none_left() { [[ -z $(mp_procs) ]]; }

mp_end_all() {
	local pids
	mapfile -t pids < <(mp_procs)
	((${#pids[@]})) || return 0
	kill -TERM "${pids[@]}" 2>/dev/null || true
	wait_for 3 mp_none_left >/dev/null && return 0
	mapfile -t pids < <(mp_procs)
	((${#pids[@]})) || return 0
	kill -KILL "${pids[@]}" 2>/dev/null || true
	wait_for 3 mp_none_left
}

children() { cat /proc/"$1"/task/*/children 2>/dev/null | tr -s ' ' '\n' | sed '/^$/d'; }

rss_kib() { awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"; }
fd_count() { find "/proc/$1/fd" -mindepth 1 2>/dev/null | wc -l; }

# stat_sum NAME: a counter summed over all processes of this test.
stat_sum() {
	awk -v name="$1" '{
		for (i = 1; i <= NF; i++)
			if (split($i, kv, "=") == 2 && kv[1] == name)
				sum += kv[2]
	} END { print sum + 0 }' "$MP_STATS"
}

own_lines() { cat "$@" 2>/dev/null | grep -c '^megapipe:'; }

# mp_verify LOG...: after the server ended, was this run what its mode says?
# Accelerated runs must have accepted through a channel and said nothing;
# a refused run must have said so once for each server (MP_STARTS), and may
# have said it for each command that only talks to one (MP_CONTROLS).
mp_verify() {
	local said accepted
	said=$(own_lines "$@") || true
	accepted=$(stat_sum accepted)
	echo "mode $MP_MODE: accepted=$accepted, lines from the library: $said"
	case $MP_MODE in
	plain) ((accepted == 0 && said == 0)) ;;
	on | off) ((accepted > 0 && said == 0)) ;;
	refused)
		((accepted == 0 && said >= ${MP_STARTS:-1} &&
			said <= ${MP_STARTS:-1} + ${MP_CONTROLS:-0}))
		;;
	esac
}

# same WHAT EXPECTED ACTUAL: compare, and show both when they differ.
same() {
	[[ $2 == "$3" ]] && return 0
	printf 'differs: %s\n--- expected\n%s\n--- got\n%s\n' "$1" "$2" "$3"
	return 1
}

sha() { sha256sum "$@" | cut -d' ' -f1; }

# mp_with NAME=VALUE...: more environment for the server of this test.
mp_with() { MP_PREFIX+=("$@"); }

# tls_make DIR: a key and a certificate for 127.0.0.1.
tls_make() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 3 \
		-set_serial 1 -subj /CN=localhost \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$1/key.pem" \
		-out "$1/cert.pem" 2>/dev/null
	cat "$1/key.pem" "$1/cert.pem" >"$1/both.pem"
}
