#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The Debian packages: built, looked at by lintian, installed into a Debian
# made by debootstrap, used there, and removed. `make check-package`; root.
# DEB_TREE names a tree with nginx, redis and memcached to use instead of
# build/package/tree, which is made once. It is not changed.
# timeout: 900

load ../../integration/lib

setup_file() {
	PACKAGES=$MP_BUILD/package
	export PACKAGES
	"$MP_TOP/scripts/package" >"$MP_BUILD/package.out" 2>&1
}
setup() { mp_setup; }
teardown() { mp_teardown; }

package() { echo "$PACKAGES/$1"_[0-9]*_*.deb; }
contents() { dpkg-deb -c "$(package "$1")" | awk '!/\/$/ { print $6 }' | sort; }

@test "package: built" {
	cat "$MP_BUILD/package.out"
	for name in libmegapipe1 libmegapipe-dev megapipe-preload; do
		test -s "$(package "$name")"
	done
	same "version" "megapipe $(dpkg-deb -f "$(package libmegapipe1)" Version)" \
		"$("$MP_BUILD/megapipe" --version)"
}

@test "package: what is in which" {
	multi=$(gcc -print-multiarch)
	contents libmegapipe1 | grep -v /usr/share/doc | diff - <(cat <<-LIST
		./usr/lib/$multi/libmegapipe.so.1
	LIST
	)
	contents libmegapipe-dev | grep -vE '/usr/share/(doc|man/man3)' |
		diff - <(cat <<-LIST
		./usr/include/megapipe.h
		./usr/lib/$multi/libmegapipe.a
		./usr/lib/$multi/libmegapipe.so
		./usr/lib/$multi/pkgconfig/megapipe.pc
	LIST
	)
	contents megapipe-preload | grep -vE '/usr/share/(doc|lintian)' |
		diff - <(cat <<-LIST
		./usr/bin/megapipe
		./usr/lib/$multi/libmegapipe-preload.so
		./usr/share/bash-completion/completions/megapipe
		./usr/share/man/man1/megapipe.1.gz
		./usr/share/man/man7/megapipe-preload.7.gz
		./usr/share/megapipe/systemd/memcached.conf
		./usr/share/megapipe/systemd/nginx.conf
		./usr/share/megapipe/systemd/redis-server.conf
		./usr/share/zsh/vendor-completions/_megapipe
	LIST
	)
	same "the library needs libc only" libc6 "$(dpkg-deb -f \
		"$(package megapipe-preload)" Depends | sed 's/ .*//')"
}

