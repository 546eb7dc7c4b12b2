#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# make install and uninstall: what they put where, that it works there, and
# that nothing is left.
# timeout: 120

load lib
load cli

setup_file() {
	[[ -e $MP_BUILD/libmegapipe-preload.so ]] || return 0
	OPT=$(mp_dir_new)
	export OPT
	unset MAKEFLAGS MAKELEVEL DESTDIR PREFIX
	# Only what knows the prefix is built again.
	mkdir "$OPT/build"
	cp -a "$MP_BUILD"/{flags,paths,obj,lib*,megapipe*} "$OPT/build/"
	[[ ! -d $MP_BUILD/bpf ]] || cp -a "$MP_BUILD/bpf" "$OPT/build/"
	install_opt
}
teardown_file() { [[ -z ${OPT:-} ]] || rm -rf "$OPT"; }

setup() {
	mp_setup
	mp_need_lib
	unset MAKEFLAGS MAKELEVEL DESTDIR PREFIX
}
teardown() { mp_teardown; }

install_opt() {
	make -s -C "$MP_TOP" "BUILD=$OPT/build" "PREFIX=$OPT" install \
		>"$OPT/make.out" 2>&1 || { cat "$OPT/make.out"; return 1; }
}

# make_it TARGET VAR=VALUE...: with what is built.
make_it() { make -s -C "$MP_TOP" "BUILD=$MP_BUILD" "$@"; }

listed() { (cd "$1" && find . -not -type d | sort); }

@test "install: what goes where, under DESTDIR" {
	make_it install "DESTDIR=$MP_DIR/root"
	listed "$MP_DIR/root/usr/local" | grep -v '/man3/' >"$MP_DIR/list"
	diff - "$MP_DIR/list" <<-LIST
		./bin/megapipe
		./include/megapipe.h
		./lib/libmegapipe-preload.so
		./lib/libmegapipe.a
		./lib/libmegapipe.so
		./lib/libmegapipe.so.1
		./lib/pkgconfig/megapipe.pc
		./share/bash-completion/completions/megapipe
		./share/man/man1/megapipe.1
		./share/man/man7/megapipe-preload.7
		./share/megapipe/systemd/memcached.conf
		./share/megapipe/systemd/nginx.conf
		./share/megapipe/systemd/redis-server.conf
		./share/zsh/site-functions/_megapipe
	LIST
	same "nothing elsewhere" "$(listed "$MP_DIR/root/usr/local" | wc -l)" \
		"$(listed "$MP_DIR/root" | wc -l)"
	same "the link" libmegapipe.so.1 \
		"$(readlink "$MP_DIR/root/usr/local/lib/libmegapipe.so")"
	same "executable" 1 "$(find "$MP_DIR/root" -type f -perm /111 | wc -l)"
	for page in "$MP_TOP"/docs/man/*.[1-8]; do
		test -s "$MP_DIR/root/usr/local/share/man/man${page##*.}/${page##*/}"
	done
	make_it uninstall "DESTDIR=$MP_DIR/root"
	same "left" "" "$(listed "$MP_DIR/root")"
	test ! -e "$MP_DIR/root/usr/local/share/megapipe"
}

@test "install: DESTDIR with a blank" {
	make_it install "DESTDIR=$MP_DIR/a root"
	test -x "$MP_DIR/a root/usr/local/bin/megapipe"
	make_it uninstall "DESTDIR=$MP_DIR/a root"
	same "left" "" "$(listed "$MP_DIR/a root")"
}

@test "install: the command and the library work there" {
	same "preloads its own" "$OPT/lib/libmegapipe-preload.so" \
		"$("$OPT/bin/megapipe" run sh -c 'echo $LD_PRELOAD')"
	"$OPT/bin/megapipe" --version | grep -qE '^megapipe [0-9]+\.'
	mv "$OPT/lib/libmegapipe-preload.so" "$OPT/away"
	fails 125 "neither beside this command nor in $OPT/lib" \
		"$OPT/bin/megapipe" run true
	mv "$OPT/away" "$OPT/lib/libmegapipe-preload.so"
}

@test "install: a program is built by pkg-config, shared and static" {
	command -v pkg-config >/dev/null || skip "pkg-config is not installed"
	export PKG_CONFIG_PATH=$OPT/lib/pkgconfig
	same "version" "$("$MP" --version)" "megapipe $(pkg-config --modversion megapipe)"
	cat >"$MP_DIR/a.c" <<-C
		#include <megapipe.h>
		int main(int argc, char **argv)
		{
			struct mp_channel *ch;
			return argc > 1 && mp_create(0, &ch);
		}
	C
	# shellcheck disable=SC2046 # several words
	gcc -o "$MP_DIR/shared" "$MP_DIR/a.c" $(pkg-config --cflags --libs megapipe)
	LD_LIBRARY_PATH=$OPT/lib "$MP_DIR/shared"
	readelf -d "$MP_DIR/shared" | grep -q 'NEEDED.*libmegapipe.so.1'
	# shellcheck disable=SC2046
	gcc -o "$MP_DIR/static" "$MP_DIR/a.c" $(pkg-config --cflags megapipe) \
		"$OPT/lib/libmegapipe.a" $(pkg-config --static --libs-only-other \
		megapipe)
	"$MP_DIR/static"
	lacks <(readelf -d "$MP_DIR/static") libmegapipe
}

# A process keeps the file that it has mapped: it is replaced, not written to.
@test "install: over a library that is in use" {
	before=$(stat -c %i "$OPT/lib/libmegapipe-preload.so")
	exec {held}<"$OPT/lib/libmegapipe-preload.so"
	install_opt
	[[ $(stat -c %i "$OPT/lib/libmegapipe-preload.so") != "$before" ]]
	same "the old one" "$before" "$(stat -Lc %i "/proc/self/fd/$held")"
	exec {held}<&-
}

@test "install: bash-completion and zsh find what is for them" {
	loader=/usr/share/bash-completion/bash_completion
	if [[ -e $loader ]]; then
		# shellcheck disable=SC2016 # for the inner shell
		XDG_DATA_DIRS=$OPT/share bash --norc -c '. "$0"
			_completion_loader megapipe || true
			complete -p megapipe' "$loader" >"$MP_DIR/out"
		grep -q -- '-F _megapipe megapipe' "$MP_DIR/out"
	fi
	command -v zsh >/dev/null || skip "zsh is not installed"
	# shellcheck disable=SC2016
	same "zsh" _megapipe "$(zsh -f -c 'fpath=($1 $fpath)
		autoload -Uz compinit && compinit -u -D
		print $_comps[megapipe]' zsh "$OPT/share/zsh/site-functions")"
}
