#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 900
# Servers of other protocols: secure shell, names (dnsmasq, unbound), files
# (vsftpd, proftpd, rsync), and the relays socat and iperf3.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load ../lib
load ../servers

setup() { mp_setup; }
teardown() { mp_teardown; }

# 50 MiB each way, commands, a forwarded port.
sshd_session() {
	local port to ahead
	backend
	read -r port ahead < <(free_ports 2)
	mkdir -p "$MP_DIR/server" /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f "$MP_DIR/server/host"
	ssh-keygen -q -t ed25519 -N '' -f "$MP_DIR/server/user"
	cp "$MP_DIR/server/user.pub" "$MP_DIR/server/allowed"
	printf '%s\n' "Port $port" 'ListenAddress 127.0.0.1' 'UsePAM no' \
		"HostKey $MP_DIR/server/host" 'StrictModes no' 'PidFile none' \
		"AuthorizedKeysFile $MP_DIR/server/allowed" \
		'PermitRootLogin yes' 'Subsystem sftp internal-sftp' \
		>"$MP_DIR/server/conf"
	serve server /usr/sbin/sshd -D -e -f "$MP_DIR/server/conf"
	wait_for 10 port_answers "$port" >&2
	SSH=(-q -F /dev/null -o StrictHostKeyChecking=no -o BatchMode=yes
		-o UserKnownHostsFile=/dev/null -i "$MP_DIR/server/user")
	to="$(id -un)@127.0.0.1"
	head -c 52428800 /dev/urandom >"$MP_DIR/large"
	scp "${SSH[@]}" -P "$port" "$MP_DIR/large" "$to:$MP_DIR/there"
	cmp "$MP_DIR/large" "$MP_DIR/there"
	scp "${SSH[@]}" -P "$port" "$to:$MP_DIR/there" "$MP_DIR/back"
	cmp "$MP_DIR/large" "$MP_DIR/back"
	ssh "${SSH[@]}" -p "$port" "$to" 'echo hello; cat; exit 7' <<<input ||
		echo "status $?"
	ssh "${SSH[@]}" -p "$port" "$to" "cat $MP_DIR/there" |
		cmp - "$MP_DIR/large"
	ssh "${SSH[@]}" -p "$port" -N -L "$ahead:127.0.0.1:$BACK_echo" "$to" \
		3>&- &
	local forward=$!
	wait_for 10 port_answers "$ahead" >&2
	client echo "$ahead" 2000000 , echo_many "$ahead" 5
	kill "$forward"
	wait "$forward" || true
	unserve TERM 0
	backend_end
	session_untouched server >&2
}

# dns PORT: questions by TCP and UDP, several on a connection.
dns() {
	local ask=(dig "@127.0.0.1" -p "$1" +short +tries=1 +time=3) i
	for i in +tcp +notcp; do
		"${ask[@]}" $i one.test A one.test TXT two.test A none.test A |
			sort
	done
	client dns "$1"
}

dnsmasq_session() {
	local port
	port=$(free_ports 1)
	serve server "$(type -P dnsmasq)" -k -C /dev/null -p "$port" \
		--listen-address=127.0.0.1 --bind-interfaces --no-resolv \
		--no-hosts --address=/one.test/192.0.2.1 --user=root \
		--address=/two.test/192.0.2.2 --pid-file \
		--txt-record=one.test,text
	wait_for 10 port_answers "$port" >&2
	dns "$port"
	unserve TERM 0
	silent_verify server >&2
}

unbound_session() {
	local port
	port=$(free_ports 1)
	mkdir "$MP_DIR/server"
	cat >"$MP_DIR/server/conf" <<-CONF
		server:
			interface: 127.0.0.1@$port
			port: $port
			username: ""
			chroot: ""
			pidfile: ""
			directory: "$MP_DIR/server"
			num-threads: $1
			use-syslog: no
			incoming-num-tcp: 100
			local-zone: "test." static
			local-data: "one.test. A 192.0.2.1"
			local-data: 'one.test. TXT "text"'
			local-data: "two.test. A 192.0.2.2"
		remote-control:
			control-enable: no
	CONF
	serve server "$(type -P unbound)" -d -c "$MP_DIR/server/conf"
	wait_for 10 port_answers "$port" >&2
	dns "$port"
	unserve TERM 0
	session_served server >&2
}

