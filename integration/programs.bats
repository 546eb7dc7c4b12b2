#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that are not event-driven servers are not disturbed by the
# preload: shells, interpreters, clients, compilers, sanitizers and setuid
# programs print and return what they do without it.

# Scripts in quotes are for other shells to expand (SC2016).
# shellcheck disable=SC2034,SC2016 # variables that lib.bash and its kin read
load lib
load nginx

setup_file() {
	MP_WWW=$(www_make)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

# A program that only serves itself accepts nothing through a channel, and
# a refused io_uring is no concern of one that would not have used it.
silent() {
	! own_lines "$MP_DIR"/*.err >/dev/null && return 0
	grep -h '^megapipe:' "$MP_DIR"/*.err
	return 1
}

outcome() {
	local status=0
	mkdir -p "$MP_DIR/work"
	(cd "$MP_DIR/work" && "$@") 2>"$MP_DIR/$WHO.err" </dev/null || status=$?
	echo "status $status"
	rm -rf "$MP_DIR/work"
}

# undisturbed MODE COMMAND...: prints and returns what it does natively.
undisturbed() {
	local expected
	mp_env "$1"
	shift
	WHO=plain
	expected=$(outcome "$@")
	WHO=ours
	same "$*" "$expected" "$(outcome "${MP_PREFIX[@]}" "$@")"
	silent || return 1
	[[ $expected == *"status ${STATUS:-0}" ]] || {
		echo "$expected"
		cat "$MP_DIR/plain.err"
		return 1
	}
}

need() {
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

shell() {
	undisturbed "$1" bash -c '
		seq 1000 | sort -rn | head -n 3
		diff <(seq 3) <(seq 4)
		coproc cat; echo through a coprocess >&"${COPROC[1]}"
		read -r line <&"${COPROC[0]}"; echo "$line"
		kill "$COPROC_PID"
		for i in $(seq 50); do (exit $((i % 3))); echo -n $?; done
		dd if=/dev/zero bs=64k count=100 2>/dev/null | gzip | gunzip | wc -c
		find / -maxdepth 1 | xargs -n 2 -P 4 echo | wc -w
		tar -C /etc -cf - hostname | tar -tf -
		trap "echo trapped" USR1; kill -USR1 $$; sleep 0.1 & wait
		exec 7<>/dev/null; echo x >&7; exec 7>&-
		timeout 0.1 sleep 5; echo $?
		mkfifo pipe; (echo fifo >pipe) & cat pipe; wait'
}

python() {
	undisturbed "$1" "$PY" -c '
import asyncio, os, select, socket, socketserver, subprocess, threading

print(subprocess.run(["echo", "child"], capture_output=True).stdout)
print(subprocess.run("exit 7", shell=True).returncode)

class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.rfile.readline().upper())

with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for i in range(20):
        with socket.create_connection(server.server_address) as sock:
            sock.sendall(b"line %d\n" % i)
            print(sock.makefile().readline(), end="")
    server.shutdown()

async def handle(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.split(b":")[1]))
    writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body[::-1])
    await writer.drain()
    writer.close()

async def client(port, size):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = bytes(i % 251 for i in range(size))
    writer.write(b"POST / HTTP/1.0\r\nLength:%d\r\n\r\n" % size + body)
    got = await reader.read()
    writer.close()
    return got.endswith(b"\r\n\r\n" + body[::-1])

async def main():
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(await asyncio.gather(*(client(port, 3 ** i) for i in range(14))))
    proc = await asyncio.create_subprocess_exec(
        "tr", "a-z", "A-Z", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    print(await proc.communicate(b"through a child"))
asyncio.run(main())

left, right = socket.socketpair()
socket.send_fds(left, [b"x"], [os.open("/etc/hostname", os.O_RDONLY)])
print(len(socket.recv_fds(right, 10, 4)[1]))
poll = select.epoll(); poll.register(right, select.EPOLLIN)
print(poll.poll(0.05)); left.send(b"y"); print(len(poll.poll(1)))

# A daemon closes every descriptor that it does not know of.
if os.fork() == 0:
    os.closerange(3, 4096)
    listener = socket.create_server(("127.0.0.1", 0))
    with socket.create_connection(listener.getsockname()) as sock:
        other, _ = listener.accept()
        other.send(b"after closerange"); print(sock.recv(100), flush=True)
    os._exit(3)
print(os.waitstatus_to_exitcode(os.wait()[1]))
'
}

perl_program() {
	need perl
	undisturbed "$1" perl -e '
		use strict; use IO::Socket::INET; use IO::Select;
		my $server = IO::Socket::INET->new(Listen => 5,
			LocalAddr => "127.0.0.1", Proto => "tcp") or die;
		my $pid = fork();
		if (!$pid) {
			my $sock = IO::Socket::INET->new(PeerAddr => "127.0.0.1",
				PeerPort => $server->sockport) or die;
			print $sock "from the child\n"; print scalar <$sock>; exit 4;
		}
		my $conn = $server->accept; my $line = <$conn>; print $line;
		print $conn uc $line; close $conn; waitpid($pid, 0);
		print $? >> 8, "\n"; print `echo a command`;
		open(my $pipe, "-|", "seq 3") or die; print <$pipe>;'
}

git_program() {
	need git
	undisturbed "$1" env HOME=/nonexistent GIT_AUTHOR_DATE="1000000000 +0000" \
		GIT_COMMITTER_DATE="1000000000 +0000" \
		GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org \
		GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org bash -ec '
		git init -q -b main one; cd one
		seq 1000 >file; git add file; git commit -q -m first
		echo more >>file; git commit -q -a -m second
		cd ..; git clone -q one two
		git clone -q --no-local "file://$PWD/one" three
		git -C three log --format=%H; git -C two gc -q
		git -C two fsck --full; git -C three diff HEAD~1 --stat'
}

clients() {
	local url prefix
	mp_env "$1"
	# The server is a plain one: here the clients have the preload.
	prefix=("${MP_PREFIX[@]}")
	MP_PREFIX=()
	nginx_start server
	url=http://127.0.0.1:$NGX_PORT
	MP_PREFIX=("${prefix[@]}")
	undisturbed "$1" bash -c "curl -sS $url/f5m | sha256sum
		curl -sS $url/f612 $url/f64k $url/f612 | sha256sum
		curl -sSZ $url/f612 -o 1 $url/f64k -o 2 $url/f5m -o 3; sha256sum 1 2 3
		curl -sS -T 3 $url/stored/up; curl -sS $url/stored/up | sha256sum
		curl -sS -o /dev/null http://127.0.0.1:1/ 2>&1 |
			sed 's/after [0-9]* ms/after some ms/'
		exit \${PIPESTATUS[0]}"
	"${MP_PREFIX[@]}" wrk -t2 -c20 -d1 "$url/f612" >"$MP_DIR/wrk" 2>&1
	cat "$MP_DIR/wrk"
	(($(awk '/requests in/ { print $1 }' "$MP_DIR/wrk") > 500))
	! grep -E 'Socket errors|Non-2xx|megapipe:' "$MP_DIR/wrk" || return 1
}

packages() {
	need apt-get
	undisturbed "$1" apt-get --version
	# Reads its own state and asks no server.
	undisturbed "$1" apt-cache policy bash
}

secure_shell() {
	need ssh
	undisturbed "$1" bash -c 'ssh -V 2>&1; ssh-keygen -q -t ed25519 -N "" -f key
		ssh-keygen -l -f key | cut -d" " -f1,3-
		ssh -o BatchMode=yes -p 1 127.0.0.1 2>&1'
}

compiler() {
	need gcc
	need make
	undisturbed "$1" bash -ec '
		for i in 1 2 3 4; do echo "int f$i(void) { return $i; }" >f$i.c; done
		echo "int f1(void); int main(void) { return f1() + 4; }" >main.c
		printf "all: f1.o f2.o f3.o f4.o main.o\n\tcc -o prog \$^\n" >Makefile
		make -s -j4; ./prog || echo $?'
}

# Address sanitizer wants to be first. Where it is not, it says so itself;
# where it is, everything works.
sanitizer() {
	local expected got asan
	need gcc
	mp_env "$1"
	asan=$(gcc -print-file-name=libasan.so)
	[[ -e $asan ]] || skip "gcc has no address sanitizer here"
	cat >"$MP_DIR/prog.c" <<-'C'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <unistd.h>
		#include <sys/epoll.h>
		#include <sys/socket.h>
		int main(void)
		{
			int pair[2], set = epoll_create1(0);
			struct epoll_event event = { .events = EPOLLIN };
			char *text = strdup("sanitized");

			socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
			epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event);
			printf("%d", epoll_wait(set, &event, 1, 10));
			if (write(pair[1], text, 9) != 9)
				return 1;
			printf("%d %s\n", epoll_wait(set, &event, 1, 1000), text);
			free(text);
			return 0;
		}
	C
	gcc -fsanitize=address -o "$MP_DIR/prog" "$MP_DIR/prog.c"
	expected=$("$MP_DIR/prog")
	same "natively" "01 sanitized" "$expected"
	got=$("${MP_PREFIX[@]}" "$MP_DIR/prog" 2>"$MP_DIR/err") ||
		grep 'ASan runtime does not come first' "$MP_DIR/err"
	[[ -z $got ]] || same "behind" "$expected" "$got"
	[[ $1 != plain ]] || return 0
	same "in front" "$expected" "$(env "${MP_PREFIX[@]:1}" \
		LD_PRELOAD="$(realpath "$asan"):$MP_LIB" "$MP_DIR/prog")"
}

# The loader drops a preload for a program that gains privileges.
setuid() {
	local id=$MP_DIR/id
	((EUID == 0)) || skip "only root can make a setuid copy"
	need setpriv
	mp_env "$1"
	cp "$(command -v id)" "$id"
	chown root "$id"
	chmod 4755 "$id"
	local as=(setpriv --reuid nobody --regid nogroup --clear-groups)
	local expected
	expected=$("${as[@]}" "$id" 2>&1)
	[[ $expected == *euid=0* ]] || skip "setuid has no effect on this mount"
	same "setuid id" "$expected" \
		"$("${as[@]}" "${MP_PREFIX[@]}" "$id" 2>&1)"
}

@test "plain: shell pipes and jobs" { shell plain; }
@test "on: shell pipes and jobs" { shell on; }
@test "off: shell pipes and jobs" { shell off; }
@test "refused: shell pipes and jobs" { shell refused; }

@test "plain: python3" { python plain; }
@test "on: python3" { python on; }
@test "off: python3" { python off; }

@test "plain: perl" { perl_program plain; }
@test "on: perl" { perl_program on; }
@test "off: perl" { perl_program off; }

@test "plain: git" { git_program plain; }
@test "on: git" { git_program on; }

@test "plain: curl and wrk" { STATUS=7 clients plain; }
@test "on: curl and wrk" { STATUS=7 clients on; }
@test "off: curl and wrk" { STATUS=7 clients off; }

@test "plain: apt" { packages plain; }
@test "on: apt" { packages on; }

@test "plain: ssh" { STATUS=255 secure_shell plain; }
@test "on: ssh" { STATUS=255 secure_shell on; }

@test "plain: make and gcc" { compiler plain; }
@test "on: make and gcc" { compiler on; }

@test "plain: address sanitizer" { sanitizer plain; }
@test "on: address sanitizer" { sanitizer on; }

@test "plain: a setuid program" { setuid plain; }
@test "on: a setuid program" { setuid on; }
