// Level 1: x86-64 with SSE4.1.
// The instruction set is an attribute of each function, never of the file: nothing of it can leak elsewhere.
#include "kernel.h"

#if defined(__x86_64__)
#define LEVEL sse41
#define LANES 4
/// Fewer messages than this are hashed one by one.
#define WORTH_LANES 3
#define TARGET __attribute__((target("sse4.1,ssse3")))
#define OPAQUE(x) (void)0

#include "rows.h"
#include "lanes.h"
#endif
