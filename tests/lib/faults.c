/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An LD_PRELOAD library that makes the n-th call of one class fail in a running program.
 *
 * The file named by NETMGR_FAULTS (see struct Control; tests/lib/faults.py writes it) is mapped at
 * start and says what is to fail. The test arms it by writing nth last, and reads hits afterwards.
 * Nothing but the counting happens while nothing is armed. Programs without the variable are left
 * alone. Tests only: nothing of it is installed.
 *
 * A class is one kind of resource, so that every failure is one that the kernel really gives for it:
 * a write fails on files only, never on an eventfd; netlink and Unix sockets are told apart.
 */

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum Class {
        CLASS_MALLOC = 1,
        CLASS_NETLINK_SEND,
        CLASS_NETLINK_RECV,
        CLASS_UNIX_SEND,
        CLASS_UNIX_RECV,
        CLASS_SYNC,
        CLASS_OPEN,
        CLASS_WRITE,
        CLASS_TRUNCATE,
        CLASS_SOCKET,
        CLASS_EPOLL,
        CLASS_ACCEPT,
        CLASS_READ,
};

#define FRAMES 24

/* The layout is known to tests/lib/faults.py. */
struct Control {
        _Atomic uint32_t class; /* 0: nothing is armed */
        uint32_t error;         /* errno of the failure */
        uint32_t count;        /* how many calls fail, beginning with the n-th; 0: all from there */
        _Atomic uint32_t hits; /* out: how many did */
        _Atomic uint64_t calls;   /* out: calls of the class since it was armed */
        uint64_t nth;             /* 1: the next one */
        uint64_t n_frames, base;  /* out: where the first failure was, and where the program lies */
        _Atomic uint64_t live;    /* out: allocations that are not freed */
        _Atomic uint64_t skipped; /* out: calls that were spared */
        _Atomic int64_t clock_offset; /* seconds that CLOCK_REALTIME is ahead */
        uint64_t frames[FRAMES];
};

static struct Control *control;
static __thread bool inside; /* backtrace() may allocate */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

/* The program headers come right behind the ELF header, which is the program's first byte. */
static uint64_t program_base(void) {
        return getauxval(AT_PHDR) - sizeof(ElfW(Ehdr));
}

__attribute__((constructor)) static void map_control(void) {
        const char *path = getenv("NETMGR_FAULTS"), *only = getenv("NETMGR_FAULTS_PROGRAM");
        void *frames[2];

        if (!path || (only && strcmp(only, program_invocation_short_name) != 0))
                return;
        int fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return;
        void *p = mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
        if (p == MAP_FAILED)
                return;
        (void) backtrace(frames, 2); /* loads what it needs now */
        ((struct Control *) p)->base = program_base();
        control = p;
}

/* json-c (0.16) uses what strdup() gave it without a look: nothing of ours can survive that. */
static bool in_json_strdup(void) {
        void *frames[5];
        Dl_info info;

        inside = true;
        int n = backtrace(frames, 5);
        bool found = false;
        for (int i = 2; i < n && !found; i++)
                found = dladdr(frames[i], &info) && info.dli_fname &&
                        strstr(info.dli_fname, "libjson-c") && i > 2 &&
                        dladdr(frames[i - 1], &info) && info.dli_fname &&
                        strstr(info.dli_fname, "libc.so");
        inside = false;
        return found;
}

static bool must_fail(enum Class class) {
        struct Control *c = control;

        if (!c || inside || atomic_load(&c->class) != class)
                return false;
        uint64_t at = atomic_fetch_add(&c->calls, 1) + 1;
        if (at < c->nth || (c->count > 0 && at >= c->nth + c->count))
                return false;
        if (class == CLASS_MALLOC && in_json_strdup()) {
                atomic_fetch_add(&c->skipped, 1);
                return false;
        }
        if (atomic_fetch_add(&c->hits, 1) == 0) {
                void *frames[FRAMES];

                inside = true;
                int n = backtrace(frames, FRAMES);
                for (int i = 0; i < n; i++)
                        c->frames[i] = (uint64_t) (uintptr_t) frames[i];
                c->n_frames = (uint64_t) n;
                inside = false;
        }
        errno = (int) c->error;
        return true;
}

