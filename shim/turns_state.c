/* SPDX-License-Identifier: MIT */
/* See turns.h. What is known, apart from the entry points: tests of the logic
 * have their own locks. */
#include "turns.h"

bool turns_lock_held, turns_lock_made;

void turns_forked(void)
{
	__atomic_store_n(&turns_lock_held, false, __ATOMIC_RELAXED);
}
