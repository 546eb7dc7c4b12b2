/* SPDX-License-Identifier: MIT */
/* See real.h. */
#include <dlfcn.h>
#include <stdbool.h>

#include "real.h"

struct real_calls real_table;
bool real_ready;


/* dlsym() allocates only to report an error, and OPT symbols are the only
 * ones that may be missing. Two threads at once write the same values. */
void real_init(void)
{
#define SYM(name) \
	*(void **)&real_table.name = dlsym(RTLD_NEXT, #name);
#define OPT(name) SYM(name)
#define LEFT(name, reason)
#include "symbols.def"
#undef SYM
#undef OPT
#undef LEFT
	__atomic_store_n(&real_ready, true, __ATOMIC_RELEASE);
}
