#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# timeout: 900
# Databases and what stands before them: PostgreSQL and pgbouncer, MariaDB
# with a thread for each connection and with a pool, nutcracker before redis
# and memcached, beanstalkd, mosquitto.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load ../lib
load ../redis
load ../servers

setup() { mp_setup; }
teardown() { mp_teardown; }

PG=$(compgen -G '/usr/lib/postgresql/*/bin' | tail -n 1)

# as_user NAME COMMAND...: database servers refuse to be root.
as_user() {
	if ((EUID)); then
		AS=()
	else
		AS=(setpriv --reuid "$1" --regid "$1" --clear-groups
			env "HOME=$MP_DIR")
	fi
}

pg() { PGCONNECT_TIMEOUT=10 timeout 60 "$PG/psql" -qAt -h 127.0.0.1 -U postgres "$@"; }

# pg_start NAME: sets PORT.
pg_start() {
	local AS
	as_user postgres
	PORT=$(free_ports 1)
	mkdir "$MP_DIR/$1"
	chmod 0777 "$MP_DIR" "$MP_DIR/$1"
	(cd / && "${AS[@]}" "$PG/initdb" -D "$MP_DIR/$1/data" -A trust \
		-U postgres -N >"$MP_DIR/initdb" 2>&1)
	((EUID)) || MP_PREFIX=("${AS[@]}" "${MP_PREFIX[@]}")
	serve "$1" "$PG/postgres" -D "$MP_DIR/$1/data" -p "$PORT" \
		-c listen_addresses=127.0.0.1 -c unix_socket_directories= \
		-c fsync=off -c logging_collector=off
	wait_for 20 pg -p "$PORT" -c 'select 1' postgres >&2
}

pg_work() {
	pg -p "$1" postgres <<-'SQL'
		create table t as select i, md5(i::text) h
			from generate_series(1, 200000) i;
		select count(*), md5(string_agg(h, '' order by i)) from t;
		select length(string_agg(h, '')) from t;
	SQL
	pg -p "$1" postgres -c 'copy t to stdout' >"$MP_DIR/copy"
	sha "$MP_DIR/copy"
	pg -p "$1" postgres -c 'truncate t' -c '\copy t from '"$MP_DIR/copy"
	pg -p "$1" postgres -c 'select count(*), sum(i) from t'
	"$PG/pgbench" -q -i -s 1 -h 127.0.0.1 -p "$1" -U postgres postgres \
		>"$MP_DIR/pgbench" 2>&1
	"$PG/pgbench" -n -c 8 -j 2 -t 100 -h 127.0.0.1 -p "$1" -U postgres \
		postgres 2>&1 | grep -E 'processed|failed'
	"$PG/pgbench" -n -C -S -c 4 -t 20 -h 127.0.0.1 -p "$1" -U postgres \
		postgres 2>&1 | grep -E 'processed|failed'
	pg -p "$1" postgres -c \
		'select sum(abalance) = sum(delta) from pgbench_accounts, lateral
		 (select sum(delta) delta from pgbench_history) h where abalance <> 0
		 group by delta' | head -n 1
}

# A backend waits on its client by epoll, a non-blocking socket.
postgres() {
	local PORT prefix=("${MP_PREFIX[@]}") job
	pg_start server
	pg_work "$PORT"
	# LISTEN is told by another connection; a cancel interrupts a query.
	pg -p "$PORT" postgres -c 'listen l' -c 'select pg_sleep(0.2)' \
		-c "notify l, 'x'" -c 'select 1' | sed 's/PID [0-9]*/PID/'
	timeout -s INT 1 "$PG/psql" -qAt -h 127.0.0.1 -U postgres -p "$PORT" \
		postgres -c 'select pg_sleep(30)' 2>&1 | head -n 1
	unserve INT 0
	MP_PREFIX=("${prefix[@]}")
	silent_verify server >&2
}

