// What the headers hide from Swift of starting other programs.
#pragma once

#include <spawn.h>

/// A pipe that no other program inherits. Returns 0 or the negated errno.
int qala_pipe(int ends[2]);

/// The program begins in `/`, in a session of its own, with no signal blocked or ignored, and with no descriptor from
/// `descriptors` on: also those that this process got from the one that started it. Call it behind all other actions.
/// Returns 0 or an errno.
int qala_spawn_apart(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int descriptors);
