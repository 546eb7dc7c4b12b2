#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Who gets a connection. With all clients on one CPU and 1,000 connections held
# open the most loaded of four workers has at most 1.25 times the mean; with
# pinned workers it is the worker of the CPU that took the SYN, always; a
# worker that does not take connections now keeps none waiting. What plain
# workers and nginx's own reuseport do is printed beside it.

# shellcheck disable=SC2034 # variables that lib.bash and its kin read
load lib
load nginx
load partition

setup_file() {
	MP_WWW=$(mp_dir_new)
	export MP_WWW
}
teardown_file() { rm -rf "$MP_WWW"; }
setup() { mp_setup; }
teardown() { mp_teardown; }

# held COUNT ARGUMENT...: so many connections at once; the table is in held.
held() {
	"$LOSS" -p "$NGX_PORT" -k -q "$WHO_KEEP" -n "$1" -l 2000 -w 8 \
		"${@:2}" >"$MP_DIR/held" 2>&1 && return 0
	cat "$MP_DIR/held"
	return 1
}

# balance MODE MOST [LISTEN]: the client is on CPU 0, as its SYNs are.
balance() {
	local ratio
	part_start "$1" 4 "${3:-}"
	held 1000 -c 0 -r 4000
	ratio=$(by_ratio "$MP_DIR/held" 4)
	printf '# %s %s: %s, most loaded %s %% of the mean\n' "$1" "${3:-}" \
		"$(by_line "$MP_DIR/held")" "$ratio" >&3
	nginx_end "$NGX_PID"
	((ratio <= $2))
}

cpus() {
	CPUS=$(nproc)
	((CPUS >= 2)) || skip "one CPU"
	((CPUS <= 8)) || CPUS=8
}

# A mask for each worker, as nginx writes them.
masks() {
	local i j mask
	for ((i = 0; i < CPUS; i++)); do
		mask=
		for ((j = CPUS - 1; j >= 0; j--)); do
			mask+=$((i == j))
		done
		printf '%s ' "$mask"
	done
}

allowed_cpu() {
	awk '/^Cpus_allowed_list:/ { print $2 }' "/proc/$1/status"
}

worker_of() {
	local pid
	for pid in $(part_workers "$NGX_PID"); do
		[[ $(allowed_cpu "$pid") != "$1" ]] || echo "$pid"
	done
}

all_pinned() {
	local cpu
	for ((cpu = 0; cpu < CPUS; cpu++)); do
		[[ -n $(worker_of $cpu) ]] || return 1
	done
}

# pinned MODE SHARE: at least so many percent go to the worker of the CPU that
# the client is on. Two under way at most: a long queue is a reason to go
# elsewhere, and here nothing shall be one.
pinned() {
	local cpu own all
	cpus
	NGX_MAIN="worker_cpu_affinity $(masks);"
	part_start "$1" "$CPUS" "${3:-}"
	wait_for 10 all_pinned
	for ((cpu = 0; cpu < CPUS; cpu++)); do
		"$LOSS" -p "$NGX_PORT" -x -q "$WHO" -n 300 -c $cpu -m 2 \
			-l 2000 >"$MP_DIR/cpu$cpu"
		own=$(awk -v pid="$(worker_of $cpu)" \
			'/^by / && $2 == pid { print $3 }' "$MP_DIR/cpu$cpu")
		all=$(loss_count answered "$MP_DIR/cpu$cpu")
		printf '# %s %s: CPU %s, %s of %s by its own worker\n' "$1" \
			"${3:-}" $cpu "${own:-0}" "$all" >&3
		((${own:-0} * 100 >= $2 * all))
	done
	nginx_end "$NGX_PID"
	(($2 == 0)) || part_verify
}

# A stopped worker is as one that is busy with something slow. At first it may
# be sent some: whoever is stopped does not say so.
busy() {
	part_start "$1" 4
	"$LOSS" -p "$NGX_PORT" -x -q "$WHO" -t 2 -K "$NGX_PID" -W worker \
		-i 400 -f 300 -G -l 150 -c 0 >"$MP_DIR/busy"
	printf '# %s: of %s, %s waited for a stopped worker, %s times\n' \
		"$1" "$(loss_count started "$MP_DIR/busy")" \
		"$(loss_count late "$MP_DIR/busy")" \
		"$(loss_count kills "$MP_DIR/busy")" >&3
	same "unanswered" "$(loss_count started "$MP_DIR/busy")" \
		"$(loss_count answered "$MP_DIR/busy")"
	nginx_end "$NGX_PID"
	(($(loss_count late "$MP_DIR/busy") <= \
		$2 * $(loss_count kills "$MP_DIR/busy")))
}

# Four workers that each take 30 at most, and 118 clients from one CPU.
full() {
	part_env "$1"
	prefork_start 4 127.0.0.1:0 --most 30
	held 118 -c 0 -r 1000
	printf '# %s: %s of 30 each\n' "$1" "$(by_line "$MP_DIR/held")" >&3
	prefork_end
	wait_for 5 mp_none_left
}

