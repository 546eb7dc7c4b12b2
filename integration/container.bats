#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What docs/operating.md says of containers, in one: a runtime of Debian's
# (crun), the profile of seccomp that Podman has by default, and the change of
# it that the document shows. nginx with two workers is process 1.
# timeout: 180

load lib
load cli

PROFILE=/usr/share/containers/seccomp.json

setup() {
	mp_setup
	((EUID == 0)) || skip "the runtime is started by root here"
	command -v crun >/dev/null && command -v jq >/dev/null &&
		[[ -s $PROFILE ]] ||
		skip "crun, jq or golang-github-containers-common is not installed"
	command -v nginx >/dev/null || skip "nginx is not installed"
	[[ $(uname -m) == x86_64 ]] || skip "the profile is read for x86_64"
	mp_need_lib
	mkdir -p "$MP_DIR"/{bundle/rootfs,mp,srv,state}
	chmod 0777 "$MP_DIR/srv"
	cp "$MP" "$MP_LIB" "$MP_DIR/mp/"
	NAME=megapipe-${MP_DIR##*.}
	printf '%s\n' 'worker_processes 2; daemon off; pid /srv/pid;' \
		'error_log /srv/error.log;' 'events { multi_accept on; }' \
		'http { access_log off; client_body_temp_path /srv/body;' \
		'proxy_temp_path /srv/proxy; fastcgi_temp_path /srv/fastcgi;' \
		'uwsgi_temp_path /srv/uwsgi; scgi_temp_path /srv/scgi;' \
		'server { listen 127.0.0.1:8080; return 200 contained; } }' \
		>"$MP_DIR/srv/nginx.conf"
	runtime spec -b "$MP_DIR/bundle" >"$MP_DIR/out" 2>&1 &&
		in_container $PROFILE "" true >"$MP_DIR/out" 2>&1 ||
		skip "no containers here: $(tail -n 1 "$MP_DIR/out")"
}
teardown() { mp_teardown; }

# runtime WORD...: with a hierarchy of control groups of its own, since it
# does not take all that there are.
runtime() {
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount sh -c 'mount --make-rprivate /
		umount -R /sys/fs/cgroup 2>/dev/null
		mount -t cgroup2 none /sys/fs/cgroup
		exec crun --cgroup-manager=disabled "$@"' sh \
		--root "$MP_DIR/state" "$@"
}

# in_container PROFILE CAPS COMMAND...
in_container() {
	bundle_make "$@" && runtime run -b "$MP_DIR/bundle" "$NAME" </dev/null
}
bundle_make() {
	local profile=$1 caps=$2
	shift 2
	(cd "$MP_DIR/bundle" && rm -f config.json && runtime spec) &&
		"$PY" "$MP_HERE/container.py" "$MP_DIR/bundle" "$profile" "$caps" \
			"$MP_DIR/mp" "$MP_DIR/srv" "$@"
}

# The change of the document, by the document's own command.
documented_profile() {
	(cd "$MP_DIR" && cp $PROFILE default.json &&
		eval "$(sed -n "s/^ *\(jq '.*default.json >with-io_uring.json\)$/\1/p" \
			"$MP_TOP/docs/operating.md")")
	test -s "$MP_DIR/with-io_uring.json"
	! grep -q io_uring $PROFILE || skip "this profile allows io_uring"
}

# nginx_start PROFILE CAPS: its process number outside is NGINX.
nginx_start() {
	bundle_make "$1" "$2" nginx -e /srv/error.log -c /srv/nginx.conf
	runtime run -d --pid-file "$MP_DIR/pid" -b "$MP_DIR/bundle" "$NAME" \
		</dev/null >"$MP_DIR/srv/out" 2>&1 3>&-
	NGINX=$(<"$MP_DIR/pid")
	wait_for 20 get
}
get() {
	[[ $(nsenter -t "$NGINX" -n curl -sS http://127.0.0.1:8080/ 2>&1) \
		== contained ]]
}
nginx_stop() {
	kill -QUIT "$NGINX"
	wait_for 20 pid_gone "$NGINX"
	runtime delete "$NAME"
}
said_nothing() {
	cat "$MP_DIR/srv/out"
	test ! -s "$MP_DIR/srv/out"
	lacks "$MP_DIR/srv/error.log" megapipe
}
# accepted: by both workers, and by what the partitions are chosen.
accepted() {
	for _ in {1..20}; do get; done
	"$MP" stat --json "$NGINX" >"$MP_DIR/stat"
	json "sum(c['counters']['accepted'] for p in d for c in p['channels'])" \
		<"$MP_DIR/stat"
}
chosen_by() {
	json "' '.join(sorted({r['by'] for p in d for r in p.get('partitions', [])}))" \
		<"$MP_DIR/stat"
}

@test "container: the default profile forbids io_uring, and nginx runs plainly" {
	! grep -q io_uring $PROFILE || skip "this profile allows io_uring"
	status=0
	in_container $PROFILE "" /mp/megapipe doctor >"$MP_DIR/out" || status=$?
	cat "$MP_DIR/out"
	same "status" 2 "$status"
	grep -q '^no    io_uring  *forbidden by a seccomp filter$' "$MP_DIR/out"
	grep -q 'for more: allow io_uring_setup, io_uring_enter and' "$MP_DIR/out"
	nginx_start $PROFILE ""
	for _ in {1..20}; do get; done
	# nginx makes its log its standard error. Each worker says it once.
	grep megapipe "$MP_DIR/srv/error.log" >"$MP_DIR/out"
	cat "$MP_DIR/out"
	grep -q 'or a seccomp filter hides it; running without channels' \
		"$MP_DIR/out"
	(($(wc -l <"$MP_DIR/out") <= 2))
	nginx_stop
}

@test "container: with the documented profile it is accelerated" {
	documented_profile
	status=0
	in_container "$MP_DIR/with-io_uring.json" "" /mp/megapipe doctor \
		>"$MP_DIR/out" || status=$?
	cat "$MP_DIR/out"
	((status <= 1))
	grep -q '^ok    counters' "$MP_DIR/out"
	grep -q '^info  seccomp  *a filter is in force' "$MP_DIR/out"
	nginx_start "$MP_DIR/with-io_uring.json" ""
	(($(accepted) >= 20))
	same "chosen by" "classic BPF" "$(chosen_by)"
	owner=$(stat -c %u:%g /dev/null)
	# In there, as the same user. The runtime makes that user the owner of
	# its standard input: it must not be the machine's /dev/null.
	worker=$(pgrep -P "$NGINX" | head -n 1)
	: | runtime exec --user "$(stat -c %u:%g "/proc/$worker")" "$NAME" \
		/mp/megapipe stat nginx >"$MP_DIR/out"
	cat "$MP_DIR/out"
	grep -q '1 listening' "$MP_DIR/out"
	same "the owner of /dev/null" "$owner" "$(stat -c %u:%g /dev/null)"
	said_nothing
	nginx_stop
}

@test "container: CAP_BPF and CAP_PERFMON, and a profile that knows it" {
	documented_profile
	jq '.syscalls |= map(select(.action == "SCMP_ACT_ERRNO").names -= ["bpf"]) |
		.syscalls += [{"names": ["bpf"], "action": "SCMP_ACT_ALLOW"}]' \
		"$MP_DIR/with-io_uring.json" >"$MP_DIR/with-bpf.json"
	in_container "$MP_DIR/with-bpf.json" "CAP_BPF CAP_PERFMON" \
		/mp/megapipe doctor | grep '^info  eBPF  *can choose'
	in_container "$MP_DIR/with-bpf.json" CAP_BPF /mp/megapipe doctor |
		grep '^info  eBPF  *not for this user'
	nginx_start "$MP_DIR/with-bpf.json" "CAP_BPF CAP_PERFMON"
	(($(accepted) >= 20))
	same "chosen by" "eBPF" "$(chosen_by)"
	nginx_stop
}

@test "container: without memfd_create only the counters are missing" {
	documented_profile
	jq '.syscalls |= map(.names -= ["memfd_create"])' \
		"$MP_DIR/with-io_uring.json" >"$MP_DIR/less.json"
	in_container "$MP_DIR/less.json" "" /mp/megapipe doctor >"$MP_DIR/out" ||
		true
	grep -q '^less  counters' "$MP_DIR/out"
	nginx_start "$MP_DIR/less.json" ""
	for _ in {1..20}; do get; done
	said_nothing
	ls -l "/proc/$NGINX/fd" "/proc/$(pgrep -P "$NGINX" | head -n 1)/fd" \
		>"$MP_DIR/fds"
	grep -q 'anon_inode:\[io_uring\]' "$MP_DIR/fds"
	nginx_stop
}
