// The tree of BLAKE3, over the kernels of one instruction set (kernel.h).
//
// Invariants:
// - The stack holds chaining values of complete subtrees, left to right, each the left part of what is still to come.
//   Before a subtree is pushed that starts at leaf `p`, neighbours are merged until as many entries stand as `p` has
//   one-bits; nothing is merged earlier, because the last merge of all carries the root flag.
// - A leaf or parent is compressed without the root flag only once it is known not to be the root: the first leaf of
//   a message waits in the stream until more than 1024 bytes have come.
// - Widths never change results: every kernel computes the same function.
#include <stdatomic.h>

#include "kernel.h"

enum {
    /// Leaves whose chaining values are computed before their parents are.
    BATCH = 256,
    /// A message of `many` from this length on fills the lanes by itself.
    LONG_MESSAGE = 32 * LEAF,
};

static const uint32_t initial[8] = {IV_0, IV_1, IV_2, IV_3, IV_4, IV_5, IV_6, IV_7};

// MARK: the instruction set

static atomic_int chosen = -1;

static int best_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    // These ask for the processor's features and for an operating system that saves the registers.
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) return 3;
    if (__builtin_cpu_supports("avx2")) return 2;
    if (__builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3")) return 1;
#endif
    return 0;
}

int qala_blake3_level(void)
{
    int level = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (level < 0) {
        level = best_level();
        atomic_store_explicit(&chosen, level, memory_order_relaxed);
    }
    return level;
}

void qala_blake3_set_level(int level)
{
    int best = best_level();
    if (level > best) level = best;
    if (level < 0) level = 0;
    atomic_store_explicit(&chosen, level, memory_order_relaxed);
}

static const kernel *current(void)
{
#if defined(__x86_64__)
    switch (qala_blake3_level()) {
    case 3: return &qala_blake3_avx512;
    case 2: return &qala_blake3_avx2;
    case 1: return &qala_blake3_sse41;
    default: break;
    }
#endif
    return &qala_blake3_portable;
}

static uint32_t load_key(const uint8_t *key_or_null, uint32_t key[8])
{
    memcpy(key, key_or_null ? (const void *)key_or_null : (const void *)initial, CV);
    return key_or_null ? FLAG_KEYED : 0;
}

// MARK: the stream

void qala_blake3_stream_init(qala_blake3_stream *stream, const uint8_t *key_or_null)
{
    stream->flags = load_key(key_or_null, stream->key);
    stream->leaf_bytes = 0;
    stream->leaves = 0;
    stream->depth = 0;
}

static void parent(const qala_blake3_stream *stream, const kernel *k, const uint32_t children[16], uint32_t root,
                   uint32_t out[8])
{
    uint32_t cv[8];
    memcpy(cv, stream->key, CV);
    k->chain(cv, (const uint8_t *)children, 1, BLOCK, 0, stream->flags | FLAG_PARENT | root, 0, 0);
    memcpy(out, cv, CV);
}

/// Makes ready for a subtree that starts at leaf `position`.
static void settle(qala_blake3_stream *stream, const kernel *k, uint64_t position)
{
    uint32_t entries = (uint32_t)__builtin_popcountll(position);
    while (stream->depth > entries) {
        uint32_t *left = stream->stack + 8 * (stream->depth - 2);
        parent(stream, k, left, 0, left);
        stream->depth--;
    }
}

static void push(qala_blake3_stream *stream, const kernel *k, uint64_t position, const void *cv)
{
    settle(stream, k, position);
    memcpy(stream->stack + 8 * stream->depth, cv, CV);
    stream->depth++;
}

/// Adds `count` (1...BATCH) whole leaves, of which none can be the root.
static void absorb(qala_blake3_stream *stream, const kernel *k, const uint8_t *data, size_t count)
{
    uint8_t storage[BATCH * CV] __attribute__((aligned(64)));
    uint8_t tails[16][CV];
    uint64_t tail_positions[16];
    uint32_t tail_count = 0;
    uint8_t *nodes = storage;
    uint64_t position = stream->leaves;  // of the first node, counted in nodes of this height
    uint32_t height = 0;
    k->leaves(data, count, stream->key, position, stream->flags, nodes);
    stream->leaves += count;
    // A node without its sibling in this batch goes to the stack: the first one at once, the last one at the end.
    // Two remaining nodes stay apart, for they may be the children of the root.
    while (count > 0) {
        if (position & 1 || count == 1) {
            push(stream, k, position << height, nodes);
            nodes += CV;
            position++;
            count--;
            continue;
        }
        if (count & 1 || count == 2) {
            count--;
            memcpy(tails[tail_count], nodes + count * CV, CV);
            tail_positions[tail_count++] = (position + count) << height;
            continue;
        }
        count /= 2;
        k->parents(nodes, count, stream->key, stream->flags, nodes);
        position /= 2;
        height++;
    }
    while (tail_count > 0) {
        tail_count--;
        push(stream, k, tail_positions[tail_count], tails[tail_count]);
    }
}

