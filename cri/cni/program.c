/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Running a plugin of others: in a process group of its own, so that what it starts can be ended with it,
 * with three pipes and a descriptor that tells its end. A child of it that keeps a pipe open is not waited
 * for.
 */

#include "cri/cni/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"
#include "cri/cni/wait.h"

/* Somebody is writing the program: as often as libcni tries it, but sooner again. */
#define BUSY_USEC    5000000U
#define BUSY_STEP_MS 50
#define READ_PIECE   16384U
/* Bytes of one pipe that are read before the others, and the clock, are looked at again. */
#define READ_ROUND (1024U * 1024U)

void program_end_clear(ProgramEnd *e) {
        free(e->output);
        free(e->errors);
        *e = (ProgramEnd) { 0 };
}

typedef struct Pipes {
        int in[2], out[2], err[2]; /* [0] is read, [1] written */
        int failed[2];             /* closed by a successful exec, else its errno */
} Pipes;

#define PIPES_NULL                                                                                 \
        ((Pipes) { { -EBADF, -EBADF }, { -EBADF, -EBADF }, { -EBADF, -EBADF }, { -EBADF, -EBADF } })

static void pipes_clear(Pipes *p) {
        int *all[] = { p->in, p->out, p->err, p->failed };

        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                all[i][0] = safe_close(all[i][0]);
                all[i][1] = safe_close(all[i][1]);
        }
}

static int pipes_make(Pipes *p) {
        int *all[] = { p->in, p->out, p->err, p->failed };

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (pipe2(all[i], O_CLOEXEC) < 0)
                        return -errno;
        return 0;
}

/* In the child: nothing but system calls. */
static void child_run(const Program *p, const Pipes *pipes, pid_t parent) {
        char *const argv[] = { (char *) (p->name ? p->name : p->path), NULL };

        (void) setpgid(0, 0);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent && dup2(pipes->in[0], STDIN_FILENO) >= 0 &&
            dup2(pipes->out[1], STDOUT_FILENO) >= 0 && dup2(pipes->err[1], STDERR_FILENO) >= 0) {
                (void) signal(SIGPIPE, SIG_DFL);
                (void) execve(p->path, argv, p->environment);
        }
        int error = errno;
        ssize_t n _unused_ = write(pipes->failed[1], &error, sizeof(error));
        _exit(127);
}

/* Its pid, or the errno of the exec. */
static pid_t child_start(const Program *p, Pipes *pipes) {
        pid_t parent = getpid(), pid;
        int error = 0;

        int r = pipes_make(pipes);
        if (r < 0)
                return r;
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                child_run(p, pipes, parent);
        (void) setpgid(pid, pid);
        pipes->in[0] = safe_close(pipes->in[0]);
        pipes->out[1] = safe_close(pipes->out[1]);
        pipes->err[1] = safe_close(pipes->err[1]);
        pipes->failed[1] = safe_close(pipes->failed[1]);
        if (read(pipes->failed[0], &error, sizeof(error)) == (ssize_t) sizeof(error)) {
                (void) waitpid(pid, NULL, 0);
                return error > 0 ? -error : -EIO;
        }
        return pid;
}

/* A sink of bytes: at most max are kept. The rest is read all the same: who writes to a pipe without a
 * reader is ended by a signal, for nothing but talking a lot. */
typedef struct Sink {
        char *data;
        size_t size, allocated, max;
        bool too_much, holds_nul;
} Sink;

/* 1: there may be more, 0: nothing now, negative: the end. */
static int sink_read(Sink *s, int fd) {
        char piece[READ_PIECE];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (n == 0)
                return -ENODATA;
        s->holds_nul |= memchr(piece, '\0', (size_t) n) != NULL;
        size_t keep = MIN_OF((size_t) n, s->max - s->size);
        s->too_much |= keep < (size_t) n;
        if (GREEDY_REALLOC(s->data, s->allocated, s->size + keep + 1) < 0)
                return -ENOMEM;
        memcpy(s->data + s->size, piece, keep);
        s->size += keep;
        s->data[s->size] = '\0';
        return 1;
}

static void sink_drain(Sink *s, int *fd) {
        int r;

        if (*fd < 0)
                return;
        for (size_t n = 0; (r = sink_read(s, *fd)) > 0 && n < READ_ROUND; n += READ_PIECE)
                ;
        if (r < 0)
                *fd = safe_close(*fd);
}

typedef struct Run {
        const Program *program;
        Pipes pipes;
        size_t written;
        Sink out, err;
} Run;

static void feed(Run *run) {
        size_t left = strlen(run->program->input) - run->written;
        ssize_t n = left > 0 ? write(run->pipes.in[1], run->program->input + run->written, left)
                             : 0;

        if (n > 0)
                run->written += (size_t) n;
        /* Who does not read it all need not. */
        if (left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) ||
            (size_t) MAX_OF(n, 0) == left)
                run->pipes.in[1] = safe_close(run->pipes.in[1]);
}

