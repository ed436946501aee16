/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One run of another program, bounded in time and output. */

#include <sys/types.h>

#include "base/macro.h"

typedef struct Program {
        const char *path;
        char *const *environment;
        const char *input; /* its stdin */
        uint64_t deadline; /* CLOCK_MONOTONIC, microseconds: then it is killed, with its process group */
        size_t output_max,
                        error_max; /* bytes of stdout (more: it is killed) and of stderr (more: cut) */
} Program;

typedef struct ProgramEnd {
        char *output, *errors; /* owned, NUL-terminated */
        size_t output_size, errors_size;
        bool output_holds_nul; /* it is no text: as a string it would end there */
        int status;            /* of waitpid() */
} ProgramEnd;

void program_end_clear(ProgramEnd *e);

/*
 * 0: it ran and ended by itself, *ret says how. -ETIMEDOUT, -E2BIG: it was killed, *ret has what it wrote.
 * Any other errno: it was not started. It dies with us, too: whoever kills us does not want it any more.
 */
int program_run(const Program *p, ProgramEnd *ret);
