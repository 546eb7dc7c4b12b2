#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every message that the command and the library have for a bad input: it is
# brought about, exit status and text are right, and the last test finds those
# in the sources that no test here has seen. Colours, too.
# timeout: 120

load lib
load cli
load private

setup_file() {
	HEARD=$(mp_dir_new)/heard
	export HEARD
	: >"$HEARD"
	chmod 0666 "$HEARD"
}
teardown_file() { rm -rf "${HEARD%/*}"; }

setup() { mp_setup; }
teardown() { mp_teardown; }

# hears STATUS TEXT COMMAND...: that exit status, that text on standard error.
hears() {
	local status=0 want=$1 text=$2
	shift 2
	"$@" >"$MP_DIR/out" 2>"$MP_DIR/err" </dev/null || status=$?
	cat "$MP_DIR/err" >>"$HEARD"
	printf '%s: ' "$*"
	cat "$MP_DIR/err"
	same "exit status of $*" "$want" "$status" &&
		grep -qF -- "$text" "$MP_DIR/err" &&
		grep -qE '^megapipe(\[[0-9]+\])?: ' "$MP_DIR/err"
}

nobody() {
	setpriv --reuid nobody --regid nogroup --clear-groups "$@"
}

@test "messages: arguments of the command" {
	hears 2 "there is no command 'nginx'" "$MP" nginx
	hears 2 "there is no option '--nothing'" "$MP" --nothing
	hears 2 "'now': no argument is expected" "$MP" doctor now
	hears 2 "'X': no argument is expected" "$MP" env X
	hears 1 "cannot write to standard output: No space left" \
		sh -c '"$0" env >/dev/full' "$MP"
	for command in doctor env run sockets stat; do
		hears 2 "there is no option '--nothing'" "$MP" $command --nothing
		hears 2 "option '-%' is not known" "$MP" $command -%
		grep -qx "Help: megapipe $command --help" "$MP_DIR/err"
		hears 2 "option '--help=x' lacks its value, or takes none" \
			"$MP" $command --help=x
	done
	hears 2 "option '--config' lacks its value" "$MP" run --config
	hears 2 "option '--count' lacks its value" "$MP" stat --count
}

@test "messages: stat and sockets" {
	hears 2 "--interval=0: accepted are 1 to 3600 seconds" \
		"$MP" stat -w --interval=0
	hears 2 "--count=many: accepted are 1 to 1000000 screens" \
		"$MP" stat -w --count=many
	hears 2 "--interval and --count need --watch" "$MP" stat -n 3
	hears 2 "only one of --json, --prometheus and --watch" "$MP" stat -jp
	for command in stat sockets; do
		hears 1 "'no-such-name': there is no such process" \
			"$MP" $command no-such-name
		hears 1 "'$$' runs without the library: start it by 'megapipe run'" \
			"$MP" $command $$
	done
	hears 2 "filter 'state asleep': accepted is all, connected" \
		"$MP" sockets state asleep
	hears 2 "filter 'state': accepted is all" "$MP" sockets state
	hears 2 "filter 'sport 70000': accepted is a port: 0 to 65535" \
		"$MP" sockets sport 70000
	hears 2 "filter 'dst 1.2.3': accepted is ADDRESS[/BITS][:PORT], or" \
		"$MP" sockets dst 1.2.3
	hears 2 "filter 'src [::1': accepted is ADDRESS" "$MP" sockets src '[::1'
	hears 2 "filter 'fd x': accepted is a descriptor's number" \
		"$MP" sockets fd x
	hears 2 "filter 'depth deep': accepted is lw, materialised, fd, given" \
		"$MP" sockets depth deep
	hears 2 "filter 'nonsense': accepted are state, sport, dport" \
		"$MP" sockets state all and nonsense
	hears 2 "filter '': accepted are state" "$MP" sockets not
	# shellcheck disable=SC2046 # several words
	hears 2 "a filter has 32 terms at most" "$MP" sockets \
		$(for i in {1..33}; do echo fd "$i"; done)
}

# A process that shows itself as another version of the library would.
@test "messages: another version" {
	"$PY" -c 'import os, signal
fd = os.memfd_create("megapipe")
os.truncate(fd, 1 << 20)
print("ready", flush=True)
signal.pause()' >"$MP_DIR/ready" 3>&- &
	pid=$!
	wait_for 5 grep -q ready "$MP_DIR/ready"
	hears 1 "the library in $pid is of another version than this command" \
		"$MP" stat "$pid"
	# It is of no matter to others, and named when both are asked for.
	server_start
	"$PY" -c 'import signal; signal.pause()' 3>&- &
	without=$!
	hears 1 "'$without' runs without the library" "$MP" stat "$without"
	hears 0 "not shown: 1 that run with another version of the library" \
		"$MP" stat "$pid" "$SRV_PID"
	grep -q "(pid $SRV_PID)" "$MP_DIR/out"
	"$MP" stat "$SRV_PID" 2>"$MP_DIR/err" | grep "(pid $SRV_PID)"
	same "said" "" "$(<"$MP_DIR/err")"
	server_end
	kill "$pid" "$without"
}

