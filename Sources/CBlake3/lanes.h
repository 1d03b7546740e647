// LANES messages side by side: vector w of the state holds word w of every message, so a compression is the scalar
// algorithm with vectors for words. Included once per instruction set, with LANES (4, 8 or 16), TARGET and LEVEL
// defined, after rows.h.

#if LANES == 16
#define VECTOR v16
#define ZIP(a, b, i, j, k, l)                                                                                    \
    __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4, i + 8, j + 8, k + 8, l + 8, i + 12,    \
                            j + 12, k + 12, l + 12)
#elif LANES == 8
#define VECTOR v8
#define ZIP(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l, i + 4, j + 4, k + 4, l + 4)
#else
#define VECTOR v4
#define ZIP(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#endif

#define TURN(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#define MIX(a, b, c, d, x, y)                \
    do {                                     \
        v[a] += v[b] + m[x];                 \
        v[d] = TURN(v[d] ^ v[a], 16);        \
        v[c] += v[d];                        \
        v[b] = TURN(v[b] ^ v[c], 12);        \
        v[a] += v[b] + m[y];                 \
        v[d] = TURN(v[d] ^ v[a], 8);         \
        v[c] += v[d];                        \
        v[b] = TURN(v[b] ^ v[c], 7);         \
    } while (0)
#define ROUND(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15) \
    do {                                                                            \
        MIX(0, 4, 8, 12, m0, m1);                                                   \
        MIX(1, 5, 9, 13, m2, m3);                                                   \
        MIX(2, 6, 10, 14, m4, m5);                                                  \
        MIX(3, 7, 11, 15, m6, m7);                                                  \
        MIX(0, 5, 10, 15, m8, m9);                                                  \
        MIX(1, 6, 11, 12, m10, m11);                                                \
        MIX(2, 7, 8, 13, m12, m13);                                                 \
        MIX(3, 4, 9, 14, m14, m15);                                                 \
    } while (0)

/// Turns four rows of four words, in each 128-bit part, into columns.
TARGET INLINE void JOIN(turn4, LEVEL)(VECTOR r[4])
{
    // Which word of which operand: the second one counts from LANES.
    VECTOR p = ZIP(r[0], r[1], 0, LANES, 1, LANES + 1), q = ZIP(r[2], r[3], 0, LANES, 1, LANES + 1);
    VECTOR s = ZIP(r[0], r[1], 2, LANES + 2, 3, LANES + 3), t = ZIP(r[2], r[3], 2, LANES + 2, 3, LANES + 3);
    r[0] = ZIP(p, q, 0, 1, LANES, LANES + 1);
    r[1] = ZIP(p, q, 2, 3, LANES + 2, LANES + 3);
    r[2] = ZIP(s, t, 0, 1, LANES, LANES + 1);
    r[3] = ZIP(s, t, 2, 3, LANES + 2, LANES + 3);
}

TARGET INLINE v4 JOIN(load4, LEVEL)(const uint8_t *at)
{
    v4 words;
    memcpy(&words, at, 16);
    return words;
}

/// 16 bytes of message j, j + 4, j + 8 …, one behind the other.
TARGET INLINE VECTOR JOIN(gather, LEVEL)(const uint8_t *const *at, size_t j, size_t offset)
{
    v4 a = JOIN(load4, LEVEL)(at[j] + offset);
#if LANES == 4
    return a;
#else
    v4 b = JOIN(load4, LEVEL)(at[j + 4] + offset);
    v8 ab = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
#if LANES == 8
    return ab;
#else
    v4 c = JOIN(load4, LEVEL)(at[j + 8] + offset), d = JOIN(load4, LEVEL)(at[j + 12] + offset);
    v8 cd = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7);
    return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
#endif
#endif
}

/// The 64 bytes at `offset` of every message, compressed into `h`. `counter` is in halves: low, high.
TARGET INLINE void JOIN(step, LEVEL)(VECTOR h[8], const uint8_t *const *at, size_t offset, VECTOR length,
                                     const VECTOR counter[2], VECTOR flags)
{
    VECTOR m[16];
#pragma clang loop unroll(full)
    for (size_t quad = 0; quad < 4; quad++) {
#pragma clang loop unroll(full)
        for (size_t j = 0; j < 4; j++) m[4 * quad + j] = JOIN(gather, LEVEL)(at, j, offset + 16 * quad);
        JOIN(turn4, LEVEL)(m + 4 * quad);
    }
    const VECTOR zero = {0};
    VECTOR v[16] = {h[0],        h[1],        h[2],        h[3],       h[4],       h[5],       h[6],   h[7],
                    zero + IV_0, zero + IV_1, zero + IV_2, zero + IV_3, counter[0], counter[1], length, flags};
    ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8);
    ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1);
    ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6);
    ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4);
    ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7);
    ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13);
