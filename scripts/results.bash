# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What every runner shares: one result is one line on the terminal and one
# line "status TAB name TAB reason" in build/check/SUITE.results. The closing
# line is counted from these files, never from what was printed.
# Runners work in parallel; report() takes a lock so that texts do not mix.

check_dir=build/check

# report SUITE ok|FAIL|skip NAME [REASON [LOG]]: LOG is shown on FAIL.
report()
{
	local suite=$1 status=$2 name=$3 reason=${4:-} log=${5:-}

	(
		flock 9
		printf '%s\t%s\t%s\n' "$status" "$name" "$reason" \
			>>"$check_dir/$suite.results"
		printf '%-4s %s%s\n' "$status" "$name" "${reason:+: $reason}"
		if [ "$status" = FAIL ] && [ -n "$log" ]; then
			sed 's/^/     | /' "$log"
		fi
	) 9>>"$check_dir/lock"
}

# closing SUITE...: names the failures again, then the one line that counts.
# True if nothing failed and there was anything at all.
closing()
{
	local files=("${@/#/$check_dir/}")

	files=("${files[@]/%/.results}")
	awk -F '\t' '
	{ n[$1]++ }
	$1 == "FAIL" { print "failed: " $2 ($3 != "" ? ": " $3 : "") }
	END {
		printf "%d passed, %d failed", n["ok"], n["FAIL"]
		if (n["skip"])
			printf ", %d skipped", n["skip"]
		print ""
		exit n["FAIL"] > 0 || NR == 0
	}' "${files[@]}"
}