ftp_work() {
	local url=ftp://127.0.0.1:$1 file
	for file in f5m f612; do
		curl -sS -m 30 "$url/$file" | sha
		curl -sS -m 30 --disable-epsv "$url/$file" | sha
	done
	curl -sS -m 30 -r 1000-200000 "$url/f5m" | sha
	curl -sS -m 30 -l "$url/" | sort
	curl -sS -m 30 -T "$MP_DIR/root/f5m" "$url/up/new"
	sha "$MP_DIR/root/up/new"
	curl -sS -m 30 "$url/none" 2>&1 | head -n 1
	curl -sS -m 30 -P - "$url/f5m" | sha
}

ftp_root() {
	rm -rf "$MP_DIR/root"
	mkdir -p "$MP_DIR/root/up"
	chmod 0777 "$MP_DIR/root/up"
	"$PY" -c 'import random, sys
for name, size in (("f612", 612), ("f5m", 5 << 20)):
    with open(f"{sys.argv[1]}/{name}", "wb") as out:
        out.write(random.Random(size).randbytes(size))' "$MP_DIR/root"
}

# Two packages of FTP servers exclude each other: what of the second one is
# needed is its binary, which is taken from the package. Sets VSFTPD.
need_vsftpd() {
	local dir=$MP_BUILD/vsftpd
	VSFTPD=$(type -P vsftpd || echo "$dir/usr/sbin/vsftpd")
	[[ ! -x $VSFTPD ]] || return 0
	mkdir -p "$dir"
	if (cd "$dir" && apt-get -q download vsftpd &&
		dpkg -x vsftpd_*.deb .) >"$MP_DIR/vsftpd" 2>&1; then
		! ldd "$VSFTPD" | grep 'not found' || skip "vsftpd lacks libraries"
	else
		skip "vsftpd: $(tail -n 1 "$MP_DIR/vsftpd")"
	fi
}

vsftpd_session() {
	local port
	port=$(free_ports 1)
	ftp_root
	mkdir -p "$MP_DIR/server/empty"
	printf '%s\n' listen=YES listen_port="$port" background=NO \
		listen_address=127.0.0.1 anonymous_enable=YES \
		anon_root="$MP_DIR/root" write_enable=YES anon_upload_enable=YES \
		no_anon_password=YES anon_umask=022 xferlog_enable=NO \
		secure_chroot_dir="$MP_DIR/server/empty" ftp_username=daemon \
		connect_from_port_20=NO port_promiscuous=YES seccomp_sandbox=NO \
		>"$MP_DIR/server/conf"
	serve server "$VSFTPD" "$MP_DIR/server/conf"
	wait_for 10 port_answers "$port" >&2
	ftp_work "$port"
	unserve TERM 143
	session_untouched server >&2
}

proftpd_session() {
	local port
	port=$(free_ports 1)
	ftp_root
	mkdir -p "$MP_DIR/server"
	cat >"$MP_DIR/server/conf" <<-CONF
		ServerType standalone
		Port $port
		DefaultAddress 127.0.0.1
		SocketBindTight on
		UseIPv6 off
		User nobody
		Group nogroup
		WtmpLog off
		PidFile $MP_DIR/server/pid
		ScoreboardFile none
		DelayEngine off
		UseFtpUsers off
		AuthOrder mod_auth_unix.c
		<Anonymous $MP_DIR/root>
			User nobody
			Group nogroup
			UserAlias anonymous nobody
			RequireValidShell off
			AnonRequirePassword off
			AllowRetrieveRestart on
			AllowForeignAddress on
		</Anonymous>
	CONF
	serve server "$(type -P proftpd)" -n -q -c "$MP_DIR/server/conf"
	wait_for 10 port_answers "$port" >&2
	ftp_work "$port"
	unserve TERM 0
	silent_verify server >&2
}

