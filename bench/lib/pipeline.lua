-- SPDX-License-Identifier: MIT
-- wrk sends 16 requests in one piece and waits for 16 answers.
function init(args)
	local one = {}
	for i = 1, 16 do
		one[i] = wrk.format("GET", wrk.path)
	end
	request_text = table.concat(one)
end

function request()
	return request_text
end
