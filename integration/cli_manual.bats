#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The manual pages and the completions of the command: what they say is what
# the command has. `make lint` has the comparison with --help, too.
# timeout: 60

load lib
load cli

setup() { mp_setup; }
teardown() { mp_teardown; }

@test "options: the page and both completions have those of --help" {
	"$MP_TOP/scripts/options" "$MP"
}

# The comparison finds something when there is something.
@test "options: one too many and one too few are found" {
	cat >"$MP_DIR/megapipe" <<-SH
		#!/bin/sh
		"$MP" "\$@" | sed 's/--quiet /--silent/'
	SH
	chmod +x "$MP_DIR/megapipe"
	status=0
	"$MP_TOP/scripts/options" "$MP_DIR/megapipe" >"$MP_DIR/out" || status=$?
	cat "$MP_DIR/out"
	same "status" 1 "$status"
	for place in page bash zsh; do
		grep -qx "$place: run lacks -q --silent" "$MP_DIR/out"
		grep -qx "$place: run has -q --quiet, --help does not" "$MP_DIR/out"
	done
}

@test "pages: the tables are those of the code, mandoc has no complaint" {
	command -v mandoc >/dev/null || skip "mandoc is not installed"
	"$MP_TOP/scripts/manual" --check
}

# tables_of: what the check of `make` reads, and its rule.
tables_of() {
	mkdir -p "$1/docs" "$1/core" "$1/shim"
	cp -a "$MP_TOP/Makefile" "$MP_TOP/scripts" "$1/"
	cp -a "$MP_TOP/docs/man" "$1/docs/"
	cp "$MP_TOP"/core/*.def "$1/core/"
	cp "$MP_TOP/shim/symbols.def" "$1/shim/"
}

@test "pages: the build fails when a table is stale" {
	unset MAKEFLAGS MAKELEVEL
	tables_of "$MP_DIR/tree"
	make -s -C "$MP_DIR/tree" build/manual
	for change in 's/"MEGAPIPE_BATCH", 32,/"MEGAPIPE_BATCH", 64,/
		core/opts.def' 's/io_uring_enter calls/calls/ core/stats.def' \
		's/SYM(read)/SYM(read_anew)/ shim/symbols.def'; do
		tables_of "$MP_DIR/tree"
		sed -i "${change%[[:space:]]*}" "$MP_DIR/tree/${change##*[[:space:]]}"
		lacks <(cat "$MP_TOP/${change##*[[:space:]]}") read_anew
		status=0
		make -s -C "$MP_DIR/tree" build/manual >"$MP_DIR/out" 2>&1 ||
			status=$?
		same "make, $change" 2 "$status"
		grep -q 'megapipe-preload.7: stale, run scripts/manual' \
			"$MP_DIR/out"
	done
	# In the default build, not in a check only.
	make -C "$MP_DIR/tree" -n all | grep -q 'scripts/manual --stale'
}

@test "pages: limits, then the variables, then every symbol" {
	page=$MP_TOP/docs/man/megapipe-preload.7
	same "order" "LIMITS ENVIRONMENT SYMBOLS" "$(sed -n 's/^\.Sh //p' "$page" |
		grep -E '^(LIMITS|ENVIRONMENT|SYMBOLS)$' | paste -sd' ')"
	same "the first after what it is" LIMITS \
		"$(sed -n 's/^\.Sh //p' "$page" | sed -n 4p)"
	while read -r symbol; do
		grep -q "^\.Fn $symbol\( ,\)\?$" "$page" || {
			echo "$symbol is missing"
			return 1
		}
	done < <("$MP_TOP/scripts/symbols")
}

@test "documents: the files that they link to are there" {
	cd "$MP_TOP"
	for page in *.md docs/*.md; do
		while read -r link; do
			[[ $link != http* ]] || continue
			test -e "$(dirname "$page")/${link%%#*}" || {
				echo "$page: there is no $link"
				return 1
			}
		done < <(grep -oE '\]\([^)]+\)' "$page" | sed 's/^](//; s/)$//')
	done
}

# offered_by_bash WORD...: what is offered for the last word, sorted.
offered_by_bash() {
	PATH=$MP_BUILD:$PATH bash --norc --noprofile -c '
		. "$0"
		[[ $(complete -p megapipe) == *"-F _megapipe megapipe" ]] || exit
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		compopt() { :; }
		_megapipe
		printf "%s\n" "${COMPREPLY[@]}"
	' "$MP_TOP/completion/megapipe.bash" "$@" | sort -u | paste -sd' '
}

@test "completion: bash" {
	same "commands" "doctor env help run sockets stat" "$(offered_by_bash \
		megapipe '' | tr ' ' '\n' | grep -v '^-' | paste -sd' ')"
	same "a command" "sockets stat" "$(offered_by_bash megapipe s)"
	same "an option" "--quiet" "$(offered_by_bash megapipe run --q)"
	same "with a value" "--interval=" "$(offered_by_bash megapipe stat --in)"
	same "variables" "MEGAPIPE_BATCH= MEGAPIPE_BUFFERS=" \
		"$(offered_by_bash megapipe run -e MEGAPIPE_B)"
	same "behind =" "MEGAPIPE_SLOTS=" \
		"$(offered_by_bash megapipe run --env = MEGAPIPE_SLO)"
	same "states" "estab established" "$(offered_by_bash megapipe sockets state e)"
	same "depths" lw "$(offered_by_bash megapipe sockets depth l)"
	same "programs" setsid "$(offered_by_bash megapipe run -q setsid)"
	same "no options of ours behind the program" "" \
		"$(offered_by_bash megapipe run true --qui)"
	cd "$MP_TOP"
	same "a file" CONTRIBUTING.md "$(offered_by_bash megapipe run -c CONTR)"
	same "a file behind =" CONTRIBUTING.md \
		"$(offered_by_bash megapipe run --config = CONTR)"
	same "the program's files" CONTRIBUTING.md \
		"$(offered_by_bash megapipe run -e A = b -- cat CONTR)"
}

# offered_by_zsh LINE: what tab offers behind the line, sorted.
offered_by_zsh() {
	rm -f "$MP_DIR"/found*
	PATH=$MP_BUILD:$PATH MP_FOUND=$MP_DIR/found \
		zsh -f "$MP_HERE/complete.zsh" "$MP_TOP/completion" "$1" |
		sort -u | paste -sd' '
}

@test "completion: zsh" {
	command -v zsh >/dev/null || skip "zsh is not installed"
	same "commands" "doctor env help run sockets stat" \
		"$(offered_by_zsh 'megapipe ')"
	same "an option" --quiet "$(offered_by_zsh 'megapipe run --qu')"
	same "variables" "MEGAPIPE_BATCH MEGAPIPE_BUFFERS" \
		"$(offered_by_zsh 'megapipe run -e MEGAPIPE_B')"
	same "states" "estab established" \
		"$(offered_by_zsh 'megapipe sockets state e')"
	same "programs" setsid "$(offered_by_zsh 'megapipe run -q setsid')"
}

@test "completion: processes that run with the library" {
	server_start
	[[ " $(offered_by_bash megapipe stat '') " == *" $SRV_PID "* ]]
	[[ " $(offered_by_bash megapipe sockets '') " == *" $SRV_PID "* ]]
	if command -v zsh >/dev/null; then
		[[ " $(offered_by_zsh 'megapipe stat ') " == *" $SRV_PID "* ]]
	fi
	server_end
}
