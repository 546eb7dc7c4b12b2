// SPDX-License-Identifier: MIT
// Node's servers: server.js PORT HTTP-PORT, until SIGTERM. Echo by a pipe
// from a socket to itself, and over HTTP what backend.py has the words for,
// one answer by a child process, one by a worker thread.
"use strict";
const child = require("child_process");
const crypto = require("crypto");
const http = require("http");
const net = require("net");
const worker = require("worker_threads");

const [port, webPort] = process.argv.slice(2).map(Number);

const echo = net.createServer({ allowHalfOpen: true }, (sock) => {
	sock.on("error", () => {});
	sock.pipe(sock);
});

function sum(data) {
	return crypto.createHash("sha256").update(data).digest("hex");
}

// The same bytes for the same count, from a hash in counter mode.
function someBytes(count) {
	const parts = [];
	for (let i = 0; i * 32 < count; i++)
		parts.push(crypto.createHash("sha256").update(`${i}`).digest());
	return Buffer.concat(parts).subarray(0, count);
}

const answers = {
	bytes(req, res, count) {
		const data = someBytes(count);
		res.writeHead(200, { "Content-Length": data.length });
		res.end(data);
	},
	chunked(req, res, count) {
		const data = someBytes(count);
		res.writeHead(200);
		for (let at = 0, size = 1; at < count; at += size, size += 977)
			res.write(data.subarray(at, at + size));
		res.end();
	},
	sum(req, res) {
		const hash = crypto.createHash("sha256");
		let size = 0;
		req.on("data", (data) => {
			hash.update(data);
			size += data.length;
		});
		req.on("end", () =>
			res.end(`${hash.digest("hex")} ${size}\n`));
	},
	child(req, res, count) {
		const run = child.spawn("head", ["-c", `${count}`, "/dev/zero"]);
		run.stdout.pipe(res);
	},
	exec(req, res) {
		child.execFile("cat", ["-"], (err, out) =>
			res.end(`${err} ${sum(out)}\n`)).stdin.end("x".repeat(99999));
	},
	thread(req, res, count) {
		const run = new worker.Worker(
			"const w = require('worker_threads');" +
			"w.parentPort.postMessage(Buffer.alloc(w.workerData, 7))",
			{ eval: true, workerData: count });
		run.on("message", (data) => res.end(Buffer.from(data)));
	},
	file(req, res) {
		require("fs").createReadStream("/etc/passwd").pipe(res);
	},
};

const web = http.createServer((req, res) => {
	const [, word, count] = req.url.split("/");
	if (!answers[word]) {
		res.writeHead(404);
		res.end("none\n");
		return;
	}
	answers[word](req, res, Number(count || 0));
});

web.on("upgrade", (req, sock) => {
	sock.on("error", () => {});
	sock.write("HTTP/1.1 101 Switching Protocols\r\n" +
		"Upgrade: echo\r\nConnection: Upgrade\r\n\r\n");
	sock.pipe(sock);
});

process.on("SIGTERM", () => process.exit(0));
echo.listen({ port, host: "127.0.0.1", backlog: 256 });
web.listen({ port: webPort, host: "127.0.0.1", backlog: 256 });
