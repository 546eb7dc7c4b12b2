#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What our own code costs: instructions that the library executes for a small
# request, its core included, counted by stepping through a server. They do
# not depend on the machine, so what is more than before is a change of ours.
# The aim is 600; docs/design.md says where they go.

# shellcheck disable=SC2034,SC2154 # variables that lib.bash and its kin read
load lib

setup() { mp_setup; }
teardown() { mp_teardown; }

# spent CONNECTIONS ROUNDS [-x]: sets SPENT, instructions a request.
spent() {
	local status=0
	rm -f "$MP_DIR/port"
	"${MP_PREFIX[@]}" "$MP_BUILD/tests/tools/answer" "${@:3}" \
		>"$MP_DIR/port" 2>"$MP_DIR/stderr" 3>&- &
	local server=$!
	wait_for 5 test -s "$MP_DIR/port"
	timeout 60 "$MP_BUILD/tests/tools/steps" -P "$server" \
		-p "$(<"$MP_DIR/port")" -c "$1" -r "$2" "${@:3}" \
		-q 'hello\r\n' >"$MP_DIR/steps" 2>"$MP_DIR/steps.err" ||
		status=$?
	kill "$server"
	wait "$server" || true
	cat "$MP_DIR/steps" "$MP_DIR/steps.err" "$MP_DIR/stderr"
	((status != 77)) || skip "nobody may trace a process here"
	((status == 0))
	SPENT=$(awk '/^requests/ { n = $2 } /^libmegapipe/ { sum = $2 }
		END { printf "%d", sum / n }' "$MP_DIR/steps")
	echo "$SPENT instructions a request"
}

# within LIMIT: and not nothing, which would be a server without us.
within() { ((SPENT > 100 && SPENT <= $1)); }

budget() {
	mp_env "$1"
	spent 1 5
	within "$2"
	spent 16 2
	within "$3"
}

@test "on: a small request on 1 and on 16 connections" {
	budget on 2200 1500
}

@test "off: a small request on 1 and on 16 connections" {
	budget off 2200 1500
}

@test "on: one request per connection" {
	mp_env on
	spent 4 3 -x
	within 4900
}
