// Any processor: vectors of four words, in whatever the compiler has for them.
// The instruction set is an attribute of each function, never of the file: nothing of it can leak elsewhere.
#include "kernel.h"

#define LEVEL portable
#define LANES 4
/// Fewer messages than this are hashed one by one.
#define WORTH_LANES 3
#define TARGET
#define OPAQUE(x) (void)0

#include "rows.h"
#include "lanes.h"
