#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# docs/walkthrough.md: its commands, taken from the document, do what it says.
# In a machine of namespaces; apt-get and systemctl are stand-ins: the first
# runs `make install` with the package's paths. `make check-package` runs them
# with the real package.
# timeout: 120

load lib
load private

setup() { mp_setup; }
teardown() { mp_teardown; }

@test "the walk through docs/walkthrough.md" {
	mp_need_lib
	[[ -e /usr/lib/systemd/system/nginx.service &&
		-e /etc/nginx/sites-enabled/default ]] ||
		skip "nginx of Debian is not installed"
	need_private
	mkdir -p "$MP_DIR/build" "$MP_DIR/bin"
	cp -a "$MP_BUILD"/{flags,paths,obj,lib*,megapipe*} "$MP_DIR/build/"
	[[ ! -d $MP_BUILD/bpf ]] || cp -a "$MP_BUILD/bpf" "$MP_DIR/build/"
	ln -s "$MP_HERE/systemctl" "$MP_DIR/bin/systemctl"
	cat >"$MP_DIR/bin/apt-get" <<-SH
		#!/bin/sh
		case \$2 in install) to=install ;; remove) to=uninstall ;; *) exit 9 ;; esac
		exec make -s -C "$MP_TOP" BUILD="$MP_DIR/build" PREFIX=/usr \\
			LIBDIR=/usr/lib/$(gcc -print-multiarch) "\$to"
	SH
	chmod +x "$MP_DIR/bin/apt-get"
	unset MAKEFLAGS MAKELEVEL DESTDIR PREFIX
	cp "$MP_TOP/docs/walkthrough.md" "$MP_DIR/walkthrough.md"
	PATH=$MP_DIR/bin:$PATH private "$PY" "$MP_HERE/walkthrough.py" \
		"$MP_DIR/walkthrough.md" ${WALK_WRITE:+--write} \
		>"$MP_DIR/out" 2>&1 || { cat "$MP_DIR/out"; return 1; }
	cat "$MP_DIR/out"
	[[ -z ${WALK_WRITE:-} ]] || cp "$MP_DIR/walkthrough.md" "$WALK_WRITE"
	same "blocks" "$(grep -c '^```console' "$MP_TOP/docs/walkthrough.md")" \
		"$(grep -c '^ok' "$MP_DIR/out")"
}
