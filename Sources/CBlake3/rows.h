// One message at a time: the state is four rows of four words, a quarter round works on all four columns at once.
// Included once per instruction set, with LEVEL (a name), TARGET (a function attribute) and OPAQUE(x) (hides from the
// compiler what x is, or does nothing) defined.
//
// The second half of a round works on diagonals. Instead of turning rows b, c and d, a, c and d are turned: b is what
// the next addition waits for, so nothing stands between two halves but the additions themselves.

#define MIX(mx, my)                    \
    do {                               \
        a = (a + (mx)) + b;            \
        d = TURN(d ^ a, 16);           \
        c += d;                        \
        b = TURN(b ^ c, 12);           \
        a = (a + (my)) + b;            \
        d = TURN(d ^ a, 8);            \
        c += d;                        \
        b = TURN(b ^ c, 7);            \
    } while (0)
#define TURN(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#define QUARTER(v, i) __builtin_shufflevector(v, v, 4 * (i), 4 * (i) + 1, 4 * (i) + 2, 4 * (i) + 3)

TARGET INLINE void JOIN(compress, LEVEL)(v4 *low, v4 *high, const uint8_t *block, uint32_t length, uint64_t counter,
                                         uint32_t flags)
{
    // Quarters: the words for the columns (first, second addition), then those for the diagonals.
    v8 m, n, turned;
    memcpy(&m, block, sizeof m);
    memcpy(&n, block + sizeof m, sizeof n);
    OPAQUE(m);
    OPAQUE(n);
    m = __builtin_shufflevector(m, m, 0, 2, 4, 6, 1, 3, 5, 7);
    n = __builtin_shufflevector(n, n, 6, 0, 2, 4, 7, 1, 3, 5);
    v4 a = *low, b = *high;
    v4 c = {IV_0, IV_1, IV_2, IV_3};
    v4 d = {(uint32_t)counter, (uint32_t)(counter >> 32), length, flags};
#pragma clang loop unroll(full)
    for (int round = 0;; round++) {
        MIX(QUARTER(m, 0), QUARTER(m, 1));
        a = __builtin_shufflevector(a, a, 3, 0, 1, 2);
        c = __builtin_shufflevector(c, c, 1, 2, 3, 0);
        d = __builtin_shufflevector(d, d, 2, 3, 0, 1);
        MIX(QUARTER(n, 0), QUARTER(n, 1));
        a = __builtin_shufflevector(a, a, 1, 2, 3, 0);
        c = __builtin_shufflevector(c, c, 3, 0, 1, 2);
        d = __builtin_shufflevector(d, d, 2, 3, 0, 1);
        if (round == 6) break;
        // The message permutation, in the order of the quarters.
        turned = __builtin_shufflevector(m, n, 1, 5, 7, 2, 3, 10, 0, 15);
        n = __builtin_shufflevector(m, n, 12, 4, 11, 13, 9, 14, 6, 8);
        m = turned;
    }
    *low = a ^ c;
    *high = b ^ d;
}

TARGET static void JOIN(chain, LEVEL)(uint32_t cv[8], const uint8_t *blocks, size_t count, uint32_t last_length,
                                      uint64_t counter, uint32_t flags, uint32_t first, uint32_t last)
{
    v4 low, high;
    memcpy(&low, cv, 16);
    memcpy(&high, cv + 4, 16);
    uint32_t now = flags | first;
    for (size_t i = 0; i + 1 < count; i++) {
        JOIN(compress, LEVEL)(&low, &high, blocks + i * BLOCK, BLOCK, counter, now);
        now = flags;
    }
    if (count > 0) JOIN(compress, LEVEL)(&low, &high, blocks + (count - 1) * BLOCK, last_length, counter, now | last);
    memcpy(cv, &low, 16);
    memcpy(cv + 4, &high, 16);
}

TARGET static void JOIN(single, LEVEL)(const item *one, const uint32_t key[8])
{
    uint32_t cv[8];
    memcpy(cv, key, CV);
    size_t whole = one->length / BLOCK;
    uint32_t rest = one->length % BLOCK;
    if (rest == 0 && whole > 0) {
        JOIN(chain, LEVEL)(cv, one->data, whole, BLOCK, one->counter, one->flags, one->first, one->last);
    } else {
        uint8_t tail[BLOCK] = {0};
        if (rest > 0) memcpy(tail, one->data + whole * BLOCK, rest);
        JOIN(chain, LEVEL)(cv, one->data, whole, BLOCK, one->counter, one->flags, one->first, 0);
        JOIN(chain, LEVEL)(cv, tail, 1, rest, one->counter, one->flags, whole == 0 ? one->first : 0, one->last);
    }
    memcpy(one->out, cv, CV);
}

#undef MIX
#undef TURN
#undef QUARTER
