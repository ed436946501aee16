/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One job for all the sandboxes of a look; see netns-look.h. */

#include "core/netns-look.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/parse.h"
#include "core/attachment.h"
#include "core/wire.h"

/* /proc/PID/stat has 52 numbers and a name of at most 64 bytes. */
#define PROC_STAT_MAX 4096U

struct NetnsLook {
        Job job; /* first member */
        Manager *manager;
        NetnsView *views;
        size_t n, allocated;
        NetnsLooked done;
        void *userdata;
};

/* --- processes --------------------------------------------------------------------------------- */

uint32_t netns_path_pid(const char *path) {
        static const char prefix[] = "/proc/";
        char digits[12];
        uint32_t pid;

        if (strncmp(path, prefix, strlen(prefix)) != 0)
                return 0;
        path += strlen(prefix);
        size_t n = strspn(path, "0123456789");
        if (n == 0 || n >= sizeof(digits) || path[n] != '/')
                return 0;
        memcpy(digits, path, n);
        digits[n] = '\0';
        return parse_u32(digits, 1, INT32_MAX, &pid) < 0 ? 0 : pid;
}

/* Field 22 of the line. The name, field 2, is in parentheses and may hold anything, also ')'. */
static int parse_stat(const char *line, char *ret_state, uint64_t *ret_start) {
        const char *p = strrchr(line, ')');
        char digits[24];

        if (!p || p[1] != ' ' || !p[2])
                return -EBADMSG;
        *ret_state = p[2];
        for (int field = 2; field < 22; field++) {
                p = strchr(p + 1, ' ');
                if (!p)
                        return -EBADMSG;
        }
        size_t n = strspn(p + 1, "0123456789");
        if (n == 0 || n >= sizeof(digits))
                return -EBADMSG;
        memcpy(digits, p + 1, n);
        digits[n] = '\0';
        return parse_u64(digits, 0, UINT64_MAX, ret_start);
}

int process_start_time(uint32_t pid, uint64_t *ret) {
        _cleanup_free_ char *line = NULL;
        char path[32], state;
        uint64_t start;
        size_t size;

        snprintf(path, sizeof(path), "/proc/%u/stat", pid);
        int r = file_read_full(AT_FDCWD, path, PROC_STAT_MAX, &line, &size);
        if (r == -ENOENT || r == -ESRCH)
                return -ESRCH;
        if (r >= 0)
                r = parse_stat(line, &state, &start);
        if (r < 0)
                return r;
        /* A dead process has no namespaces any more, whoever has yet to wait for it. */
        if (state == 'Z' || state == 'X')
                return -ESRCH;
        *ret = start;
        return 0;
}

/* --- paths ------------------------------------------------------------------------------------- */

/*
 * 1: the path leads to this device and inode, 0: elsewhere or nowhere, negative: cannot tell. The path is
 * foreign text and may name a device by now, and what an undone mount leaves (`ip netns add` makes it with
 * mode 0) may not be ours to open: so nothing is opened.
 */