@test "messages: stat --watch of a process that ends" {
	server_start
	"$MP" stat -w "$SRV_PID" >"$MP_DIR/out" 2>"$MP_DIR/err" &
	job=$!
	wait_for 5 grep -q 'since the start' "$MP_DIR/out"
	server_end
	status=0
	wait "$job" || status=$?
	same "status" 1 "$status"
	cat "$MP_DIR/err" >>"$HEARD"
	grep -qx 'megapipe: the processes have ended' "$MP_DIR/err"
}

@test "messages: nobody, and another user's" {
	need_private
	cp "$MP" "$MP_DIR/megapipe"
	hears 1 "no process runs with the library" private "$MP" stat
	hears 1 "no process runs with the library (of yours: root sees all)" \
		private setpriv --reuid nobody --clear-groups "$MP_DIR/megapipe" stat
	hears 125 "is neither beside this command nor in" private sh -c \
		'rm -f /usr/local/lib/libmegapipe-preload.so; exec "$0" run true' \
		"$MP_DIR/megapipe"
	grep -q ': install it, or name it by --library$' "$MP_DIR/err"
	hears 1 "another user's is shown to root only" \
		nobody "$MP_DIR/megapipe" stat no-such-name
	hears 1 "the library in these processes is of another version" private \
		sh -c '"$1" -c "import os, subprocess, sys
fd = os.memfd_create(\"megapipe\")
os.truncate(fd, 1 << 20)
sys.exit(subprocess.run([sys.argv[1], \"stat\"]).returncode)" "$2"' \
		sh "$PY" "$MP"
}

@test "messages: run" {
	hears 2 "a program is missing" "$MP" run
	hears 2 "-e nothing: accepted is NAME=VALUE" "$MP" run -e nothing true
	hears 125 "--config=/no/such: No such file" "$MP" run -c /no/such true
	hears 125 "--library=/no/such: No such file" "$MP" run -l /no/such true
	hears 127 "no-such-program: there is no such program" \
		"$MP" run no-such-program
	: >"$MP_DIR/file"
	hears 126 "$MP_DIR/file: it is not executable: chmod +x" \
		"$MP" run "$MP_DIR/file"
	mkdir "$MP_DIR/a dir"
	cp "$MP_LIB" "$MP_DIR/a dir/"
	hears 125 "LD_PRELOAD cannot hold a path with a blank or a colon" \
		"$MP" run --library="$MP_DIR/a dir/${MP_LIB##*/}" true
}

@test "messages: run: programs that cannot be preloaded into" {
	true=$(type -P true)
	# glibc's own is linked statically.
	hears 0 "it is linked statically, LD_PRELOAD does not reach it" \
		"$MP" run /sbin/ldconfig --version
	cp "$true" "$MP_DIR/mips"
	printf '\10\0' | dd of="$MP_DIR/mips" bs=1 seek=18 conv=notrunc status=none
	hears 126 "it is for another architecture than the library" \
		"$MP" run "$MP_DIR/mips"
	grep -qx "megapipe: $MP_DIR/mips: Exec format error" "$MP_DIR/err"
	"$PY" - "$true" "$MP_DIR/musl" <<-'PY'
		import re, sys
		data = open(sys.argv[1], "rb").read()
		loader = re.search(rb"/lib[^\0]*/ld-linux[^\0]*", data)[0]
		data = data.replace(loader, b"/lib/ld-musl-x.so.1".ljust(len(loader), b"\0"))
		open(sys.argv[2], "wb").write(data)
	PY
	chmod +x "$MP_DIR/musl"
	hears 126 "it uses musl, the library is made for glibc" \
		"$MP" run "$MP_DIR/musl"
	((EUID == 0)) || skip "root makes the other files"
	command -v setcap >/dev/null || skip "setcap is not installed"
	cp "$MP" "$MP_LIB" "$true" "$MP_DIR/"
	chmod 4755 "$MP_DIR/true"
	hears 0 "it is set-user-ID or set-group-ID, for which LD_PRELOAD is" \
		nobody "$MP_DIR/megapipe" run "$MP_DIR/true"
	chmod 0755 "$MP_DIR/true"
	setcap cap_net_bind_service+ep "$MP_DIR/true"
	hears 0 "it has file capabilities, for which LD_PRELOAD is ignored" \
		nobody "$MP_DIR/megapipe" run "$MP_DIR/true"
}

@test "messages: run without io_uring" {
	without() { hears 0 "true: $2; it will run without channels ($3" \
		"$MP_REFUSE" "$1" -- "$MP" run "$(type -P true)"; }
	without EPERM "forbidden by a seccomp filter" \
		"allow io_uring_setup, io_uring_enter and io_uring_register in"
	without EINVAL "io_uring is older than Linux 6.1" "Linux 6.1 or later"
	without ENOMEM "too little locked memory" "raise the limit of locked memory"
	without EMFILE "no descriptor is left" "raise the limit of open files"
	need_private
	echo 2 >"$MP_DIR/disabled"
	hears 0 "forbidden by kernel.io_uring_disabled" \
		"$MP_REFUSE" EPERM -- unshare --mount sh -c \
		'mount --bind "$0" /proc/sys/kernel/io_uring_disabled && exec "$@"' \
		"$MP_DIR/disabled" "$MP" run true
	grep -qF "(sysctl kernel.io_uring_disabled=0)" "$MP_DIR/err"
	# ENOSYS where the kernel has the switch: a filter that hides it.
	[[ ! -e /proc/sys/kernel/io_uring_disabled ]] ||
		without ENOSYS "forbidden by a seccomp filter" "allow io_uring_setup"
	hears 0 "this kernel has no io_uring; it will run without channels (Linux 6.1 or later" \
		"$MP_REFUSE" ENOSYS -- unshare --mount sh -c \
		'mount -t tmpfs none /proc/sys/kernel && exec "$@"' sh "$MP" run true
}

smaller_rings() (
	ulimit -l $((RANDOM % 40 + 12))
	hears 0 "too little locked memory for whole rings; its batches will be smaller (raise the limit" \
		nobody "$MP_DIR/megapipe" run -v true >/dev/null
)

# Nobody is told who has not asked: a server of one process does not care.
@test "messages: run with less" {
	((EUID == 0)) || skip "root has to become another user"
	cp "$MP" "$MP_LIB" "$MP_DIR/"
	bpf=$(sysctl -n kernel.unprivileged_bpf_disabled)
	((bpf)) || skip "everybody may use eBPF here"
	less() { hears 0 "$@"; same "lines" 1 "$(wc -l <"$MP_DIR/err")"; }
	nobody "$MP_DIR/megapipe" run -e MEGAPIPE_PARTITION=cbpf true \
		2>"$MP_DIR/err"
	same "another way is asked for" "" "$(<"$MP_DIR/err")"
	less "true: eBPF cannot be used; its processes will share one accept queue (CAP_BPF and CAP_PERFMON; see megapipe doctor)" \
		nobody "$MP_DIR/megapipe" run -e MEGAPIPE_PARTITION=ebpf true
	chosen="if it has several processes, their accept queues are chosen by CPU"
	less "$chosen" nobody "$MP_DIR/megapipe" run true
	less "$chosen" nobody "$MP_DIR/megapipe" run -e MEGAPIPE=strict true
	# The kernel takes its time to give back what another ring had locked.
	wait_for 20 smaller_rings
	nobody "$MP_DIR/megapipe" run -qv true 2>"$MP_DIR/err"
	same "quiet" "" "$(<"$MP_DIR/err")"
}

# library STATUS TEXT VAR=VALUE...: a program that only ends, preloaded.
library() {
	local status=$1 text=$2
	shift 2
	hears "$status" "$text" env "LD_PRELOAD=$MP_LIB" "$@" true
}

@test "messages: settings of the library" {
	library 0 "MEGAPIPE=maybe is not understood (accepted: on off strict); using on" \
		MEGAPIPE=maybe
	library 0 "MEGAPIPE_BATCH=0 is not understood (accepted: 1 to 4096 requests); using 32" \
		MEGAPIPE_BATCH=0
	library 0 "MEGAPIPE_LISTEN=x is not understood (accepted: [!]ADDRESS[:PORT]" \
		MEGAPIPE_LISTEN=x
	library 0 'MEGAPIPE_CPUS=x: "x" is no list of CPUs (accepted: lists of' \
		MEGAPIPE_CPUS=x
	library 0 "MEGAPIPE_CPUS=0-1/1: 0-1 and 1 both have CPU 1 (accepted:" \
		MEGAPIPE_CPUS=0-1/1
	library 0 "MEGAPIPE_CPUS=255: 255 has CPU 255, which this process may" \
		MEGAPIPE_CPUS=255
	library 0 "MEGAPIPE_STATS= is empty (accepted: a file name); not used" \
		MEGAPIPE_STATS=
	library 0 "MEGAPIPE_FOO=1 is not a variable of ours (accepted: MEGAPIPE " \
		MEGAPIPE_FOO=1
	# shellcheck disable=SC2046 # several words
	library 0 "and 2 more mistakes in the settings" \
		$(for i in {1..10}; do echo "MEGAPIPE_X$i=1"; done)
	same "lines" 9 "$(wc -l <"$MP_DIR/err")"
	library 2 "MEGAPIPE_BATCH=x" MEGAPIPE=strict MEGAPIPE_BATCH=x
}

@test "messages: the file of settings" {
	file() {
		printf "$2" >"$MP_DIR/conf"
		library 0 "$1" "MEGAPIPE_CONFIG=$MP_DIR/conf"
	}
	file "conf:2: MEGAPIPE_BATCH=x is not understood" '\nMEGAPIPE_BATCH=x\n'
	file "conf:1: BATCH is not a variable of ours" 'BATCH=3\n'
	file "conf:1: MEGAPIPE_CONFIG is not a variable of ours" \
		'MEGAPIPE_CONFIG=/x\n'
	file "conf:1: accepted are NAME = VALUE, [PROGRAM...] and # comments" 'what?'
	file "conf:1: accepted are NAME = VALUE" '= 3\n'
	file "conf:3: a section is [PROGRAM...], its end is ]" '#\n#\n[x\n'
	file "conf:1: a section is [PROGRAM...]" '[]\n'
	file "conf:1: a section is [PROGRAM...]" '[a] b\n'
	file "conf:1: it is not a text" 'a\0b'
	head -c 70000 /dev/zero | tr '\0' '#' >"$MP_DIR/conf"
	library 0 "conf: too long (accepted: a text of at most 65536 bytes)" \
		"MEGAPIPE_CONFIG=$MP_DIR/conf"
	library 0 "$MP_DIR/no: No such file or directory (accepted:" \
		"MEGAPIPE_CONFIG=$MP_DIR/no"
	library 0 "$MP_DIR: Is a directory (accepted:" "MEGAPIPE_CONFIG=$MP_DIR"
	((EUID == 0)) || skip "root may read all: what another user may not"
	cp "$MP_LIB" "$MP_DIR/"
	chmod 0600 "$MP_DIR/conf"
	hears 0 "conf: Permission denied" nobody env \
		"LD_PRELOAD=$MP_DIR/${MP_LIB##*/}" \
		"MEGAPIPE_CONFIG=$MP_DIR/conf" true
}

@test "messages: the library without io_uring" {
	cat >"$MP_DIR/waits.py" <<-'PY'
		import select, socket
		s = socket.socket()
		s.bind(("127.0.0.1", 0))
		s.listen()
		s.setblocking(False)
		e = select.epoll()
		e.register(s, select.EPOLLIN)
		e.poll(0)
	PY
	without() {
		hears 0 "$2; running without channels" "$MP_REFUSE" "$1" -- \
			env "LD_PRELOAD=$MP_LIB" "$PY" "$MP_DIR/waits.py"
		same "once" 1 "$(wc -l <"$MP_DIR/err")"
		hears 2 "$2; MEGAPIPE=strict: not started" "$MP_REFUSE" "$1" -- \
			env "LD_PRELOAD=$MP_LIB" MEGAPIPE=strict true
	}
	without EPERM "io_uring is not permitted (kernel.io_uring_disabled or a seccomp filter)"
	without ENOSYS "this kernel has no io_uring, or one older than Linux 6.1, or a seccomp filter hides it"
	without ENOMEM "too little locked memory (ulimit -l)"
	without EMFILE "no descriptor is left for io_uring (ulimit -n)"
}

@test "messages: none in the sources was left out" {
	((EUID == 0)) || skip "some are brought about by root only"
	command -v setcap >/dev/null || skip "setcap is not installed"
	"$PY" "$MP_HERE/messages.py" "$MP_TOP" "$HEARD"
}

# on_terminal COMMAND: what it writes there.
on_terminal() { script -qec "$1" /dev/null </dev/null; }

@test "colours: on a terminal only, and not with NO_COLOR or TERM=dumb" {
	command -v script >/dev/null || skip "script is not installed"
	server_start
	for command in env doctor "stat $SRV_PID" "sockets $SRV_PID"; do
		TERM=xterm NO_COLOR='' on_terminal "$MP $command" >"$MP_DIR/out"
		grep -q $'\33\[' "$MP_DIR/out" || { echo "none: $command"; return 1; }
		TERM=xterm NO_COLOR=1 on_terminal "$MP $command" >"$MP_DIR/out"
		lacks "$MP_DIR/out" $'\33'
		TERM=dumb on_terminal "$MP $command" >"$MP_DIR/out"
		lacks "$MP_DIR/out" $'\33'
		# shellcheck disable=SC2086 # several words
		"$MP" $command >"$MP_DIR/out" || true
		lacks "$MP_DIR/out" $'\33'
	done
	server_end
}
