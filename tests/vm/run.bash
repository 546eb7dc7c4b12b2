#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the conformance programs, the tests of libmegapipe, the unit tests of what
# the kernel does and the parts of partition.sh on Debian's kernels 6.1 and 6.12
# and on its newest, each in a virtual machine without KVM, and prints TAP: one
# result for each program and mode. T picks programs, MODES modes, as in scripts/check,
# KERNELS kernels. Programs that measure time (alone) are left out: the machine
# is emulated. Kernels are fetched once, unpacked and never installed; build/vm
# keeps them and the console of the last run (KERNEL.log).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

. tests/vm/machine.bash
modes=${MODES:-plain on off}
program_seconds=120
# Which know no modes: the unit tests with a ring of the kernel, that which has
# the kernel's verifier look at our program, and those of libmegapipe.
mapfile -t own < <(grep -l real_ring.h tests/unit/*.c | xargs basename -s .c &&
	echo steer_load && basename -s .c tests/native/*.c)
# What partition.sh does with a real server.
parts='partition_reload partition_kill partition_upgrade partition_pinned
	partition_masks partition_balance partition_sysctl'
# Against hanging only: three machines end within the 5400 s of scripts/check.
machine_seconds=1750
# Version (or newest) and the suites that may have it.
kernels=${KERNELS:-6.1=bookworm 6.12=trixie newest=trixie-backports}
count=0

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 77
}

result()
{
	count=$((count + 1))
	echo "$1 $count - $2"
}

is_own()
{
	printf '%s\n' "${own[@]}" | grep -qx "$1"
}

# kind NAME: the directory of a program.
kind()
{
	is_own "$1" || { echo conform; return; }
	[ -f "tests/unit/$1.c" ] && echo unit || echo native
}

modes_of()
{
	is_own "$1" && echo plain || echo "$modes"
}

# image NAME...: build/vm/initramfs with these programs and what they need.
image()
{
	local root=$vm/root lib name

	rm -rf "$root"
	mkdir -p "$root"/{bin,t,dev,proc,sys,tmp}
	cp /bin/busybox "$root/bin/"
	ln -s busybox "$root/bin/sh"
	cp build/libmegapipe-preload.so build/megapipe \
		build/tests/tools/refuse build/tests/tools/loss "$root/t/" ||
		return
	for name; do
		case $name in
		partition_*) cp tests/vm/partition.sh "$root/t/$name" ;;
		*) cp "build/tests/$(kind "$name")/$name" "$root/t/" ;;
		esac || return
	done
	install -D build/libmegapipe.so "$root/lib/libmegapipe.so.1" || return
	[ -z "$nginx" ] || cp "$nginx" "$root/t/nginx" || return
	mkdir -p "$root/etc" "$root/usr/share/nginx" "$root/var/log/nginx" \
		"$root/var/lib/nginx"
	printf 'root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\n' \
		>"$root/etc/passwd"
	printf 'root:x:0:\nwww-data:x:33:\n' >"$root/etc/group"
	libraries "$root" "$root"/t/*
	install -m 755 tests/vm/init "$root/init"
	echo "$program_seconds" >"$root/limit"
	for name; do
		echo "$name $(modes_of "$name")"
	done >"$root/list"
	pack "$root"
}

# An emulator with several threads may lose a race with a kernel that patches
# its own code while it starts (seen: an Oops in sched_clock_cpu before init).
# Such a machine says nothing about the programs: it is started again. One that
# came as far as init is not.
boot()
{
	local try

	for try in 1 2 3; do
		machine "$1" "$machine_seconds"
		! grep -q '^VM kernel' "$vm/$1.log" || return 0
		echo "# $1: no init at try $try: $(grep -m 1 -E \
			'Oops|panic|BUG' "$vm/$1.log")"
	done
}

# verdicts VERSION NAME...: results from the console. A program without a
# line in each mode is a failure, unless its plain run failed.
verdicts()
{
	local kernel=$1 name mode line code end why

	shift
	end=$(grep -c '^VM end' "$vm/$kernel.log")
	for name; do
		why=
		for mode in $(modes_of "$name"); do
			if [ -n "$why" ]; then
				result ok "$kernel ${name}[$mode] # SKIP $why"
				continue
			fi
			line=$(grep -n "^VM $name $mode " "$vm/$kernel.log")
			code=$(cut -d ' ' -f 4 <<<"$line")
			case ${code:-none} in
			0) result ok "$kernel ${name}[$mode]"; continue ;;
			77) result ok "$kernel ${name}[$mode] # SKIP itself"
			    continue ;;
			none) result 'not ok' \
				"$kernel ${name}[$mode] the machine ended first"
			    continue ;;
			esac
			result 'not ok' "$kernel ${name}[$mode] exit $code"
			head -n "$((${line%%:*} - 1))" "$vm/$kernel.log" | tac |
				sed '/^VM|/!Q' | tac
			[ "$mode" != plain ] || why='the plain run fails'
		done
	done
	if [ "$end" = 1 ] &&
	   ! sed -n '/^VM log/,$p' "$vm/$kernel.log" | grep -q '^VM|'; then
		result ok "$kernel has no complaint"
	else
		result 'not ok' "$kernel has no complaint"
		tail -n 20 "$vm/$kernel.log"
	fi
}

[ "$(uname -m)" = x86_64 ] || skip_all 'the machine is for x86_64'
command -v apt-get >/dev/null || skip_all 'kernels come from Debian'
mkdir -p "$vm"
scripts/deps vm >"$vm/deps.log" 2>&1 ||
	skip_all "scripts/deps vm: $(tail -n 1 "$vm/deps.log")"

names=()
for file in tests/conform/${T:-*}.c; do
	[ -f "$file" ] || continue
	! grep -q '/\* alone \*/' "$file" || continue
	names+=("$(basename "$file" .c)")
done
programs=("${names[@]/#/build/tests/conform/}")
for name in "${own[@]}"; do
	programs+=("build/tests/$(kind "$name")/$name")
done
nginx=$(PATH=$PATH:/usr/sbin command -v nginx)
# First: what takes longest must not be what the time ends before.
for part in "${own[@]}" ${nginx:+$parts}; do
	# shellcheck disable=SC2254 # a pattern
	case $part in
	${T:-*}) names=("$part" "${names[@]}") ;;
	esac
done
[ ${#names[@]} -gt 0 ] || skip_all "no program is ${T:-}"
[ -n "$nginx" ] || result ok "partitions # SKIP no nginx here"
if ! { make -k --no-print-directory "-j$(nproc)" all tools \
		"${programs[@]}" &&
		image "${names[@]}"; } >"$vm/make.log" 2>&1; then
	echo 'not ok 1 - the programs do not build'
	tail -n 20 "$vm/make.log"
	echo 1..1
	exit 1
fi
for pair in $kernels; do
	kernel=${pair%%=*}
	if fetch_kernel "$kernel" "${pair#*=}" 2>"$vm/fetch.log"; then
		boot "$kernel"
		verdicts "$kernel" "${names[@]}"
	else
		result ok "$kernel # SKIP cannot be had from ${pair#*=}"
	fi
done
rm -rf "$vm/root"
echo "1..$count"
