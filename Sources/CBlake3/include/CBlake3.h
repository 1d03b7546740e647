// BLAKE3 (unkeyed and keyed, 32 bytes of output), for vault format 1.
//
// Every function is thread-safe; a stream belongs to one thread at a time. Nothing allocates and nothing fails: the
// only way to misuse these functions is a null pointer with a length that is not zero, or an `out` without room.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QALA_BLAKE3_KEY_BYTES = 32, QALA_BLAKE3_OUT_BYTES = 32, QALA_BLAKE3_STACK_MAX = 56 };

/// Hashes one message. `key_or_null` is null for the unkeyed hash, otherwise 32 bytes.
void qala_blake3(const uint8_t *key_or_null, const void *data, size_t len, uint8_t out[32]);

/// Hashes `n` independent messages, side by side in vector lanes where that pays; `out` has room for n * 32 bytes.
void qala_blake3_many(const uint8_t *key_or_null, const uint8_t *const *data, const size_t *len, size_t n,
                      uint8_t *out);

/// An unfinished hash; the fields are private to the implementation. At most 2^64 - 1 bytes may be hashed.
typedef struct {
    uint32_t key[8];
    /// The leaf being filled: chaining value, its last block (not yet compressed), bytes in the leaf so far (0...1024).
    uint32_t leaf[8];
    uint64_t block[8];
    uint32_t leaf_bytes;
    uint32_t flags;
    /// Whole leaves that went to the stack.
    uint64_t leaves;
    /// Chaining values of subtrees, the oldest and largest first.
    uint32_t depth;
    uint32_t stack[QALA_BLAKE3_STACK_MAX * 8];
} qala_blake3_stream;

void qala_blake3_stream_init(qala_blake3_stream *stream, const uint8_t *key_or_null);
/// Runs at full vector speed when given at least 64 KiB at once, however the calls before it were cut.
void qala_blake3_stream_update(qala_blake3_stream *stream, const void *data, size_t len);
/// Leaves the stream as it was: more can be added afterwards.
void qala_blake3_stream_final(const qala_blake3_stream *stream, uint8_t out[32]);

/// The instruction set in use: 0 portable, 1 SSE4.1, 2 AVX2, 3 AVX-512. The best of this machine unless set.
int qala_blake3_level(void);
/// For tests and benchmarks: uses `level`, or the best below it that the machine has, from the next call on.
void qala_blake3_set_level(int level);

#ifdef __cplusplus
}
#endif
