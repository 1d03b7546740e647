// What the tree (blake3.c) asks of each instruction set. Internal to this module.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CBlake3.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are loaded as they lie in memory");

enum {
    BLOCK = 64,
    LEAF = 1024,
    CV = 32,

    FLAG_LEAF_START = 1,
    FLAG_LEAF_END = 2,
    FLAG_PARENT = 4,
    FLAG_ROOT = 8,
    FLAG_KEYED = 16,
};

#define IV_0 0x6A09E667u
#define IV_1 0xBB67AE85u
#define IV_2 0x3C6EF372u
#define IV_3 0xA54FF53Au
#define IV_4 0x510E527Fu
#define IV_5 0x9B05688Cu
#define IV_6 0x1F83D9ABu
#define IV_7 0x5BE0CD19u

/// One leaf or one parent node, to be hashed beside others: at most LEAF bytes, chained from the key.
typedef struct {
    const uint8_t *data;
    uint8_t *out;      // 32 bytes
    uint64_t counter;  // index of the leaf; 0 for a parent
    uint32_t length;
    uint8_t flags;  // on every block
    uint8_t first;  // on the first block besides
    uint8_t last;   // on the last block besides
} item;

typedef struct {
    /// Compresses `count` whole blocks, one after the other, into `cv`. `first` and `last` are flags on the outer blocks.
    void (*chain)(uint32_t cv[8], const uint8_t *blocks, size_t count, uint32_t last_length, uint64_t counter,
                  uint32_t flags, uint32_t first, uint32_t last);
    /// Chaining values of `count` whole leaves that lie one after the other.
    void (*leaves)(const uint8_t *data, size_t count, const uint32_t key[8], uint64_t counter, uint32_t flags,
                   uint8_t *out);
    /// Chaining values of `count` parents whose 2 * count children lie one after the other; `out` may be `children`.
    void (*parents)(const uint8_t *children, size_t count, const uint32_t key[8], uint32_t flags, uint8_t *out);
    /// Any leaves and parents, of any lengths. One-block items start in order: an item's `out` may overlap the data
    /// of items before it or its own.
    void (*items)(const item *items, size_t count, const uint32_t key[8]);
} kernel;

extern const kernel qala_blake3_portable;
#if defined(__x86_64__)
extern const kernel qala_blake3_sse41;
extern const kernel qala_blake3_avx2;
extern const kernel qala_blake3_avx512;
#endif

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)

#define INLINE static inline __attribute__((always_inline))

typedef uint32_t v4 __attribute__((vector_size(16)));
typedef uint32_t v8 __attribute__((vector_size(32)));
typedef uint32_t v16 __attribute__((vector_size(64)));
