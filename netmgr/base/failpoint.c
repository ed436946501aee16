/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See failpoint.h. Threads of several processes write the shared file: atomics, and a spin lock whose
 * holder does nothing but compare names. */

#include "base/failpoint.h"

#ifdef NETMGR_FAILPOINTS

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define MAGIC       0x6e6d6670U
#define PASSED_MAX  512
#define HOLD_USEC   200
#define LOCK_ROUNDS 1000000
#define HOLD_ROUNDS (30 * 1000 * 1000 / HOLD_USEC)

enum { ACTION_NONE, ACTION_KILL, ACTION_ERROR, ACTION_HOLD };

typedef struct Passed {
        char process[16], name[40];
        uint32_t times;
        uint32_t can_fail;
} Passed;

typedef struct Control {
        uint32_t magic;
        _Atomic uint32_t action;
        char process[16], name[40]; /* where; written before action */
        int32_t error;              /* positive errno */
        _Atomic uint32_t countdown; /* fires when it falls to 0 */
        _Atomic uint32_t fired;
        _Atomic uint32_t go; /* what is held goes on */
        _Atomic uint32_t lock;
        uint32_t n_passed;
        Passed passed[PASSED_MAX];
} Control;

static Control *control;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_control(void) {
        const char *path = secure_getenv("NETMGR_FAILPOINTS");
        struct stat st;

        if (!path)
                return;
        _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t) sizeof(Control))
                return;
        Control *c = mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (c != MAP_FAILED && c->magic == MAGIC)
                control = c;
}

static void note(const char *name, bool can_fail) {
        size_t i;

        /* Its holder may be one that was killed just there: then it is taken over. */
        for (unsigned n = 0; atomic_exchange(&control->lock, 1) && n < LOCK_ROUNDS; n++)
                ;
        for (i = 0; i < control->n_passed; i++)
                if (strcmp(control->passed[i].name, name) == 0 &&
                    strcmp(control->passed[i].process, program_invocation_short_name) == 0)
                        break;
        if (i == control->n_passed && i < PASSED_MAX) {
                Passed *p = &control->passed[i];
                strncpy(p->process, program_invocation_short_name, sizeof(p->process) - 1);
                strncpy(p->name, name, sizeof(p->name) - 1);
                p->can_fail = can_fail;
                control->n_passed++;
        }
        if (i < PASSED_MAX)
                control->passed[i].times++;
        atomic_store(&control->lock, 0);
}

static void hold(void) {
        for (int i = 0; i < HOLD_ROUNDS && !atomic_load(&control->go); i++)
                usleep(HOLD_USEC);
}

static bool is_armed(const char *name) {
        return atomic_load(&control->action) != ACTION_NONE && strcmp(control->name, name) == 0 &&
               strcmp(control->process, program_invocation_short_name) == 0;
}

static int hit(const char *name, bool can_fail) {
        pthread_once(&once, open_control);
        if (!control)
                return 0;
        note(name, can_fail);
        uint32_t action = atomic_load(&control->action);
        if (!is_armed(name) || atomic_fetch_sub(&control->countdown, 1) != 1)
                return 0;
        atomic_store(&control->fired, 1);
        if (action == ACTION_KILL)
                (void) kill(getpid(), SIGKILL);
        if (action == ACTION_HOLD)
                hold();
        return action == ACTION_ERROR && can_fail ? -control->error : 0;
}

int failpoint(const char *name) {
        return hit(name, true);
}

bool failpoint_is_armed(const char *name) {
        pthread_once(&once, open_control);
        return control && is_armed(name);
}

void failpoint_past(const char *name) {
        (void) hit(name, false);
}

#endif
