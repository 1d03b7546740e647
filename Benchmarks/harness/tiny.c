/*
 * tiny ROOT DIRECTORIES FILES: fills ROOT with DIRECTORIES directories of FILES files of 0 to 1024 bytes each.
 *
 * One file in ten is empty; of the others half are words and half are noise. The content is a pure function of the
 * counts (xorshift64 from a fixed seed), so that every machine measures the same million files.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LARGEST = 1024, ROOM = 2048 };

static const char *const words[32] = {
    "alpha", "backup", "the",  "config", "value", "true", "false", "error", "info", "request", "user",
    "id",    "name",   "path", "index",  "time",  "=",    "\n",    "data",  "node", "null",    "host",
    "count", "of",     "and",  "in",     "file",  "page", "key",   "list",  "type", "date",
};

static uint64_t state = UINT64_C(88172645463325252);

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void fill_words(char *out, size_t length) {
    size_t at = 0;
    while (at < length) {
        const char *word = words[next() & 31];
        size_t size = strlen(word);
        memcpy(out + at, word, size);
        at += size;
        out[at++] = ' ';
    }
    /* A number of its own at the start keeps files of equal words apart. */
    at = (size_t)snprintf(out, 24, "%" PRIu64, next());
    out[at] = ' ';
}

static void fill_noise(char *out, size_t length) {
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = next();
        memcpy(out + at, &word, 8);
    }
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: tiny ROOT DIRECTORIES FILES\n", stderr);
        return 64;
    }
    static char content[ROOM];
    char path[4096];
    int directories = atoi(argv[2]), files = atoi(argv[3]);
    mkdir(argv[1], 0755);
    for (int d = 0; d < directories; d++) {
        snprintf(path, sizeof path, "%s/d%04d", argv[1], d);
        if (mkdir(path, 0755) != 0) die(path);
        for (int f = 0; f < files; f++) {
            snprintf(path, sizeof path, "%s/d%04d/f%06d.dat", argv[1], d, f);
            size_t length = next() % 10 == 0 ? 0 : (size_t)(next() % (LARGEST + 1));
            if (length != 0) {
                if (next() & 1) fill_words(content, length); else fill_noise(content, length);
            }
            int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
            if (file < 0) die(path);
            if (length != 0 && write(file, content, length) != (ssize_t)length) die(path);
            if (close(file) != 0) die(path);
        }
    }
    return 0;
}