#define NEXT(name)                                                                                 \
        ({                                                                                         \
                static __typeof__(&name) next_;                                                    \
                if (!next_) {                                                                      \
                        inside = true;                                                             \
                        next_ = (__typeof__(&name)) dlsym(RTLD_NEXT, #name);                       \
                        inside = false;                                                            \
                }                                                                                  \
                next_;                                                                             \
        })

/* ---- memory ----------------------------------------------------------------------------------- */

static void *counted(void *p) {
        if (p && control)
                atomic_fetch_add(&control->live, 1);
        return p;
}

void *malloc(size_t size) {
        return must_fail(CLASS_MALLOC) ? NULL : counted(__libc_malloc(size));
}
void *calloc(size_t n, size_t size) {
        return must_fail(CLASS_MALLOC) ? NULL : counted(__libc_calloc(n, size));
}
void *realloc(void *p, size_t size) {
        if (must_fail(CLASS_MALLOC))
                return NULL;
        void *q = __libc_realloc(p, size);
        return p ? q : counted(q);
}
void *reallocarray(void *p, size_t n, size_t size) {
        size_t bytes;

        if (__builtin_mul_overflow(n, size, &bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return realloc(p, bytes);
}
void *aligned_alloc(size_t alignment, size_t size) {
        return must_fail(CLASS_MALLOC) ? NULL : counted(__libc_memalign(alignment, size));
}
int posix_memalign(void **ret, size_t alignment, size_t size) {
        if (must_fail(CLASS_MALLOC))
                return ENOMEM;
        *ret = counted(__libc_memalign(alignment, size));
        return *ret ? 0 : ENOMEM;
}
void free(void *p) {
        if (p && control)
                atomic_fetch_sub(&control->live, 1);
        __libc_free(p);
}

/* ---- sockets ---------------------------------------------------------------------------------- */

static int domain_of(int fd) {
        int domain = AF_UNSPEC, old = errno;
        socklen_t size = sizeof(domain);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0)
                domain = AF_UNSPEC;
        errno = old;
        return domain;
}

static bool must_fail_socket(int fd, enum Class netlink, enum Class unix_) {
        uint32_t class = control ? atomic_load(&control->class) : 0;

        if (class != netlink && class != unix_)
                return false;
        int domain = domain_of(fd);
        return (domain == AF_NETLINK && must_fail(netlink)) ||
               (domain == AF_UNIX && must_fail(unix_));
}
#define SEND_FAILS(fd) must_fail_socket(fd, CLASS_NETLINK_SEND, CLASS_UNIX_SEND)
#define RECV_FAILS(fd) must_fail_socket(fd, CLASS_NETLINK_RECV, CLASS_UNIX_RECV)

ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
        return SEND_FAILS(fd) ? -1 : NEXT(sendmsg)(fd, m, flags);
}
ssize_t sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
               socklen_t size) {
        return SEND_FAILS(fd) ? -1 : NEXT(sendto)(fd, p, n, flags, to, size);
}
ssize_t send(int fd, const void *p, size_t n, int flags) {
        return SEND_FAILS(fd) ? -1 : NEXT(send)(fd, p, n, flags);
}
ssize_t recvmsg(int fd, struct msghdr *m, int flags) {
        return RECV_FAILS(fd) ? -1 : NEXT(recvmsg)(fd, m, flags);
}
ssize_t recvfrom(int fd, void *p, size_t n, int flags, struct sockaddr *from, socklen_t *size) {
        return RECV_FAILS(fd) ? -1 : NEXT(recvfrom)(fd, p, n, flags, from, size);
}
ssize_t recv(int fd, void *p, size_t n, int flags) {
        return RECV_FAILS(fd) ? -1 : NEXT(recv)(fd, p, n, flags);
}
ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags);
ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags) {
        return n > room ? (abort(), -1) : recv(fd, p, n, flags);
}
ssize_t __recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags, struct sockaddr *from,
                       socklen_t *size);
