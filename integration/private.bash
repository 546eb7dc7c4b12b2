# SPDX-License-Identifier: MIT
# A machine of one's own for a test, made of namespaces: private copies of
# /usr, /etc, /var and /run, no network but a loopback, no processes but its
# own. What is installed and started there leaves nothing. For root.
# shellcheck shell=bash

# need_private: skips where such a machine can't be had.
need_private() {
	((EUID == 0)) || skip "namespaces are for root"
	mkdir -p "$MP_DIR/private"
	private true >"$MP_DIR/private.out" 2>&1 ||
		skip "no namespaces here: $(tail -n 1 "$MP_DIR/private.out")"
}

# private COMMAND...: in there. Its files are in memory.
private() {
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --net --pid --fork --kill-child --mount-proc bash -c '
		set -e
		top=$1
		shift
		mount --make-rprivate /
		mount -t tmpfs -o size=1g tmpfs "$top"
		for dir in usr etc var; do
			mkdir "$top/$dir" "$top/$dir.work"
			mount -t overlay -o "lowerdir=/$dir,upperdir=$top/$dir,workdir=$top/$dir.work" \
				overlay "/$dir"
		done
		mount -t tmpfs tmpfs /run
		mkdir -p /run/lock
		ip link set lo up
		# Process 1 stays, to collect the orphans.
		"$@" || exit $?' private "$MP_DIR/private" "$@"
}
