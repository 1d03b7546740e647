// Level 2: x86-64 with AVX2.
// The instruction set is an attribute of each function, never of the file: nothing of it can leak elsewhere.
#include "kernel.h"

#if defined(__x86_64__)
#define LEVEL avx2
#define LANES 8
/// Fewer messages than this are hashed one by one.
#define WORTH_LANES 3
#define TARGET __attribute__((target("avx2")))
#define OPAQUE(x) (void)0

#include "rows.h"
#include "lanes.h"
#endif
