/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One run of another program, bounded in time and output. */

#include <sys/types.h>

#include "base/error.h"

typedef struct Program {
        const char *path;
        const char *name; /* its argv[0], by which some tell what they are; NULL: the path */
        char *const *environment;
        const char *input; /* its stdin */
        const int *caller; /* a connection whose end is its end, too; NULL: none */
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
 * 0: it ran and ended by itself, *ret says how. -ETIMEDOUT, -E2BIG, -ECANCELED (the caller went away): it was
 * killed, *ret has what it wrote.
 * Any other errno: it was not started. It dies with us, too: whoever kills us does not want it any more.
 */
int program_run(const Program *p, ProgramEnd *ret);

/*
 * The program of that name in a list of directories ("DIR:DIR", the first that has it), for who runs it as
 * root: nobody but root may be able to put another one into its place. So the file and every directory
 * above it belong to root and are writable by nobody else; links are followed first, and *ret (owned) is
 * free of them, so that what was looked at is what is run. -ENOENT: there is none; another errno: there is
 * one that is not fit. The sentence tells.
 */
int program_find_trusted(const char *name, const char *path, char **ret, Error *e);
