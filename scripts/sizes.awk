# SPDX-License-Identifier: MIT
# Prints file:line for each file over max_file lines and, if max_function is
# set, each function over that. Kernel style: a function's body begins at "{"
# in column 1 and ends at "}" in column 1.
function check_file()
{
	if (lines > max_file)
		print name ":" lines ": file of " lines " lines"
}
FNR == 1 {
	check_file()
	name = FILENAME
	start = 0
}
{ lines = FNR }
/^\{/ { start = FNR }
/^\}/ {
	if (start && max_function && FNR - start + 1 > max_function)
		print name ":" start ": function of " FNR - start + 1 " lines"
	start = 0
}
END { check_file() }
