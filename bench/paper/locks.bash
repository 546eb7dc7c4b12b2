#!/bin/bash
# SPDX-License-Identifier: MIT
# locks.bash SECONDS CONNECTIONS "LENGTH..." <SIDES: what locks were waited for,
# and where, in a machine of 8 CPUs, which is emulated: counts, not times. A
# line of SIDES is NAME|WORDS of bench/paper/server. Prints the console of
# locks.init. The emulated CPU says that it is none, since kernels that know
# better take other locks, which are not counted.
set -euo pipefail
cd "$(dirname "$0")/../.."

. tests/vm/machine.bash
kernel=newest
root=$vm/locks
trap 'rm -rf "$root"' EXIT
mkdir -p "$vm"
scripts/deps vm </dev/null >&2
fetch_kernel $kernel trixie-backports
rm -rf "$root"
mkdir -p "$root"/{bin,t,dev,proc,sys,tmp}
cp /bin/busybox "$root/bin/"
ln -s busybox "$root/bin/sh"
cp build/bench/paper/{server,load} build/libmegapipe.so.1 "$root/t/"
libraries "$root" "$root"/t/*
install -m 755 bench/paper/locks.init "$root/init"
cat >"$root/sides"
echo "$*" >"$root/settings"
pack "$root"
for try in 1 2 3; do
	machine $kernel 170 max,-hypervisor
	! grep -q '^VM kernel' "$vm/$kernel.log" || break
	echo "locks: the machine did not start, try $try" >&2
done
cat "$vm/$kernel.log"
grep -q '^VM end' "$vm/$kernel.log"