#pragma clang loop unroll(full)
    for (size_t w = 0; w < 8; w++) h[w] = v[w] ^ v[w + 8];
}

TARGET INLINE void JOIN(start, LEVEL)(VECTOR h[8], const uint32_t key[8])
{
    const VECTOR zero = {0};
#pragma clang loop unroll(full)
    for (size_t w = 0; w < 8; w++) h[w] = zero + key[w];
}

/// The chaining values, message by message.
TARGET INLINE void JOIN(finish, LEVEL)(const VECTOR h[8], uint8_t out[LANES * CV])
{
    VECTOR low[4] = {h[0], h[1], h[2], h[3]}, high[4] = {h[4], h[5], h[6], h[7]};
    JOIN(turn4, LEVEL)(low);
    JOIN(turn4, LEVEL)(high);
#pragma clang loop unroll(full)
    for (size_t j = 0; j < 4; j++) {
        uint32_t a[LANES], b[LANES];
        memcpy(a, &low[j], sizeof a);
        memcpy(b, &high[j], sizeof b);
#pragma clang loop unroll(full)
        for (size_t part = 0; part < LANES / 4; part++) {
            memcpy(out + (4 * part + j) * CV, a + 4 * part, 16);
            memcpy(out + (4 * part + j) * CV + 16, b + 4 * part, 16);
        }
    }
}

/// LANES leaves from `data` on; where fewer than LANES are there, the last one is repeated.
TARGET static void JOIN(some_leaves, LEVEL)(const uint8_t *data, size_t count, const uint32_t key[8], uint64_t counter,
                                            uint32_t flags, uint8_t out[LANES * CV])
{
    const VECTOR zero = {0};
    const uint8_t *at[LANES];
    uint32_t half[2][LANES];
    for (size_t i = 0; i < LANES; i++) {
        at[i] = data + (i < count ? i : count - 1) * LEAF;
        half[0][i] = (uint32_t)(counter + i);
        half[1][i] = (uint32_t)((counter + i) >> 32);
    }
    VECTOR h[8], number[2];
    memcpy(number, half, sizeof number);
    JOIN(start, LEVEL)(h, key);
    for (size_t offset = 0; offset < LEAF; offset += BLOCK) {
        uint32_t now = flags | (offset == 0 ? FLAG_LEAF_START : 0) | (offset == LEAF - BLOCK ? FLAG_LEAF_END : 0);
        JOIN(step, LEVEL)(h, at, offset, zero + BLOCK, number, zero + now);
    }
    JOIN(finish, LEVEL)(h, out);
}

TARGET static void JOIN(leaves, LEVEL)(const uint8_t *data, size_t count, const uint32_t key[8], uint64_t counter,
                                       uint32_t flags, uint8_t *out)
{
    while (count >= LANES) {
        JOIN(some_leaves, LEVEL)(data, LANES, key, counter, flags, out);
        data += LANES * LEAF;
        count -= LANES;
        counter += LANES;
        out += LANES * CV;
    }
    if (count >= WORTH_LANES) {
        uint8_t all[LANES * CV];
        JOIN(some_leaves, LEVEL)(data, count, key, counter, flags, all);
        memcpy(out, all, count * CV);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        item one = {data + i * LEAF, out + i * CV, counter + i, LEAF, (uint8_t)flags, FLAG_LEAF_START, FLAG_LEAF_END};
        JOIN(single, LEVEL)(&one, key);
    }
}

TARGET static void JOIN(parents, LEVEL)(const uint8_t *children, size_t count, const uint32_t key[8], uint32_t flags,
                                        uint8_t *out)
{
    const VECTOR zero = {0};
    const VECTOR none[2] = {zero, zero};
    while (count >= WORTH_LANES) {
        size_t now = count < LANES ? count : LANES;
        const uint8_t *at[LANES];
        for (size_t i = 0; i < LANES; i++) at[i] = children + (i < now ? i : now - 1) * BLOCK;
        VECTOR h[8];
        uint8_t all[LANES * CV];
        JOIN(start, LEVEL)(h, key);
        JOIN(step, LEVEL)(h, at, 0, zero + BLOCK, none, zero + (flags | FLAG_PARENT));
        JOIN(finish, LEVEL)(h, all);
        memcpy(out, all, now * CV);
        children += now * BLOCK;
        count -= now;
        out += now * CV;
    }
    for (size_t i = 0; i < count; i++) {
        item one = {children + i * BLOCK, out + i * CV, 0, BLOCK, (uint8_t)(flags | FLAG_PARENT), 0, 0};
        JOIN(single, LEVEL)(&one, key);
    }
}

