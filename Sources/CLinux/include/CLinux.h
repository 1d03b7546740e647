// Thin shims over Linux system calls. Every function returns the result of the call, or the negated errno: the error
// number never has to survive the way through another language's runtime.
#pragma once

#if __has_include("store.h")
#include "store.h"
#endif
#if __has_include("tree.h")
#include "tree.h"
#endif
#if __has_include("harden.h")
#include "harden.h"
#endif
#if __has_include("launch.h")
#include "launch.h"
#endif
