// What keeps secrets of this process out of core dumps, debuggers and forked children.
#pragma once

#include <stddef.h>

/// Forbids core dumps and the attaching of debuggers by the same user. Inherited by children, dumpability until exec.
/// Returns 0 or the negated errno.
int qala_harden_process(void);

/// Makes every allocation of 1 MiB and more a mapping of its own, which the system has back when it is freed. Otherwise glibc
/// raises that bound with the first large block freed, and those after it leave holes in the heap: a third of the peak.
void qala_return_large_memory(void);

/// Maps `length` bytes of zeros that never reach a core dump and that a forked child sees as zeros again; locked in
/// memory where the limit of the process allows. NULL when out of memory or when the kernel cannot wipe on fork (before
/// Linux 4.14).
void *qala_map_secret_pages(size_t length);

/// Overwrites in a way that no optimiser removes.
void qala_wipe(void *bytes, size_t count);