/// Messages of different lengths: a lane that has finished its item takes the next one. All lanes run without further
/// ado up to the block before the first end; blocks with an end are padded and flagged lane by lane.
TARGET static void JOIN(items, LEVEL)(const item *items, size_t count, const uint32_t key[8])
{
    static const uint8_t nothing[LEAF] __attribute__((aligned(64))) = {0};
    if (count < WORTH_LANES) {
        for (size_t i = 0; i < count; i++) JOIN(single, LEVEL)(&items[i], key);
        return;
    }
    const VECTOR zero = {0};
    const item *mine[LANES] = {0};
    const uint8_t *at[LANES];
    uint32_t left[LANES];  // bytes of the item that remain
    uint32_t fresh[LANES], half[2][LANES], flags[LANES], base[LANES], length[LANES];
    uint8_t tail[LANES][BLOCK] __attribute__((aligned(64)));
    uint8_t all[LANES * CV] __attribute__((aligned(64)));
    VECTOR h[8], initial[8];
    JOIN(start, LEVEL)(initial, key);
    JOIN(start, LEVEL)(h, key);
    for (size_t next = 0, busy = 0;;) {
        // Fill the empty lanes; find how many blocks come before the first end.
        uint32_t shortest = LEAF;
        for (size_t i = 0; i < LANES; i++) {
            fresh[i] = 0;
            if (mine[i] == 0 && next < count) {
                mine[i] = &items[next++];
                busy++;
                at[i] = mine[i]->length > 0 ? mine[i]->data : nothing;
                left[i] = mine[i]->length;
                half[0][i] = (uint32_t)mine[i]->counter;
                half[1][i] = (uint32_t)(mine[i]->counter >> 32);
                base[i] = mine[i]->flags;
                flags[i] = base[i] | mine[i]->first;
                fresh[i] = UINT32_MAX;
            } else if (mine[i] == 0) {
                at[i] = nothing;
                left[i] = LEAF;
                half[0][i] = half[1][i] = base[i] = flags[i] = 0;
            } else {
                flags[i] = base[i];
            }
            if (left[i] < shortest) shortest = left[i];
        }
        if (busy == 0) return;
        VECTOR isFresh, number[2], now, sizes;
        memcpy(&isFresh, fresh, sizeof isFresh);
        memcpy(number, half, sizeof number);
        memcpy(&now, flags, sizeof now);
        for (size_t w = 0; w < 8; w++) h[w] = (isFresh & initial[w]) | (~isFresh & h[w]);

        size_t before = shortest == 0 ? 0 : (shortest - 1) / BLOCK * BLOCK;
        for (size_t offset = 0; offset < before; offset += BLOCK) {
            JOIN(step, LEVEL)(h, at, offset, zero + BLOCK, number, now);
            memcpy(&now, base, sizeof now);
        }
        memcpy(flags, &now, sizeof now);
        for (size_t i = 0; i < LANES; i++) {
            at[i] += before;
            left[i] -= (uint32_t)before;
            length[i] = BLOCK;
            if (left[i] > BLOCK) {
                left[i] -= BLOCK;
                continue;
            }
            length[i] = left[i];
            if (left[i] < BLOCK) {
                memset(tail[i], 0, BLOCK);
                if (left[i] > 0) memcpy(tail[i], at[i], left[i]);
                at[i] = tail[i];
            }
            left[i] = 0;
            if (mine[i] != 0) flags[i] |= mine[i]->last;
        }
        memcpy(&now, flags, sizeof now);
        memcpy(&sizes, length, sizeof sizes);
        JOIN(step, LEVEL)(h, at, 0, sizes, number, now);
        JOIN(finish, LEVEL)(h, all);
        for (size_t i = 0; i < LANES; i++) {
            if (left[i] > 0) {
                at[i] += BLOCK;
            } else if (mine[i] != 0) {
                memcpy(mine[i]->out, all + i * CV, CV);
                mine[i] = 0;
                busy--;
            }
        }
    }
}

const kernel JOIN(qala_blake3, LEVEL) = {
    JOIN(chain, LEVEL),
    JOIN(leaves, LEVEL),
    JOIN(parents, LEVEL),
    JOIN(items, LEVEL),
};

#undef VECTOR
#undef ZIP
#undef TURN
#undef MIX
#undef ROUND
