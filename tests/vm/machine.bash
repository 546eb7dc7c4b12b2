# SPDX-License-Identifier: MIT
# Emulated machines of 8 CPUs with a kernel of Debian's: what tests/vm/run.bash
# and bench/paper/locks.bash share. Kernels are fetched once, unpacked and never
# installed. Sourced at the root of the tree; sets vm, the directory of all.
# shellcheck shell=bash

vm=$PWD/build/vm

# fetch_kernel VERSION SUITE: build/vm/VERSION/vmlinuz from that suite of the
# mirror this machine uses, with lists and cache of our own.
fetch_kernel()
{
	local dir=$vm/$1 apt=$vm/$1/apt mirror options package
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg

	[ ! -s "$dir/vmlinuz" ] || return 0
	# shellcheck disable=SC2016 # apt's own variables
	mirror=$(apt-get indextargets --format '$(REPO_URI)' |
		grep -E '/debian/?$' | head -n 1)
	[ -n "$mirror" ] || return 1
	rm -rf "$dir"
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$dir/x"
	echo "deb [signed-by=$keys] $mirror $2 main" >"$apt/sources.list"
	options=(-qq -o "Dir::Etc::sourcelist=$apt/sources.list"
		-o Dir::Etc::sourceparts=- -o "Dir::State::lists=$apt/lists"
		-o Dir::State::status=/dev/null -o "Dir::Cache=$apt/cache"
		-o "APT::Sandbox::User=$(id -un)")
	timeout 120 apt-get "${options[@]}" update >&2 || return 1
	package=$(apt-cache "${options[@]}" depends linux-image-cloud-amd64 |
		sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
	case $1=$package in
	newest=linux-image-[0-9]*) ;;
	"$1=linux-image-$1."*) ;;
	*) return 1 ;;
	esac
	# Newer ones have the kernel itself in a package beside.
	(cd "$dir" && for package in "$package" \
		"${package/-image-/-binary-}"; do
		timeout 120 apt-get "${options[@]}" download "$package" >&2 &&
			dpkg-deb -x ./"$package"_*.deb x &&
			find x -name 'vmlinuz*' -type f | grep -q . && break
	done)
	find "$dir/x" -name 'vmlinuz*' -type f -exec mv {} "$dir/vmlinuz" ';'
	[ -s "$dir/vmlinuz" ] || return 1
	rm -rf "$apt" "$dir/x" "$dir"/*.deb
}

# libraries ROOT FILE...: what these are linked with, at the same places there.
# pthread_exit() loads libgcc when it is called.
libraries()
{
	local root=$1 lib

	shift
	{ ldd "$@" 2>/dev/null; ls /lib/*/libgcc_s.so.1; } |
		grep -oE '/[^ ]*' | grep -v ':$' | sort -u |
		while read -r lib; do
			mkdir -p "$root$(dirname "$lib")"
			cp -L "$lib" "$root$lib"
		done
}

# pack ROOT: makes build/vm/initramfs of it.
pack()
{
	(cd "$1" && find . | cpio -o -H newc --quiet | gzip -1) \
		>"$vm/initramfs"
}

# machine VERSION SECONDS [CPU]: runs /init of the image; what it prints is in
# build/vm/VERSION.log.
machine()
{
	timeout -k 5 "$2" qemu-system-x86_64 \
		-accel tcg,thread=multi -cpu "${3:-max}" -smp 8 -m 1G \
		-nodefaults -nographic -serial stdio -no-reboot \
		-kernel "$vm/$1/vmlinuz" -initrd "$vm/initramfs" \
		-append 'console=ttyS0 panic=-1 quiet' </dev/null 2>&1 |
		tr -d '\r' | sed 's/.*VM kernel/VM kernel/' >"$vm/$1.log"
}