pgbouncer_session() {
	local PORT front AS prefix=("${MP_PREFIX[@]}") db
	MP_PREFIX=()
	pg_start server_db
	db=$SRV_PID
	MP_PREFIX=("${prefix[@]}")
	front=$(free_ports 1)
	mkdir "$MP_DIR/server"
	chmod 0777 "$MP_DIR/server"
	printf '%s\n' '[databases]' "* = host=127.0.0.1 port=$PORT" \
		'[pgbouncer]' "listen_port = $front" 'unix_socket_dir =' \
		'listen_addr = 127.0.0.1' 'auth_type = any' \
		'pool_mode = session' "logfile = $MP_DIR/server/log" \
		>"$MP_DIR/server/conf"
	sed -i 's/^\* = .*/& user=postgres/' "$MP_DIR/server/conf"
	chmod 0666 "$MP_DIR/server/conf"
	as_user postgres
	((EUID)) || MP_PREFIX=("${AS[@]}" "${MP_PREFIX[@]}")
	serve server "$(type -P pgbouncer)" "$MP_DIR/server/conf"
	wait_for 10 port_answers "$front" >&2
	pg_work "$front"
	unserve INT 0
	unserve INT 0 "$db"
	MP_PREFIX=("${prefix[@]}")
	session_verify server >&2
}

# mariadb VERIFY OPTION...
mariadb() {
	local PORT AS verify=$1 prefix=("${MP_PREFIX[@]}")
	shift
	PORT=$(free_ports 1)
	mkdir "$MP_DIR/server"
	chmod 0777 "$MP_DIR/server"
	as_user mysql
	"${AS[@]}" mariadb-install-db --no-defaults --auth-root-authentication-method=normal \
		--skip-test-db --datadir="$MP_DIR/server/data" >"$MP_DIR/db" 2>&1
	((EUID)) || MP_PREFIX=("${AS[@]}" "${MP_PREFIX[@]}")
	serve server "$(type -P mariadbd)" --no-defaults \
		--datadir="$MP_DIR/server/data" --port="$PORT" \
		--socket="$MP_DIR/server/s" --bind-address=127.0.0.1 \
		--pid-file="$MP_DIR/server/pid" --max-allowed-packet=128M "$@"
	wait_for 20 sql -e 'select 1' >&2
	sql <<-'SQL'
		create database d; use d;
		create table t (i int primary key, h char(32)) engine=innodb;
		insert into t select seq, md5(seq) from seq_1_to_20000;
		select count(*), sum(crc32(h)) from t;
		select md5(repeat('x', 20000000)), length(repeat('x', 9));
	SQL
	sql d -e 'select * from t order by i' | sha
	sql d -e "select repeat('y', 10000000)" | sha
	sql_insert | sql d
	sql d -e 'select count(*), sum(i) from u'
	local i jobs=()
	for i in 1 2 3 4 5 6; do
		for _ in $(seq 30); do
			echo "select count(*) from t where i % 7 = $i;"
		done | sql d 3>&- | sort | uniq -c >"$MP_DIR/sql.$i" &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	cat "$MP_DIR"/sql.?
	unserve TERM 0
	MP_PREFIX=("${prefix[@]}")
	"$verify" server >&2
}
sql() {
	timeout 60 "$(type -P mariadb)" --no-defaults \
		-N --max-allowed-packet=128M -h 127.0.0.1 -P "$PORT" -u root "$@"
}
sql_insert() {
	echo 'create table u (i int, t longtext);'
	"$PY" -c 'for i in range(20):
    print(f"insert into u values ({i}, \"{chr(97 + i) * 1000000}\");")'
}

nutcracker_session() {
	local port prefix=("${MP_PREFIX[@]}")
	MP_PREFIX=()
	redis_start store
	MP_PREFIX=("${prefix[@]}")
	port=$(free_ports 1)
	mkdir "$MP_DIR/server"
	printf '%s\n' 'pool:' "  listen: 127.0.0.1:$port" '  redis: true' \
		'  hash: fnv1a_64' '  servers:' "   - 127.0.0.1:$RDS_PORT:1" \
		>"$MP_DIR/server/conf"
	serve server nutcracker -c "$MP_DIR/server/conf" -o "$MP_DIR/server/log" \
		-a 127.0.0.1 -s "$(free_ports 1)"
	wait_for 10 port_answers "$port" >&2
	for i in $(seq 20); do
		rcli "$port" set "k$i" "v$i"
		rcli "$port" get "k$i"
	done | sha
	client nutcracker "$port"
	timeout 60 redis-benchmark -h 127.0.0.1 -p "$port" -q -n 5000 -c 20 \
		-P 8 -t set,get,incr,lpush 2>&1 | tr '\r' '\n' |
		grep -ci error || true
	same "exit" 0 "$(r dbsize | grep -c '^0$')"
	local proxy=$SRV_PID
	redis_end
	unserve TERM 143 "$proxy"
	silent_verify server >&2
}