rsync_session() {
	local port
	port=$(free_ports 1)
	ftp_root
	mkdir -p "$MP_DIR/server"
	printf '%s\n' "port = $port" 'address = 127.0.0.1' 'use chroot = no' \
		'uid = 0' 'gid = 0' '[files]' "path = $MP_DIR/root" \
		'read only = no' >"$MP_DIR/server/conf"
	serve server rsync --daemon --no-detach --config="$MP_DIR/server/conf"
	wait_for 10 port_answers "$port" >&2
	rm -rf "$MP_DIR/copy"
	rsync -a "rsync://127.0.0.1:$port/files/" "$MP_DIR/copy"
	diff -r "$MP_DIR/root" "$MP_DIR/copy"
	head -c 30000000 /dev/urandom >"$MP_DIR/copy/new"
	rsync -az "$MP_DIR/copy/" "rsync://127.0.0.1:$port/files/"
	cmp "$MP_DIR/copy/new" "$MP_DIR/root/new"
	rm "$MP_DIR/copy/new" "$MP_DIR/root/new"
	unserve TERM 0
	session_untouched server >&2
}

socat_session() {
	local port
	port=$(free_ports 1)
	serve server socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork" \
		EXEC:cat
	wait_for 10 port_answers "$port" >&2
	client echo "$port" , echo_short "$port" 20
	unserve TERM 143
	session_untouched server >&2
}

iperf3_session() {
	local port
	port=$(free_ports 1)
	serve server iperf3 -s -B 127.0.0.1 -p "$port" --forceflush
	wait_for 10 port_answers "$port" >&2
	iperf3 -c 127.0.0.1 -p "$port" -n 200M -P 4 >"$MP_DIR/perf"
	tail -n 1 "$MP_DIR/perf"
	iperf3 -c 127.0.0.1 -p "$port" -n 200M -R >"$MP_DIR/perf"
	tail -n 1 "$MP_DIR/perf"
	unserve TERM 1
	session_untouched server >&2
}

@test "plain: sshd" { [[ -x /usr/sbin/sshd ]] || skip "openssh-server is not installed"; as_plain plain sshd_session; }
@test "on: sshd" { [[ -x /usr/sbin/sshd ]] || skip "openssh-server is not installed"; as_plain on sshd_session; }
@test "off: sshd" { [[ -x /usr/sbin/sshd ]] || skip "openssh-server is not installed"; as_plain off sshd_session; }

@test "plain: dnsmasq" { need dnsmasq dig; as_plain plain dnsmasq_session; }
@test "on: dnsmasq" { need dnsmasq dig; as_plain on dnsmasq_session; }
@test "off: dnsmasq" { need dnsmasq dig; as_plain off dnsmasq_session; }

@test "plain: unbound" { need unbound dig; as_plain plain unbound_session 1; }
@test "on: unbound" { need unbound dig; as_plain on unbound_session 1; }
@test "off: unbound" { need unbound dig; as_plain off unbound_session 1; }

@test "plain: unbound, 4 threads" { need unbound dig; as_plain plain unbound_session 4; }
@test "on: unbound, 4 threads" { need unbound dig; as_plain on unbound_session 4; }
@test "off: unbound, 4 threads" { need unbound dig; as_plain off unbound_session 4; }

@test "plain: vsftpd" { need_vsftpd; as_plain plain vsftpd_session; }
@test "on: vsftpd" { need_vsftpd; as_plain on vsftpd_session; }
@test "off: vsftpd" { need_vsftpd; as_plain off vsftpd_session; }

@test "plain: proftpd" { need proftpd; as_plain plain proftpd_session; }
@test "on: proftpd" { need proftpd; as_plain on proftpd_session; }
@test "off: proftpd" { need proftpd; as_plain off proftpd_session; }

@test "plain: rsync" { need rsync; as_plain plain rsync_session; }
@test "on: rsync" { need rsync; as_plain on rsync_session; }
@test "off: rsync" { need rsync; as_plain off rsync_session; }

@test "plain: socat" { need socat; as_plain plain socat_session; }
@test "on: socat" { need socat; as_plain on socat_session; }
@test "off: socat" { need socat; as_plain off socat_session; }

@test "plain: iperf3" { need iperf3; as_plain plain iperf3_session; }
@test "on: iperf3" { need iperf3; as_plain on iperf3_session; }
@test "off: iperf3" { need iperf3; as_plain off iperf3_session; }