ssize_t __recvfrom_chk(int fd, void *p, size_t n, size_t room, int flags, struct sockaddr *from,
                       socklen_t *size) {
        return n > room ? (abort(), -1) : recvfrom(fd, p, n, flags, from, size);
}
int socket(int domain, int type, int protocol) {
        return must_fail(CLASS_SOCKET) ? -1 : NEXT(socket)(domain, type, protocol);
}
int accept4(int fd, struct sockaddr *from, socklen_t *size, int flags) {
        return must_fail(CLASS_ACCEPT) ? -1 : NEXT(accept4)(fd, from, size, flags);
}
int epoll_wait(int fd, struct epoll_event *events, int n, int timeout) {
        return must_fail(CLASS_EPOLL) ? -1 : NEXT(epoll_wait)(fd, events, n, timeout);
}

/* ---- the clock ---------------------------------------------------------------------------------- */

int clock_gettime(clockid_t clock, struct timespec *ret) {
        int r = NEXT(clock_gettime)(clock, ret);

        if (r == 0 && clock == CLOCK_REALTIME && control)
                ret->tv_sec += atomic_load(&control->clock_offset);
        return r;
}

/* ---- files ------------------------------------------------------------------------------------ */

static bool is_file(int fd) {
        struct stat st;
        int old = errno;
        bool yes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);

        errno = old;
        return yes;
}

static bool write_fails(int fd) {
        return control && atomic_load(&control->class) == CLASS_WRITE && is_file(fd) &&
               must_fail(CLASS_WRITE);
}
static bool read_fails(int fd) {
        return control && atomic_load(&control->class) == CLASS_READ && must_fail(CLASS_READ);
}

ssize_t write(int fd, const void *p, size_t n) {
        return write_fails(fd) ? -1 : NEXT(write)(fd, p, n);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) {
        return write_fails(fd) ? -1 : NEXT(pwrite)(fd, p, n, at);
}
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) {
        return write_fails(fd) ? -1 : NEXT(pwrite64)(fd, p, n, at);
}
ssize_t read(int fd, void *p, size_t n) {
        return read_fails(fd) ? -1 : NEXT(read)(fd, p, n);
}
ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
ssize_t __read_chk(int fd, void *p, size_t n, size_t room) {
        return n > room ? (abort(), -1) : read(fd, p, n);
}
int fsync(int fd) {
        return must_fail(CLASS_SYNC) ? -1 : NEXT(fsync)(fd);
}
int fdatasync(int fd) {
        return must_fail(CLASS_SYNC) ? -1 : NEXT(fdatasync)(fd);
}
int ftruncate(int fd, off_t size) {
        return must_fail(CLASS_TRUNCATE) ? -1 : NEXT(ftruncate)(fd, size);
}
int ftruncate64(int fd, off64_t size) {
        return must_fail(CLASS_TRUNCATE) ? -1 : NEXT(ftruncate64)(fd, size);
}

#define MODE(flags)                                                                                \
        ({                                                                                         \
                mode_t mode_ = 0;                                                                  \
                if ((flags) & (O_CREAT | __O_TMPFILE)) {                                           \
                        va_list ap_;                                                               \
                        va_start(ap_, flags);                                                      \
                        mode_ = va_arg(ap_, mode_t);                                               \
                        va_end(ap_);                                                               \
                }                                                                                  \
                mode_;                                                                             \
        })

int open(const char *path, int flags, ...) {
        mode_t mode = MODE(flags);
        return must_fail(CLASS_OPEN) ? -1 : NEXT(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
        mode_t mode = MODE(flags);
        return must_fail(CLASS_OPEN) ? -1 : NEXT(open64)(path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) {
        mode_t mode = MODE(flags);
        return must_fail(CLASS_OPEN) ? -1 : NEXT(openat)(dir, path, flags, mode);
}
int openat64(int dir, const char *path, int flags, ...) {
        mode_t mode = MODE(flags);
        return must_fail(CLASS_OPEN) ? -1 : NEXT(openat64)(dir, path, flags, mode);
}
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags) {
        return open(path, flags, 0);
}
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags) {
        return open64(path, flags, 0);
}
int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags) {
        return openat(dir, path, flags, 0);
}
int __openat64_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags) {
        return openat64(dir, path, flags, 0);
}