/// Appends to the leaf, which has room. Its last block stays uncompressed.
static void fill_leaf(qala_blake3_stream *stream, const kernel *k, const uint8_t *data, size_t len)
{
    if (len == 0) return;
    if (stream->leaf_bytes == 0) {
        settle(stream, k, stream->leaves);
        memcpy(stream->leaf, stream->key, CV);
    }
    uint8_t *block = (uint8_t *)stream->block;
    while (len > 0) {
        uint32_t used = stream->leaf_bytes % BLOCK;
        if (used == 0 && stream->leaf_bytes > 0) {
            // The block is full, and more follows.
            uint32_t first = stream->leaf_bytes == BLOCK ? FLAG_LEAF_START : 0;
            k->chain(stream->leaf, block, 1, BLOCK, stream->leaves, stream->flags, first, 0);
        }
        if (used == 0 && len > BLOCK) {
            size_t blocks = (len - 1) / BLOCK;
            uint32_t first = stream->leaf_bytes == 0 ? FLAG_LEAF_START : 0;
            k->chain(stream->leaf, data, blocks, BLOCK, stream->leaves, stream->flags, first, 0);
            stream->leaf_bytes += (uint32_t)(blocks * BLOCK);
            data += blocks * BLOCK;
            len -= blocks * BLOCK;
        }
        size_t now = BLOCK - used < len ? BLOCK - used : len;
        memcpy(block + used, data, now);
        stream->leaf_bytes += (uint32_t)now;
        data += now;
        len -= now;
    }
}

/// The chaining value of the leaf as it stands.
static void end_leaf(const qala_blake3_stream *stream, const kernel *k, uint32_t root, uint32_t out[8])
{
    uint32_t used = stream->leaf_bytes == 0 ? 0 : (stream->leaf_bytes - 1) % BLOCK + 1;
    uint32_t first = stream->leaf_bytes <= BLOCK ? FLAG_LEAF_START : 0;
    uint8_t block[BLOCK] = {0};
    memcpy(block, stream->block, used);
    uint32_t cv[8];
    memcpy(cv, stream->leaf_bytes == 0 ? stream->key : stream->leaf, CV);
    k->chain(cv, block, 1, used, stream->leaves, stream->flags | root, first, FLAG_LEAF_END);
    memcpy(out, cv, CV);
}

static void update(qala_blake3_stream *stream, const kernel *k, const uint8_t *data, size_t len)
{
    if (stream->leaf_bytes > 0) {
        size_t room = LEAF - stream->leaf_bytes;
        size_t now = len < room ? len : room;
        fill_leaf(stream, k, data, now);
        data += now;
        len -= now;
        if (len == 0) return;
        uint32_t cv[8];
        end_leaf(stream, k, 0, cv);
        push(stream, k, stream->leaves, cv);
        stream->leaves++;
        stream->leaf_bytes = 0;
    }
    while (len > LEAF || (len == LEAF && stream->leaves > 0)) {
        size_t count = len / LEAF < BATCH ? len / LEAF : BATCH;
        absorb(stream, k, data, count);
        data += count * LEAF;
        len -= count * LEAF;
    }
    fill_leaf(stream, k, data, len);
}

void qala_blake3_stream_update(qala_blake3_stream *stream, const void *data, size_t len)
{
    if (len > 0) update(stream, current(), data, len);
}

static void final(const qala_blake3_stream *stream, const kernel *k, uint8_t out[32])
{
    uint32_t pair[16];  // the parent's children; the right one is the tree so far
    uint32_t depth = stream->depth;
    if (stream->leaf_bytes > 0 || depth == 0) {
        end_leaf(stream, k, depth == 0 ? FLAG_ROOT : 0, pair + 8);
    } else {
        depth--;
        memcpy(pair + 8, stream->stack + 8 * depth, CV);
    }
    while (depth > 0) {
        depth--;
        memcpy(pair, stream->stack + 8 * depth, CV);
        parent(stream, k, pair, depth == 0 ? FLAG_ROOT : 0, pair + 8);
    }
    memcpy(out, pair + 8, CV);
}

void qala_blake3_stream_final(const qala_blake3_stream *stream, uint8_t out[32]) { final(stream, current(), out); }

// MARK: whole messages

