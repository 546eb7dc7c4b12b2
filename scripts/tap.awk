# SPDX-License-Identifier: MIT
# Judges the TAP output of one program: prints why it is wrong, or nothing.
# With notes=1 it prints instead what a program that passed has skipped.
/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; planned = 1 }
/^Bail out!/ { bail = $0 }
/^(ok|not ok)( |$)/ { seen++ }
/^not ok( |$)/ { bad++ }
/^ok .*# *[Ss][Kk][Ii][Pp]/ {
	skipped++
	reason = $0
	sub(/.*# *[Ss][Kk][Ii][Pp] */, "", reason)
}
END {
	if (notes) {
		if (skipped)
			printf "%d of its cases skipped: %s\n", skipped, reason
	} else if (bail != "") {
		print bail
	} else if (bad) {
		print bad " of its cases failed"
	} else if (planned && seen != plan) {
		printf "planned %d cases, ran %d\n", plan, seen
	} else if (tap && !planned) {
		print "no TAP plan in its output"
	}
}