/* Until it has ended. */
static int attend(Run *run, int pidfd) {
        for (;;) {
                struct pollfd fds[] = {
                        { .fd = pidfd, .events = POLLIN },
                        { .fd = run->pipes.out[0], .events = POLLIN },
                        { .fd = run->pipes.err[0], .events = POLLIN },
                        { .fd = run->pipes.in[1], .events = POLLOUT },
                        /* POLLHUP: both directions are closed, not only the one that the ticket came by. */
                        { .fd = run->program->caller ? *run->program->caller : -EBADF },
                };
                uint64_t left = deadline_left(run->program->deadline);

                if (left == 0)
                        return -ETIMEDOUT;
                if (poll(fds, ELEMENTSOF(fds),
                         (int) MIN_OF((left + 999) / 1000, (uint64_t) INT32_MAX)) < 0 &&
                    errno != EINTR)
                        return -errno;
                if (fds[3].revents)
                        feed(run);
                sink_drain(&run->out, &run->pipes.out[0]);
                sink_drain(&run->err, &run->pipes.err[0]);
                if (run->out.too_much)
                        return -E2BIG;
                if (fds[0].revents)
                        return 0;
                if (fds[4].revents)
                        return -ECANCELED;
        }
}

static int make_nonblocking(const Pipes *p) {
        const int fds[] = { p->in[1], p->out[0], p->err[0] };

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                if (fcntl(fds[i], F_SETFL, O_NONBLOCK) < 0)
                        return -errno;
        return 0;
}

static pid_t start_patiently(const Program *p, Pipes *pipes) {
        for (unsigned waited = 0;; waited += BUSY_STEP_MS) {
                pid_t pid = child_start(p, pipes);

                if (pid != -ETXTBSY || waited >= BUSY_USEC / 1000 ||
                    deadline_left(p->deadline) == 0)
                        return pid;
                pipes_clear(pipes);
                (void) poll(NULL, 0, BUSY_STEP_MS);
        }
}

int program_run(const Program *p, ProgramEnd *ret) {
        Run run = {
                .program = p, .pipes = PIPES_NULL, .out.max = p->output_max, .err.max = p->error_max
        };
        _cleanup_close_ int pidfd = -EBADF;

        pid_t pid = start_patiently(p, &run.pipes);
        int r = pid < 0 ? pid : 0;
        if (r >= 0) {
                pidfd = pidfd_open(pid, 0);
                r = pidfd < 0 ? -errno : make_nonblocking(&run.pipes);
                if (r >= 0)
                        r = attend(&run, pidfd);
                if (r < 0)
                        (void) kill(-pid, SIGKILL);
                while (waitpid(pid, &ret->status, 0) < 0 && errno == EINTR)
                        ;
        }
        pipes_clear(&run.pipes);
        ret->output = run.out.data;
        ret->output_size = run.out.size;
        ret->output_holds_nul = run.out.holds_nul;
        ret->errors = run.err.data;
        ret->errors_size = run.err.size;
        return r;
}

/* ---- which program ---------------------------------------------------------------------------- */

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

/* path: of it or of what it lies in; free of links. In a sticky directory (/tmp) what is root's can be
 * replaced by root only. */
static int check_owner(const char *path, const char *what, Error *e) {
        struct stat st;

        if (lstat(path, &st) < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "looking at %s", path);
        if (st.st_uid != 0)
                return error_setf(e, ERROR_ACCESS_DENIED,
                                  "%s is not run as root: %s belongs to uid %u, wanted is root; "
                                  "chown root %s",
                                  what, path, (unsigned) st.st_uid, path);
        if ((st.st_mode & OTHERS_WRITE) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX)))
                return error_setf(
                                e, ERROR_ACCESS_DENIED,
                                "%s is not run as root: the mode of %s is %03o, others than root may "
                                "write to it; chmod go-w %s",
                                what, path, (unsigned) st.st_mode & 07777, path);
        return 0;
}

/* The file, and then what is above it, up to the root. */
static int check_owners(const char *real, Error *e) {
        _cleanup_free_ char *part = strdup(real);

        if (!part)
                return error_oom(e);
        for (;;) {
                int r = check_owner(part, real, e);
                if (r < 0 || streq(part, "/"))
                        return r;
                char *slash = strrchr(part, '/');
                slash[slash == part] = '\0';
        }
}

int program_find_trusted(const char *name, const char *path, char **ret, Error *e) {
        for (const char *p = strempty(path); *p;) {
                size_t n = strcspn(p, ":");
                _cleanup_free_ char *file = strf("%.*s/%s", (int) n, p, name), *real = NULL;
                struct stat st;

                if (!file)
                        return error_oom(e);
                p += n + (p[n] == ':');
                if (file[0] != '/' || file[1] == '/' || stat(file, &st) < 0 ||
                    !S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR))
                        continue;
                real = realpath(file, NULL);
                if (!real)
                        return error_set_errnof(e, ERROR_INTERNAL, errno, "resolving %s", file);
                int r = check_owners(real, e);
                if (r >= 0)
                        *ret = TAKE_PTR(real);
                return r;
        }
        (void) error_setf(e, ERROR_DELEGATE, "failed to find plugin \"%s\" in path [%s]", name,
                          strempty(path));
        return -ENOENT;
}
