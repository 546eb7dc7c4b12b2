#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 120
# What a program that uses libmegapipe relies on: the header, the libraries,
# the pages and their examples, the binary interface.

setup()
{
	cd "$BATS_TEST_DIRNAME/../.." || return
	strict=(-Wall -Wextra -Werror -pedantic -I core)
	tmp=$BATS_TEST_TMPDIR
}

# The functions that the library shows.
exported()
{
	nm -D --defined-only build/libmegapipe.so |
		sed -n 's/.* T \(mp_[a-z_]*\)@@.*/\1/p' | sort
}

@test "the header stands alone, in C99 to C17" {
	echo '#include <megapipe.h>' >"$tmp/a.c"
	for std in c99 c11 gnu11 c17; do
		gcc "${strict[@]}" -std=$std -fsyntax-only "$tmp/a.c"
	done
}

@test "the header stands alone, in C++11 to C++20" {
	command -v g++ >/dev/null || skip "no g++"
	cat >"$tmp/a.cc" <<-'END'
	#include <megapipe.h>
	int main()
	{
		mp_options options = MP_OPTIONS_INIT;
		mp_cpu_mask mask = { { 0 } };
		mp_channel *ch;
		mp_cpu_add(&mask, 1);
		return mp_create(&options, &ch) && mp_create(nullptr, &ch);
	}
	END
	for std in c++11 c++17 c++20; do
		g++ "${strict[@]}" -std=$std -fsyntax-only "$tmp/a.cc"
	done
	g++ "${strict[@]}" -o "$tmp/a" "$tmp/a.cc" build/libmegapipe.so
	# It says more of what a macro or an inline function does.
	! command -v clang++ >/dev/null ||
		clang++ "${strict[@]}" -Wold-style-cast -Wconversion \
			-std=c++17 -fsyntax-only "$tmp/a.cc"
}

@test "every function of the header is exported with a version, no other" {
	sed -n 's/^[a-z].* \**\(mp_[a-z_]*\)(.*/\1/p' core/megapipe.h |
		grep -v mp_cpu_add | sort >"$tmp/declared"
	exported >"$tmp/exported"
	[ -s "$tmp/exported" ]
	diff "$tmp/declared" "$tmp/exported"
	run nm -D --defined-only build/libmegapipe.so
	! grep -vE ' T mp_[a-z_]*@@MEGAPIPE_1$| A MEGAPIPE_1$' <<<"$output"
}

@test "the archive has all it needs, and shows nothing else" {
	run nm -g --defined-only build/libmegapipe.a
	! grep -E ' [A-Z] ' <<<"$output" | grep -v ' T mp_' || return 1
	cat >"$tmp/a.c" <<-'END'
	#include <megapipe.h>
	int io_uring_queue_exit(void) { return 0; }
	int main(void)
	{
		struct mp_channel *ch;
		int ret = mp_create(0, &ch);

		if (ret == -ENOSYS || ret == -EPERM)
			return 0;
		return ret || mp_destroy(ch) || io_uring_queue_exit();
	}
	END
	gcc -include errno.h -I core -o "$tmp/a" "$tmp/a.c" \
		build/libmegapipe.a -pthread
	"$tmp/a"
}

# As a program elsewhere is built: what megapipe.pc says and nothing else, but
# for the two directories, which are not installed yet.
@test "pkg-config: linked with the library, with the archive, in C and C++" {
	command -v pkg-config >/dev/null || skip "no pkg-config"
	pc() {
		PKG_CONFIG_PATH=$PWD/build pkg-config \
			--define-variable=includedir="$PWD/core" \
			--define-variable=libdir="$PWD/build" "$@" megapipe
	}
	[ "$(pc --modversion)" = "$(sed -n 's/^VERSION.*:= *//p' Makefile)" ]
	cat >"$tmp/a.c" <<-'END'
	#include <megapipe.h>
	#include <errno.h>
	int main(void)
	{
		struct mp_channel *ch;
		struct mp_completion c;
		int ret = mp_create(NULL, &ch);

		if (ret == -ENOSYS || ret == -EPERM)
			return 0;
		return ret || mp_dispatch(ch, &c, 0) || mp_destroy(ch);
	}
	END
	local -A lang=([gcc]=c [g++]=c++)
	mkdir "$tmp/archive"
	cp build/libmegapipe.a "$tmp/archive/"
	for cc in gcc g++; do
		command -v $cc >/dev/null || continue
		# shellcheck disable=SC2046 # several words
		$cc -x "${lang[$cc]}" -o "$tmp/a" "$tmp/a.c" -x none \
			$(pc --cflags --libs)
		readelf -d "$tmp/a" | grep -q 'NEEDED.*\[libmegapipe.so.1\]'
		LD_LIBRARY_PATH=build "$tmp/a"
		# shellcheck disable=SC2046
		$cc -x "${lang[$cc]}" -o "$tmp/a" "$tmp/a.c" -x none \
			$(pc --cflags) -L "$tmp/archive" \
			$(pc --static --libs-only-l --libs-only-other)
		run readelf -d "$tmp/a"
		[[ $output != *libmegapipe* ]]
		"$tmp/a"
	done
}