# The same, and a worker that is full says listen(fd, 0), as memcached does:
# that is the queue of all, natively. Connections that find it full try again
# a second later, so they may come late, but each is answered. When the first
# clients are gone the workers listen as before.
refusing() {
	part_env "$1"
	prefork_start 4 127.0.0.1:0 --most 30 --refuse
	held 118 -c 0 -r 1000 -l 7000
	printf '# %s: %s of 30 each\n' "$1" "$(by_line "$MP_DIR/held")" >&3
	held 100 -c 0 -r 1000 -l 7000
	prefork_end
	wait_for 5 mp_none_left
}

# Explicit masks: two partitions, each of one CPU, whichever workers have them.
explicit_masks() {
	local cpu
	cpus
	part_env "$1"
	mp_with MEGAPIPE_CPUS=0/1
	part_ready 2
	for cpu in 0 1; do
		"$LOSS" -p "$NGX_PORT" -x -q "$WHO" -n 300 -c $cpu -m 2 \
			-l 2000 >"$MP_DIR/cpu$cpu"
		printf '# %s: CPU %s: %s\n' "$1" $cpu \
			"$(grep ^by "$MP_DIR/cpu$cpu" | tr '\n' ' ')" >&3
		same "workers of CPU $cpu" 1 "$(grep -c ^by "$MP_DIR/cpu$cpu")"
	done
	[[ $(awk '/^by / { print $2 }' "$MP_DIR/cpu0") != \
		$(awk '/^by / { print $2 }' "$MP_DIR/cpu1") ]]
	part_end
}

# Masks that can't be are an error that names them; the server runs.
bad_masks() {
	part_env on
	mp_with "MEGAPIPE_CPUS=$1"
	part_ready 2
	grep -hF "$2" "$NGX_DIR/stderr" "$NGX_DIR/error.log" |
		grep -qF MEGAPIPE_CPUS
	curl -sS -m 5 "http://127.0.0.1:$NGX_PORT/hello"
	nginx_end "$NGX_PID"
}

# Names that an administrator sees, while a server with partitions runs. Others
# may run beside it: the server has the table's map open, and that map tells
# the program, which tells the other.
bpftool_names() {
	local bpftool table prog maps id
	bpftool=$(PATH=$PATH:/usr/sbin command -v bpftool) ||
		skip "no bpftool"
	"$bpftool" prog show >/dev/null 2>&1 || skip "bpftool may not look"
	part_start on/ebpf 2
	table=$(awk '/^map_id:/ { print $2; exit }' \
		/proc/"$NGX_PID"/fdinfo/*)
	"$bpftool" map show id "$table" | grep -q 'array .*name mp_partitions'
	read -r prog maps < <("$bpftool" prog show name mp_steer |
		awk -v table="$table" '/sk_reuseport .*name mp_steer/ { id = $1 }
		match($0, /map_ids [0-9,]*/) {
			ids = substr($0, RSTART + 8, RLENGTH - 8)
			if (("," ids ",") ~ ("," table ","))
				print id, ids
		}')
	[[ -n $prog ]]
	for id in ${maps//,/ }; do
		"$bpftool" map show id "$id" | tee -a "$MP_DIR/maps"
	done
	grep -q 'reuseport_sockarray .*name mp_listeners' "$MP_DIR/maps"
	part_end
	wait_for 5 prog_gone "$bpftool" "${prog%:}"
}
prog_gone() { ! "$1" prog show id "$2" >/dev/null 2>&1; }

@test "plain: 1,000 connections, printed" { balance plain 400; }
@test "plain: reuseport, printed" { balance plain 400 reuseport; }
@test "on/auto: 1,000 connections" { balance on/auto 125; }
@test "off/auto: 1,000 connections" { balance off/auto 125; }
@test "on/cbpf: 1,000 connections" { balance on/cbpf 125; }
@test "on/hash: 1,000 connections" { balance on/hash 125; }

@test "plain: pinned, printed" { pinned plain 0; }
@test "plain: pinned with reuseport, printed" { pinned plain 0 reuseport; }
@test "on/ebpf: pinned" { pinned on/ebpf 100; }
@test "off/ebpf: pinned" { pinned off/ebpf 100; }
@test "on/cbpf: pinned" { pinned on/cbpf 100; }
@test "on/ebpf: pinned, MEGAPIPE_CPUS" { explicit_masks on/ebpf; }
@test "on/cbpf: pinned, MEGAPIPE_CPUS" { explicit_masks on/cbpf; }
@test "MEGAPIPE_CPUS that overlap" { bad_masks 0-1/1 "0-1 and 1"; }
@test "MEGAPIPE_CPUS that nobody has" { bad_masks 0/999 999; }

@test "plain: a busy worker" { busy plain 8; }
@test "on/ebpf: a busy worker" { busy on/ebpf 40; }
@test "off/ebpf: a busy worker" { busy off/ebpf 40; }

@test "plain: workers that are full" { full plain; }
@test "on/ebpf: workers that are full" { full on/ebpf; }
@test "off/ebpf: workers that are full" { full off/ebpf; }
@test "on/cbpf: workers that are full" { full on/cbpf; }
@test "on/hash: workers that are full" { full on/hash; }

@test "plain: full workers that say listen(fd, 0)" { refusing plain; }
@test "on/ebpf: full workers that say listen(fd, 0)" { refusing on/ebpf; }
@test "off/ebpf: full workers that say listen(fd, 0)" { refusing off/ebpf; }
@test "on/cbpf: full workers that say listen(fd, 0)" { refusing on/cbpf; }

@test "bpftool shows names" { bpftool_names; }
