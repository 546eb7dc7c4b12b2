#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# megapipe stat: counters of a running process, read without its knowledge.
# timeout: 120

load lib
load cli

setup() { mp_setup; }
teardown() { mp_teardown; }

@test "stat: counts what the clients did" {
	server_start
	before=$(count accepted)
	for _ in 1 2 3 4 5; do tell_once echo x; done
	same "accepted" $((before + 5)) "$(count accepted)"
	same "lightweight too" 1 "$(($(count accepted_lw) > 0))"
	same "submitted in batches" 1 "$(($(count submitted) > 0))"
	batches=$("$MP" stat --json "$SRV_PID" | json \
		"sum(sum(c['batches'].values()) for c in d[0]['channels'])")
	same "one batch an enter" "$(count enters)" "$batches"
	server_end
}

@test "stat: bytes received and sent" {
	server_start
	conn_open
	received=$(count received) sent=$(count sent)
	tell "$CONN" fill 1000
	tell "$CONN" echo x
	wait_for 5 test "$(count sent)" -ge $((sent + 1003))
	same "sent" $((sent + 1001 + 2)) "$(count sent)"
	same "received" $((received + 10 + 7)) "$(count received)"
	server_end
}

@test "stat: a table for people, without colours in a pipe" {
	server_start
	"$MP" stat "$SRV_PID" >"$MP_DIR/out"
	cat "$MP_DIR/out"
	grep -q "(pid $SRV_PID), .*: 1 listening" "$MP_DIR/out"
	grep -q '  channel  thread  accepted' "$MP_DIR/out"
	grep -q 'requests in a batch: ' "$MP_DIR/out"
	lacks "$MP_DIR/out" $'\33'
	server_end
}

@test "stat: by name, and all" {
	server_start
	name=$(<"/proc/$SRV_PID/comm")
	"$MP" stat "$name" | grep "(pid $SRV_PID)"
	"$MP" stat | grep "(pid $SRV_PID)"
	server_end
}

@test "stat: a descendant is found by its ancestor" {
	server_start
	read -r pid port <<<"$(tell_once fork)"
	SRV_PORT=$port tell_once echo child
	"$MP" stat "$SRV_PID" | grep "(pid $pid)"
	SRV_PORT=$port tell_once end
	server_end
}

# The child's counters are its own, also while it has no channel.
@test "stat: a forked child begins anew and leaves the parent's alone" {
	server_start
	read -r pid port <<<"$(tell_once fork)"
	parent=$(count accepted)
	for _ in 1 2 3; do SRV_PORT=$port tell_once echo child; done
	same "parent" "$parent" "$(count accepted)"
	same "child" 3 "$(count accepted "$pid")"
	SRV_PORT=$port tell_once end
	server_end
}