@test "package: the probes are in it" {
	dpkg-deb -x "$(package megapipe-preload)" "$MP_DIR/x"
	readelf -n "$MP_DIR"/x/usr/lib/*/libmegapipe-preload.so | grep -q stapsdt
}

@test "package: lintian, but for the overrides with reasons" {
	command -v lintian >/dev/null || skip "lintian is not installed"
	lintian --allow-root --fail-on error,warning "$PACKAGES"/*.changes 2>&1 |
		tee "$MP_DIR/out"
	same "found" "" "$(grep -E '^[EW]:' "$MP_DIR/out")"
	# Each override stands below a comment.
	for file in "$MP_TOP"/debian/*.lintian-overrides; do
		head -n 1 "$file" | grep -q '^# '
	done
}

# need_tree: sets TREE, makes it when it is not there yet.
need_tree() {
	((EUID == 0)) || skip "debootstrap is for root"
	TREE=${DEB_TREE:-$PACKAGES/tree}
	[[ -x $TREE/usr/sbin/nginx ]] && return
	command -v debootstrap >/dev/null || skip "debootstrap is not installed"
	rm -rf "$TREE" "$TREE.new"
	debootstrap --variant=minbase --include=$TREE_PACKAGES \
		"$(. /etc/os-release && echo "$VERSION_CODENAME")" "$TREE.new" \
		${DEB_MIRROR:+"$DEB_MIRROR"} >"$PACKAGES/debootstrap.log" 2>&1 || {
		tail -n 3 "$PACKAGES/debootstrap.log"
		rm -rf "$TREE.new"
		skip "debootstrap failed: $(tail -n 1 "$PACKAGES/debootstrap.log")"
	}
	mv "$TREE.new" "$TREE"
}
TREE_PACKAGES=nginx-light,curl,procps,python3,redis-server,redis-tools,memcached

# in_tree COMMAND...: in a copy of the tree in memory, with namespaces of its
# own; what a test needs is in /test.
in_tree() {
	mkdir -p "$MP_DIR/tree" "$MP_DIR/test"
	cp "$PACKAGES"/megapipe-preload_*.deb "$PACKAGES"/libmegapipe*_[0-9]*_*.deb \
		"$MP_TOP/docs/walkthrough.md" "$MP_HERE"/{systemctl,walkthrough.py,lib.bash} \
		"$MP_DIR/test"
	rm -f "$MP_DIR"/test/*-dbgsym_*
	# shellcheck disable=SC2016 # for the inner shell
	unshare --mount --net --pid --fork --kill-child bash -c '
		set -e
		lower=$1 top=$2/tree test=$2/test
		shift 2
		mount --make-rprivate /
		mount -t tmpfs -o size=1g tmpfs "$top"
		mkdir "$top/upper" "$top/work" "$top/root"
		mount -t overlay overlay "$top/root" -o \
			"lowerdir=$lower,upperdir=$top/upper,workdir=$top/work"
		mount -t proc proc "$top/root/proc"
		mount -t sysfs sysfs "$top/root/sys"
		mount -t tmpfs tmpfs "$top/root/dev"
		for node in null zero full random urandom tty; do
			: >"$top/root/dev/$node"
			mount --bind "/dev/$node" "$top/root/dev/$node"
		done
		ln -s /proc/self/fd "$top/root/dev/fd"
		mkdir "$top/root/dev/pts"
		mount -t devpts -o newinstance,ptmxmode=0666 devpts "$top/root/dev/pts"
		ln -s pts/ptmx "$top/root/dev/ptmx"
		mount -t tmpfs tmpfs "$top/root/run"
		mkdir "$top/root/test" "$top/root/run/lock"
		mount --bind "$test" "$top/root/test"
		printf "#!/bin/sh\nexit 101\n" >"$top/root/usr/sbin/policy-rc.d"
		chmod 755 "$top/root/usr/sbin/policy-rc.d"
		ip link set lo up
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
		export LC_ALL=C.UTF-8 HOME=/root DEBIAN_FRONTEND=noninteractive
		cd "$top/root"
		# Process 1 stays, to collect the orphans.
		chroot . sh -c "cd /test && exec \"\$@\"" sh "$@" || exit $?' \
		in_tree "$TREE" "$MP_DIR" "$@"
}

@test "package: installed into a Debian, used and removed" {
	need_tree
	# shellcheck disable=SC2016 # for the shell in there
	in_tree bash -euc '
		find / -xdev \( -path /proc -o -path /sys -o -path /run \
			-o -path /test -o -path /var \) -prune -o -type f -print |
			sort >/run/before
		dpkg -i ./*.deb
		. /test/lib.bash
		status=0
		megapipe doctor || status=$?
		((status <= 1))
		MANPATH=/usr/share/man
		zcat /usr/share/man/man1/megapipe.1.gz | grep -q "^.Dt MEGAPIPE 1"
		ldconfig -p | grep -q libmegapipe.so.1
		megapipe run nginx
		wait_for 30 curl -sf -o /dev/null http://127.0.0.1/
		curl -sS -o /dev/null http://127.0.0.1/
		megapipe stat --json nginx >/run/stat
		python3 -c "import json
accepted = sum(c[\"counters\"][\"accepted\"] for p in json.load(open(\"/run/stat\"))
               for c in p[\"channels\"])
print(\"accepted\", accepted)
assert accepted >= 2"
		nginx -s quit
		wait_for 10 port_refuses 80
		env LD_PRELOAD=libmegapipe-preload.so MEGAPIPE=strict true
		dpkg --purge megapipe-preload libmegapipe-dev libmegapipe1
		find / -xdev \( -path /proc -o -path /sys -o -path /run \
			-o -path /test -o -path /var \) -prune -o -type f -print |
			sort | diff /run/before - | grep -v "^[<>] /etc/ld.so.cache\|^[0-9]" &&
			exit 1
		exit 0'
}

# The document, with the package; systemd is not process 1 in there.
@test "package: the walk through docs/walkthrough.md" {
	need_tree
	in_tree bash -euc '
		cp systemctl /usr/local/bin/
		rm -f libmegapipe*
		[[ -e /usr/bin/apt-get ]]
		python3 walkthrough.py walkthrough.md --write' >"$MP_DIR/out" 2>&1 || {
		cat "$MP_DIR/out"
		return 1
	}
	cat "$MP_DIR/out"
	cp "$MP_DIR/test/walkthrough.md" "$PACKAGES/walkthrough.md"
}
