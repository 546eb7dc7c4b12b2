# SPDX-License-Identifier: MIT
# Blanks the comments of C source, keeps its lines: what is left is code and
# string literals, on the line numbers it had.
{
	out = ""
	n = length($0)
	for (i = 1; i <= n; i++) {
		c = substr($0, i, 1)
		two = substr($0, i, 2)
		if (comment) {
			if (two == "*/") {
				comment = 0
				i++
			}
			continue
		}
		if (quote != "") {
			out = out c
			if (c == "\\")
				out = out substr($0, ++i, 1)
			else if (c == quote)
				quote = ""
			continue
		}
		if (two == "/*") {
			comment = 1
			i++
			continue
		}
		if (two == "//")
			break
		if (c == "\"" || c == "'")
			quote = c
		out = out c
	}
	quote = ""
	print out
}
