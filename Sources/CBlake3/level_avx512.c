// Level 3: x86-64 with AVX-512 F and VL.
// The instruction set is an attribute of each function, never of the file: nothing of it can leak elsewhere.
#include "kernel.h"

#if defined(__x86_64__)
#define LEVEL avx512
#define LANES 16
/// Fewer messages than this are hashed one by one.
#define WORTH_LANES 4
#define TARGET __attribute__((target("avx512f,avx512vl")))
/// Keeps the halves of a block apart: joined to one 512-bit vector they would close a port to all the 128-bit
/// instructions around them (a fifth of the speed of short messages).
#define OPAQUE(x) __asm__("" : "+v"(x))

#include "rows.h"
#include "lanes.h"
#endif
