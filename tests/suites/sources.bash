#!/bin/bash
# SPDX-License-Identifier: MIT
# sources.bash: fetches the Debian source packages whose tests run.py runs, and
# builds what of them must be built, in build/suites/NAME. Package lists of its
# own: the machine's sources stay as they are. What fails is said and left out.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
suites=${BUILD:-build}/suites
mkdir -p "$suites/apt/lists/partial"
suites=$(realpath "$suites")

# The machine's own servers and release, with deb-src.
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
server=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
	/etc/apt/sources.list.d/*.list 2>/dev/null |
	grep -Eom1 'https?://[^ ]+/debian/?( |$)' | tr -d ' ')
echo "deb-src ${server:-http://deb.debian.org/debian} $release main" \
	>"$suites/apt/list"

apt()
{
	apt-get -q -o Dir::Etc::sourcelist="$suites/apt/list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$suites/apt/lists" \
		-o APT::Sandbox::User=root "$@"
}

prepare()
{
	case $1 in
	libevent)
		autoreconf -fi && ./configure -q --disable-shared \
			--disable-samples && make -j2 && make -j2 test/regress ;;
	memcached)
		# An option of test builds, which Debian's program has not.
		sed -i '/args .= " -o relaxed_privileges"/d' \
			t/lib/MemcachedTest.pm t/*.t &&
			${CC:-cc} -O -o timedrun timedrun.c ;;
	libuv1)
		sh autogen.sh && ./configure -q --disable-shared &&
			make -j2 check TESTS= ;;
	esac
}

one()
{
	local tree=$suites/$1

	[ ! -e "$tree/ready" ] || return 0
	rm -rf "$tree" "$suites/apt/new"
	mkdir "$suites/apt/new"
	(cd "$suites/apt/new" && apt source "$1") >"$suites/$1.log" 2>&1 &&
		mv "$suites"/apt/new/*/ "$tree" &&
		(cd "$tree" && prepare "$1") >>"$suites/$1.log" 2>&1 &&
		touch "$tree/ready" && return
	echo "$1: see $suites/$1.log" >&2
}

missing=
for name in redis memcached libevent libuv1; do
	[ -e "$suites/$name/ready" ] || missing=1
done
[ -n "$missing" ] || exit 0
apt update >"$suites/apt/log" 2>&1
for name in redis memcached libevent libuv1; do
	one "$name"
done