@test "every function has a page, and pages say nothing that mandoc minds" {
	command -v mandoc >/dev/null || skip "no mandoc"
	for name in megapipe mp_cpu_add $(exported); do
		[ -f "docs/man/$name.3" ] || { echo "no page: $name"; false; }
	done
	for page in docs/man/*.3; do
		if to=$(sed -n 's|^\.so man3/||p' "$page") && [ -n "$to" ]; then
			[ -f "docs/man/$to" ]
			grep -q "^\.Nm $(basename "$page" .3)\( ,\)*$" \
				"docs/man/$to"
			continue
		fi
		run mandoc -T lint -W style "$page"
		! grep -vE 'mandoc\.db|referenced manual not found|^$' \
			<<<"$output" || return 1
	done
}

@test "the synopsis of a page is the header's" {
	tr -s ' \t\n' '   ' <core/megapipe.h |
		sed 's/ \*/ */g; s/; /;\n/g' >"$tmp/header"
	for page in docs/man/mp_*.3; do
		sed -n 's/^\.Fn \(mp_[a-z_]*\) "\(.*\)"$/\1(\2)/p' "$page" |
			sed 's/" "/, /g' >"$tmp/synopsis"
		while IFS= read -r line; do
			grep -qF "$line" "$tmp/header" || {
				echo "$page: $line"
				false
			}
		done <"$tmp/synopsis"
	done
}

@test "the example of each page compiles, as C and C++" {
	local n=0

	for page in docs/man/*.3; do
		grep -q '^\.so ' "$page" && continue
		scripts/page-example "$page" >"$tmp/a.c"
		[ -s "$tmp/a.c" ] || { echo "no example: $page"; false; }
		gcc "${strict[@]}" -Wno-unused-function -std=gnu11 \
			-fsyntax-only "$tmp/a.c"
		n=$((n + 1))
		! command -v g++ >/dev/null ||
			g++ "${strict[@]}" -Wno-unused-function -x c++ \
				-std=gnu++17 -fsyntax-only "$tmp/a.c"
	done
	[ "$n" -ge 13 ]
}

@test "the example of a page calls every function that the page is of" {
	local n=0

	for page in docs/man/mp_*.3; do
		grep -q '^\.so ' "$page" && continue
		scripts/page-example "$page" >"$tmp/a.c"
		for name in $(sed -n 's/^\.Nm \(mp_[a-z_]*\).*/\1/p' "$page"); do
			grep -q "\<$name(" "$tmp/a.c" || {
				echo "$page: no $name()"
				false
			}
			n=$((n + 1))
		done
	done
	[ "$n" -ge 18 ]
}

@test "the first example serves" {
	scripts/page-example docs/man/megapipe.3 |
		sed 's/htons(7)/0/; s/return serve(fd)/socklen_t len = sizeof(addr);\n\tgetsockname(fd, (struct sockaddr *)\&addr, \&len);\n\tprintf("%d\\n", ntohs(addr.sin_port));\n\tfflush(stdout);\n\treturn serve(fd)/' >"$tmp/a.c"
	gcc -I core -o "$tmp/a" "$tmp/a.c" build/libmegapipe.a -pthread
	run python3 - "$tmp/a" <<-'END'
	import socket, subprocess, sys
	p = subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE)
	try:
	    line = p.stdout.readline()
	    if not line or p.poll() is not None:
	        sys.exit(77)
	    for i in range(20):
	        s = socket.create_connection(("127.0.0.1", int(line)), 5)
	        assert s.makefile().read() == "hello\n"
	finally:
	    p.kill()
	END
	[ "$status" != 77 ] || skip "no io_uring"
	[ "$status" = 0 ]
}

# The dump is made by `make abi` where a release is prepared, and never
# changed for what a program would notice: that needs another symbol version.
@test "the binary interface is that of tests/abi/libmegapipe.abi" {
	command -v abidiff >/dev/null || skip "no abidiff (abigail-tools)"
	[ "$(uname -m)" = x86_64 ] || skip "the dump is of x86_64"
	run abidiff --suppressions tests/abi/private.ini --no-added-syms \
		tests/abi/libmegapipe.abi build/libmegapipe.so
	echo "$output"
	[ "$status" = 0 ]
}