beanstalkd_session() {
	local port
	port=$(free_ports 1)
	serve server beanstalkd -l 127.0.0.1 -p "$port"
	wait_for 10 port_answers "$port" >&2
	client beanstalk "$port"
	unserve TERM 143
	silent_verify server >&2
}

mosquitto_session() {
	local port i jobs=()
	port=$(free_ports 1)
	mkdir "$MP_DIR/server"
	chmod 0777 "$MP_DIR/server"
	printf '%s\n' "listener $port 127.0.0.1" 'allow_anonymous true' \
		'max_inflight_messages 0' 'max_queued_messages 0' \
		>"$MP_DIR/server/conf"
	serve server mosquitto -c "$MP_DIR/server/conf"
	wait_for 10 port_answers "$port" >&2
	for i in 0 1 2; do
		mosquitto_sub -h 127.0.0.1 -p "$port" -t "news/$i" -q "$i" \
			-C 500 -W 20 -i "sub$i" >"$MP_DIR/sub.$i" 3>&- &
		jobs+=($!)
		wait_for 10 subscribed "sub$i" >&2
	done
	for i in 0 1 2; do
		seq 500 | mosquitto_pub -h 127.0.0.1 -p "$port" -t "news/$i" \
			-q "$i" -l
	done
	wait "${jobs[@]}"
	sha "$MP_DIR"/sub.?
	head -c 5000000 /dev/zero | tr '\0' z >"$MP_DIR/body"
	mosquitto_pub -h 127.0.0.1 -p "$port" -t kept -r -q 1 -f "$MP_DIR/body"
	mosquitto_sub -h 127.0.0.1 -p "$port" -t kept -C 1 -W 20 | sha
	unserve TERM 0
	session_verify server >&2
}
subscribed() { grep -q "as $1 " "$MP_DIR/server/stderr" && sleep 0.2; }

@test "plain: postgresql" { [[ -n $PG ]] || skip "postgresql is not installed"; as_plain plain postgres; }
@test "on: postgresql" { [[ -n $PG ]] || skip "postgresql is not installed"; as_plain on postgres; }
@test "off: postgresql" { [[ -n $PG ]] || skip "postgresql is not installed"; as_plain off postgres; }
@test "refused: postgresql" { [[ -n $PG ]] || skip "postgresql is not installed"; as_plain refused postgres; }

@test "plain: pgbouncer" { need pgbouncer; as_plain plain pgbouncer_session; }
@test "on: pgbouncer" { need pgbouncer; as_plain on pgbouncer_session; }
@test "off: pgbouncer" { need pgbouncer; as_plain off pgbouncer_session; }

@test "plain: mariadb" { need mariadbd; as_plain plain mariadb silent_verify; }
@test "on: mariadb" { need mariadbd; as_plain on mariadb silent_verify; }
@test "off: mariadb" { need mariadbd; as_plain off mariadb silent_verify; }

@test "plain: mariadb, pool of threads" { need mariadbd; as_plain plain mariadb silent_verify --thread-handling=pool-of-threads; }
@test "on: mariadb, pool of threads" { need mariadbd; as_plain on mariadb silent_verify --thread-handling=pool-of-threads; }
@test "off: mariadb, pool of threads" { need mariadbd; as_plain off mariadb silent_verify --thread-handling=pool-of-threads; }

@test "plain: nutcracker" { need nutcracker; as_plain plain nutcracker_session; }
@test "on: nutcracker" { need nutcracker; as_plain on nutcracker_session; }
@test "off: nutcracker" { need nutcracker; as_plain off nutcracker_session; }

@test "plain: beanstalkd" { need beanstalkd; as_plain plain beanstalkd_session; }
@test "on: beanstalkd" { need beanstalkd; as_plain on beanstalkd_session; }
@test "off: beanstalkd" { need beanstalkd; as_plain off beanstalkd_session; }

@test "plain: mosquitto" { need mosquitto mosquitto_sub; as_plain plain mosquitto_session; }
@test "on: mosquitto" { need mosquitto mosquitto_sub; as_plain on mosquitto_session; }
@test "off: mosquitto" { need mosquitto mosquitto_sub; as_plain off mosquitto_session; }

