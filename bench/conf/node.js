// SPDX-License-Identifier: MIT
// An HTTP server as its documentation has it.
require('http').createServer((request, response) => {
	response.setHeader('Content-Length', '13');
	response.end('hello, world\n');
}).listen(@PORT@, '127.0.0.1');
