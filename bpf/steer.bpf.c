/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's part: asked for each new connection of a partitioned listener,
 * and for each that is left when one of its sockets is closed.
 *
 * Owns: the two maps. Invariant: never drops; when the choice can't be had the
 * kernel's own hash decides. Runs in softirq on the CPU that took the SYN.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "steer.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct steer_table);
} mp_partitions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, STEER_PARTS);
	__type(key, __u32);
	__type(value, __u64);
} mp_listeners SEC(".maps");

SEC("sk_reuseport/migrate")
int mp_steer(struct sk_reuseport_md *ctx)
{
	struct steer_table *table;
	__u32 zero = 0, part, key, now = STEER_TICK(bpf_ktime_get_ns());

	table = bpf_map_lookup_elem(&mp_partitions, &zero);
	if (!table)
		return SK_PASS;
	part = steer_pick(table, bpf_get_smp_processor_id(), now);
	STEER_FORGET(part);
	steer_note(&table->parts[part & (STEER_PARTS - 1)], now);
	key = part & (STEER_PARTS - 1);
	bpf_sk_select_reuseport(ctx, &mp_listeners, &key, 0);
	return SK_PASS;
}

char steer_license[] SEC("license") = "Dual BSD/GPL";