/// A message of at most one leaf.
static void short_message(const kernel *k, const uint32_t key[8], uint32_t flags, const uint8_t *data, size_t len,
                          uint8_t out[32])
{
    uint32_t cv[8];
    memcpy(cv, key, CV);
    size_t before = len == 0 ? 0 : (len - 1) / BLOCK;
    uint32_t rest = (uint32_t)(len - before * BLOCK);
    if (rest == BLOCK) {
        k->chain(cv, data, before + 1, BLOCK, 0, flags, FLAG_LEAF_START, FLAG_LEAF_END | FLAG_ROOT);
    } else {
        uint8_t block[BLOCK] = {0};
        if (rest > 0) memcpy(block, data + before * BLOCK, rest);
        if (before > 0) k->chain(cv, data, before, BLOCK, 0, flags, FLAG_LEAF_START, 0);
        k->chain(cv, block, 1, rest, 0, flags, before == 0 ? FLAG_LEAF_START : 0, FLAG_LEAF_END | FLAG_ROOT);
    }
    memcpy(out, cv, CV);
}

void qala_blake3(const uint8_t *key_or_null, const void *data, size_t len, uint8_t out[32])
{
    const kernel *k = current();
    if (len <= LEAF) {
        uint32_t key[8];
        uint32_t flags = load_key(key_or_null, key);
        short_message(k, key, flags, data, len, out);
        return;
    }
    qala_blake3_stream stream;
    qala_blake3_stream_init(&stream, key_or_null);
    update(&stream, k, data, len);
    final(&stream, k, out);
}

// MARK: many messages

/// Messages whose leaves are hashed together.
typedef struct {
    const kernel *kernel;
    uint32_t key[8];
    uint32_t flags;
    size_t count;  // items
    item items[BATCH];
    size_t trees;  // messages of more than one leaf
    struct {
        uint8_t *nodes;
        size_t count;
        uint8_t *out;
    } tree[BATCH / 2];
    uint8_t nodes[BATCH * CV] __attribute__((aligned(64)));
    size_t nodes_used;
} batch;

/// One level of parents of all trees at a time, until only roots are left.
static void flush(batch *b)
{
    b->kernel->items(b->items, b->count, b->key);
    while (b->trees > 0) {
        b->count = 0;
        for (size_t t = 0; t < b->trees; t++) {
            size_t pairs = b->tree[t].count / 2;
            int root = b->tree[t].count == 2;
            for (size_t i = 0; i < pairs; i++) {
                uint8_t *out = root ? b->tree[t].out : b->tree[t].nodes + i * CV;
                b->items[b->count++] = (item){b->tree[t].nodes + i * BLOCK, out, 0, BLOCK,
                                              (uint8_t)(b->flags | FLAG_PARENT), 0, root ? FLAG_ROOT : 0};
            }
        }
        b->kernel->items(b->items, b->count, b->key);
        size_t unfinished = 0;
        for (size_t t = 0; t < b->trees; t++) {
            size_t before = b->tree[t].count;
            if (before == 2) continue;
            if (before & 1) memmove(b->tree[t].nodes + before / 2 * CV, b->tree[t].nodes + (before - 1) * CV, CV);
            b->tree[unfinished] = b->tree[t];
            b->tree[unfinished++].count = before - before / 2;
        }
        b->trees = unfinished;
    }
    b->count = 0;
    b->nodes_used = 0;
}

static void add(batch *b, const uint8_t *data, size_t len, uint8_t *out)
{
    size_t leaves = len <= LEAF ? 1 : (len + LEAF - 1) / LEAF;
    if (b->count + leaves > BATCH) flush(b);
    if (leaves == 1) {
        b->items[b->count++] = (item){data, out, 0, (uint32_t)len, (uint8_t)b->flags, FLAG_LEAF_START,
                                      FLAG_LEAF_END | FLAG_ROOT};
        return;
    }
    uint8_t *nodes = b->nodes + b->nodes_used * CV;
    b->tree[b->trees].nodes = nodes;
    b->tree[b->trees].count = leaves;
    b->tree[b->trees].out = out;
    b->trees++;
    b->nodes_used += leaves;
    for (size_t i = 0; i < leaves; i++) {
        size_t rest = len - i * LEAF;
        b->items[b->count++] = (item){data + i * LEAF, nodes + i * CV, i, (uint32_t)(rest < LEAF ? rest : LEAF),
                                      (uint8_t)b->flags, FLAG_LEAF_START, FLAG_LEAF_END};
    }
}

void qala_blake3_many(const uint8_t *key_or_null, const uint8_t *const *data, const size_t *len, size_t n,
                      uint8_t *out)
{
    batch b;
    b.kernel = current();
    b.flags = load_key(key_or_null, b.key);
    b.count = b.trees = b.nodes_used = 0;
    for (size_t i = 0; i < n; i++) {
        if (len[i] >= LONG_MESSAGE) {
            qala_blake3(key_or_null, data[i], len[i], out + i * CV);
        } else {
            add(&b, data[i], len[i], out + i * CV);
        }
    }
    flush(&b);
}