static int path_leads(const char *path, uint64_t dev, uint64_t ino) {
        struct stat st;

        if (stat(path, &st) < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        return st.st_dev == (dev_t) dev && st.st_ino == (ino_t) ino;
}

void netns_witness_make(const char *path, uint64_t dev, uint64_t ino, NetnsWitness *ret) {
        uint32_t pid = netns_path_pid(path);

        *ret = (NetnsWitness) { 0 };
        /* We may not look into other processes; that this one lives is all that can be told. */
        if (pid > 0)
                (void) process_start_time(pid, &ret->start);
        /* "/proc/self/..." is the caller's own self. */
        else if (path[0] == '/' && strncmp(path, "/proc/", strlen("/proc/")) != 0)
                ret->seen = path_leads(path, dev, ino) > 0;
}

static NetnsPath look_at_process(const NetnsView *v, uint32_t pid) {
        uint64_t start;

        if (v->witness.start == 0)
                return NETNS_PATH_UNSEEN;
        int r = process_start_time(pid, &start);
        if (r == -ESRCH || (r >= 0 && start != v->witness.start))
                return NETNS_PATH_GONE;
        return r < 0 ? NETNS_PATH_UNKNOWN : NETNS_PATH_LEADS;
}

static NetnsPath look_at_path(const NetnsView *v, WorkerContext *w) {
        const NetnsPath elsewhere = v->witness.seen ? NETNS_PATH_GONE : NETNS_PATH_UNSEEN;
        _cleanup_(kernel_socket_freep) NlSocket *s = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint32_t pid = netns_path_pid(v->path);
        uint64_t cookie;
        dev_t dev;
        ino_t ino;

        if (pid > 0)
                return look_at_process(v, pid);
        if (v->path[0] != '/' || strncmp(v->path, "/proc/", strlen("/proc/")) == 0)
                return NETNS_PATH_UNSEEN;
        int r = path_leads(v->path, v->dev, v->ino);
        if (r == 0)
                return elsewhere;
        /* A directory of a user's own, where we could never look; or something is short. */
        if (r < 0)
                return r == -EACCES && !v->witness.seen ? NETNS_PATH_UNSEEN : NETNS_PATH_UNKNOWN;
        fd = open(v->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return NETNS_PATH_UNKNOWN;
        if (fd_is_netns(fd, &dev, &ino) < 0 || dev != (dev_t) v->dev || ino != (ino_t) v->ino)
                return elsewhere;
        if (wire_open_netns(w, fd, &s, &cookie, NULL) < 0)
                return NETNS_PATH_UNKNOWN;
        /* An inode belongs to one living namespace: with another cookie ours is dead for certain. */
        return cookie == v->cookie ? NETNS_PATH_LEADS : NETNS_PATH_GONE;
}

static int look_run(Job *job, WorkerContext *w, Error *e _unused_) {
        NetnsLook *l = (NetnsLook *) job;
        NlLink link;

        for (size_t i = 0; i < l->n; i++) {
                NetnsView *v = &l->views[i];

                v->found = look_at_path(v, w);
                /* Doubt counts as "there": only ENODEV says that an interface is gone. */
                for (size_t k = 0; k < v->n_host_ends; k++)
                        v->n_links += kernel_get_link(w->host, v->host_ends[k], &link) != -ENODEV;
        }
        return 0;
}

/* --- conclusions ------------------------------------------------------------------------------- */

SandboxFate netns_view_fate(const NetnsView *v) {
        switch (v->found) {
        case NETNS_PATH_LEADS:
                return FATE_LIVE;
        case NETNS_PATH_GONE:
                return v->n_links > 0 ? FATE_LINGERING : FATE_DEAD;
        case NETNS_PATH_UNSEEN:
                /* The interfaces are gone from both ends: nobody uses what they had, whether the
                 * namespace lives or not. */
                return v->n_host_ends > 0 && v->n_links == 0 ? FATE_DEAD : FATE_UNCLEAR;
        default:
                return FATE_UNCLEAR;
        }
}

const char *netns_view_reason(const NetnsView *v) {
        switch (netns_view_fate(v)) {
        case FATE_LIVE:
                return v->n_links < v->n_host_ends
                                       ? "its network namespace lives, but an interface was deleted"
                                       : "its network namespace lives";
        case FATE_DEAD:
                return v->found == NETNS_PATH_GONE
                                       ? "its network namespace is gone"
                                       : "its network namespace is gone, or its interfaces were deleted";
        case FATE_LINGERING:
                return "its path no longer leads to its network namespace, but its interface is "
                       "still there";
        default:
                return v->found == NETNS_PATH_UNSEEN ? "its path proves nothing from here"
                                                     : "its path could not be looked at";
        }
}

/* --- the job ----------------------------------------------------------------------------------- */

int netns_look_new(Manager *m, NetnsLook **ret) {
        NetnsLook *l = new0(NetnsLook, 1);

        if (!l)
                return -ENOMEM;
        l->manager = m;
        *ret = l;
        return 0;
}

NetnsLook *netns_look_free(NetnsLook *l) {
        if (!l)
                return NULL;
        for (size_t i = 0; i < l->n; i++) {
                free(l->views[i].sandbox);
                free(l->views[i].path);
                free(l->views[i].host_ends);
        }
        free(l->views);
        free(l);
        return NULL;
}

int netns_look_add(NetnsLook *l, const Sandbox *s) {
        NetnsView v = { .witness = s->netns_witness,
                        .cookie = s->netns_cookie,
                        .dev = s->netns_dev,
                        .ino = s->netns_ino };
        const Attachment *a;

        int r = GREEDY_REALLOC(l->views, l->allocated, l->n + 1);
        if (r < 0)
                return r;
        v.sandbox = strdup(s->id);
        v.path = strdup(s->netns_path);
        v.host_ends = calloc(s->n_attachments + 1, sizeof(*v.host_ends));
        if (!v.sandbox || !v.path || !v.host_ends) {
                free(v.sandbox);
                free(v.path);
                free(v.host_ends);
                return -ENOMEM;
        }
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (a->spec.host_ifname[0])
                        memcpy(v.host_ends[v.n_host_ends++], a->spec.host_ifname,
                               sizeof(a->spec.host_ifname));
        l->views[l->n++] = v;
        return 0;
}

static void looked(Task *task) {
        NetnsLook *l = (NetnsLook *) task;

        error_clear(&task->error);
        for (size_t i = 0; i < l->n; i++) {
                /* Seen with the cookie: from now on its loss is evidence, whatever ADD could see. */
                Sandbox *s = l->views[i].found == NETNS_PATH_LEADS &&
                                                             netns_path_pid(l->views[i].path) == 0
                                             ? sandbox_find(l->manager, l->views[i].sandbox)
                                             : NULL;
                if (s && s->netns_cookie == l->views[i].cookie &&
                    streq(s->netns_path, l->views[i].path))
                        s->netns_witness.seen = true;
        }
        l->done(l->views, l->n, l->userdata);
        netns_look_free(l);
}

void netns_look_start(NetnsLook *l, NetnsLooked done, void *userdata) {
        l->done = done;
        l->userdata = userdata;
        l->job.run = look_run;
        l->job.task.deliver = looked;
        workers_submit(l->manager->workers, &l->job);
}

Sandbox *netns_view_sandbox(Manager *m, const NetnsView *v) {
        Sandbox *s = sandbox_find(m, v->sandbox);

        return s && s->netns_cookie == v->cookie && !sandbox_is_busy(s) ? s : NULL;
}