@test "stat: one sealed memory, closed by exec, gone with the process" {
	server_start
	fds=("/proc/$SRV_PID"/fd/*)
	found=0
	for fd in "${fds[@]}"; do
		[[ $(readlink "$fd") == '/memfd:megapipe (deleted)' ]] || continue
		found=$((found + 1))
		# Nobody writes to it, not even root; O_CLOEXEC is 02000000.
		"$PY" - "$fd" <<-'PY'
			import fcntl, mmap, os, sys
			fd = os.open(sys.argv[1], os.O_RDWR)
			seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
			need = (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW |
			        fcntl.F_SEAL_SEAL | 16)
			assert seals & need == need, hex(seals)
			for write in (lambda: os.pwrite(fd, b"x", 0),
			              lambda: mmap.mmap(fd, 4096)):
			    try:
			        write()
			    except PermissionError:
			        continue
			    raise SystemExit("it could be written to")
		PY
		grep -q '^flags:.*02[0-9]*$' "/proc/$SRV_PID/fdinfo/${fd##*/}"
		((${fd##*/} >= 128))
	done
	same "memfds" 1 "$found"
	server_end
	fails 1 'no such process' "$MP" stat "$SRV_PID"
}

@test "stat: a process without a channel has none of it" {
	mp_env on
	"${MP_PREFIX[@]}" "$PY" -c 'import signal; signal.pause()' 3>&- &
	pid=$!
	wait_for 5 grep -q libmegapipe-preload "/proc/$pid/maps"
	lacks "/proc/$pid/maps" memfd:megapipe
	"$MP" stat "$pid" | grep 'no channel'
	kill "$pid"
}

@test "stat --watch: rates, as many screens as asked for" {
	server_start
	"$MP" stat --watch --interval=1 --count=2 "$SRV_PID" >"$MP_DIR/out" &
	job=$!
	for _ in 1 2 3 4 5 6 7 8; do tell_once echo x; done
	wait "$job"
	cat "$MP_DIR/out"
	same "screens" 2 "$(grep -c '^megapipe stat ' "$MP_DIR/out")"
	grep -q '(per second)' "$MP_DIR/out"
	server_end
}

@test "stat --watch: ends with the process" {
	server_start
	"$MP" stat -w -i 1 "$SRV_PID" >"$MP_DIR/out" 2>"$MP_DIR/err" &
	job=$!
	wait_for 5 grep -q 'since the start' "$MP_DIR/out"
	server_end
	status=0
	wait "$job" || status=$?
	same "status" 1 "$status"
	grep -q 'the processes have ended' "$MP_DIR/err"
}

@test "stat --prometheus: promtool finds nothing" {
	command -v promtool >/dev/null || skip "promtool (prometheus) is not installed"
	server_start
	tell_once echo x
	"$MP" stat --prometheus "$SRV_PID" | promtool check metrics
	"$MP" stat --prometheus | promtool check metrics
	server_end
}

# The text format: names, HELP and TYPE before the samples of a family, label
# syntax, cumulative buckets that end in +Inf and agree with _count.
@test "stat --prometheus: is the exposition format" {
	server_start
	tell_once echo x
	"$MP" stat --prometheus "$SRV_PID" >"$MP_DIR/out"
	"$PY" - "$MP_DIR/out" <<-'PY'
		import re, sys
		types, seen, buckets, values = {}, set(), {}, {}
		sample = re.compile(
		    r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-z_]+="(?:[^"\\\n]|'
		    r'\\["\\n])*",?)*)\} (\d+|\+Inf)$')
		for line in open(sys.argv[1]):
		    line = line.rstrip("\n")
		    head = re.match(r"# (HELP|TYPE) (\S+) (.+)$", line)
		    if head:
		        if head[1] == "TYPE":
		            assert head[2] not in types, line
		            types[head[2]] = head[3]
		            family = head[2]
		        continue
		    m = sample.match(line)
		    assert m, line
		    name = m[1]
		    assert name == family or (types[family] == "histogram" and
		        name in [family + s for s in ("_bucket", "_sum", "_count")])
		    assert (name, m[2]) not in seen, line
		    seen.add((name, m[2]))
		    values[name, m[2]] = m[3]
		    if name.endswith("_bucket"):
		        key, le = re.match(r'(.*),le="([^"]*)"$', m[2]).groups()
		        buckets.setdefault(key, []).append((le, int(m[3])))
		for key, list_ in buckets.items():
		    counts = [n for _, n in list_]
		    assert counts == sorted(counts), key
		    assert list_[-1][0] == "+Inf"
		    assert int(values["megapipe_batch_requests_count", key]) == counts[-1]
		assert set(types.values()) == {"counter", "gauge", "histogram"}
		assert any(n == "megapipe_accepted_total" and int(v) > 0
		           for (n, _), v in values.items())
	PY
	server_end
}

@test "stat: another user's processes are not shown" {
	((EUID == 0)) || skip "root has to become another user"
	server_start
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	cp "$MP" "$MP_DIR/megapipe"
	fails 1 "'$SRV_PID'" setpriv --reuid nobody --regid nogroup \
		--clear-groups "$MP_DIR/megapipe" stat "$SRV_PID"
	server_end
}

# The same user, without any privilege.
@test "stat: one's own processes are shown" {
	((EUID == 0)) || skip "root has to become another user"
	command -v setpriv >/dev/null || skip "setpriv is not installed"
	cp "$MP" "$MP_DIR/megapipe"
	cp "$MP_LIB" "$MP_DIR/libmegapipe-preload.so"
	cp "$MP_HERE/server.py" "$MP_DIR/server.py"
	MP_LIB=$MP_DIR/libmegapipe-preload.so MP_HERE=$MP_DIR
	chmod 0666 "$MP_STATS"
	nobody=(setpriv --reuid nobody --regid nogroup --clear-groups)
	PY_WAS=$PY
	cat >"$MP_DIR/python" <<-SH
		#!/bin/sh
		exec setpriv --reuid nobody --regid nogroup --clear-groups $PY "\$@"
	SH
	chmod 755 "$MP_DIR/python"
	PY=$MP_DIR/python server_start
	PY=$PY_WAS
	"${nobody[@]}" "$MP_DIR/megapipe" stat "$SRV_PID" | grep '1 listening'
	"${nobody[@]}" "$MP_DIR/megapipe" sockets "$SRV_PID" | grep LISTEN
	server_end
}

@test "stat: bad arguments" {
	fails 1 "no such process" "$MP" stat 999999999
	fails 1 "no such process" "$MP" stat no-such-name
	fails 1 "runs without the library" "$MP" stat $$
	fails 2 "there is no option '--nothing'" "$MP" stat --nothing
	fails 2 "option '-x'" "$MP" stat -x
	fails 2 "accepted are 1 to 3600" "$MP" stat -w --interval=0
	fails 2 "accepted are 1 to 1000000" "$MP" stat -w --count=many
	fails 2 "need --watch" "$MP" stat --count=3
	fails 2 "only one of" "$MP" stat --json --watch
	"$MP" stat --help | grep -q '^usage: megapipe stat'
}
