/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The reader of the spool; see spool.h for what survives a crash.
 *
 * Which came first, the DEL or the attachment that has its name? The plugin notes the time of the boot
 * (CLOCK_BOOTTIME, which nobody sets) when it is called, the row of an attachment the same when it is
 * made. An entry of another boot asks for nothing: all rows of that boot have ended with it. Only a row
 * that has no such time (of schema 3) is older than any entry, unless entry and sandbox are known to
 * be in different namespaces.
 *
 * Files are hostile: whoever may write into the directory may write anything. What cannot be read is set
 * aside under another name, what has an unexpected name is left alone, and neither hinders the rest.
 */

#include "core/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/attachment.h"
#include "core/host-local.h"
#include "core/op-networks.h"
#include "core/operation.h"
#include "cri/netconf.h"
#include "cri/spool-entry.h"

struct Spool {
        Manager *manager; /* borrowed */
        char *path;
        int dirfd, inotify_fd; /* -EBADF: no directory */
        sd_event_source *inotify_source, *scan_source, *retry_timer;
        Map *items;    /* name -> SpoolItem */
        size_t n_busy; /* items that are worked on */
        bool more;     /* there are files that the batch had no room for */
        Map *told;     /* names that are none of ours, each told once */
        size_t n_released, n_void;
};

/* One file that was read and is still there. */
typedef struct SpoolItem {
        AttachmentWaiter waiter; /* first member */
        Spool *spool;
        char name[SPOOL_NAME_SIZE];
        SpoolEntry entry;
        char *cni_name; /* of the network */
        uint32_t tried; /* members from this position on have been released; 0: none */
        bool busy;
        bool again; /* not busy: to be tried again in this life */
} SpoolItem;

static SpoolItem *item_free(SpoolItem *i) {
        if (!i)
                return NULL;
        list_unlink(&i->waiter.list);
        spool_entry_clear(&i->entry);
        free(i->cni_name);
        free(i);
        return NULL;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static void item_set_busy(SpoolItem *i, bool busy) {
        if (i->busy == busy)
                return;
        i->busy = busy;
        if (busy)
                i->spool->n_busy++;
        else
                i->spool->n_busy--;
}

static void spool_rescan(Spool *s) {
        if (s->scan_source)
                (void) sd_event_source_set_enabled(s->scan_source, SD_EVENT_ONESHOT);
}

static void spool_retry_later(Spool *s) {
        if (s->retry_timer &&
            sd_event_source_set_time_relative(s->retry_timer, SPOOL_RETRY_SEC * 1000000ULL) >= 0)
                (void) sd_event_source_set_enabled(s->retry_timer, SD_EVENT_ONESHOT);
}

/* The file stays: until it is tried again, or until the next start. */
static void item_keep(SpoolItem *i, bool again) {
        Spool *s = i->spool;

        item_set_busy(i, false);
        i->again = again;
        if (again)
                spool_retry_later(s);
        if (s->more)
                spool_rescan(s);
}

/* What it asked for is in the ledger, or was nothing. */
static void item_end(SpoolItem *i) {
        Spool *s = i->spool;

        int r = failpoint("spool-remove");
        if (r >= 0 && unlinkat(s->dirfd, i->name, 0) < 0 && errno != ENOENT)
                r = -errno;
        if (r < 0) {
                log_error_errno(r, "spool: cannot remove %s/%s, which is done", s->path, i->name);
                item_keep(i, true);
                return;
        }
        failpoint_past("spool-removed");
        item_set_busy(i, false);
        map_remove_str(s->items, i->name);
        item_free(i);
        if (s->more)
                spool_rescan(s);
}

static size_t count_bad(int dirfd) {
        int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *d;
        size_t n = 0;

        if (!dir) {
                safe_close(copy);
                return SIZE_MAX;
        }
        while ((d = readdir(dir))) {
                size_t size = strlen(d->d_name), tail = strlen(SPOOL_BAD_SUFFIX);
                n += size > tail && streq(d->d_name + size - tail, SPOOL_BAD_SUFFIX);
        }
        closedir(dir);
        return n;
}

/* Out of the way, for a person to look at; so many are kept. */
static void item_set_aside(SpoolItem *i, const char *why) {
        Spool *s = i->spool;
        bool room = count_bad(s->dirfd) < SPOOL_BAD_MAX;
        char bad[SPOOL_NAME_SIZE + sizeof(SPOOL_BAD_SUFFIX)];

        snprintf(bad, sizeof(bad), "%s" SPOOL_BAD_SUFFIX, i->name);
        int r = room ? renameat(s->dirfd, i->name, s->dirfd, bad) : unlinkat(s->dirfd, i->name, 0);
        if (r < 0 && errno != ENOENT) {
                log_error("spool: %s/%s is no request (%s) and cannot be set aside: %s", s->path,
                          i->name, why, strerror(errno));
                item_keep(i, false);
                return;
        }
        log_event(LOG_ERR, LOG_ID_SPOOL_SET_ASIDE, &(LogContext) { .reason = why },
                  "spool: %s/%s is no request that can be worked on: %s; %s%s", s->path, i->name,
                  why, room ? "set aside as " : "removed, since enough are set aside already",
                  room ? bad : "");
        item_set_busy(i, false);
        map_remove_str(s->items, i->name);
        item_free(i);
}

static void item_tell(const SpoolItem *i) {
        log_event(LOG_NOTICE, LOG_ID_SPOOL_CONSUMED,
                  &(LogContext) { .sandbox = i->entry.container_id,
                                  .interface = i->entry.ifname,
                                  .op = "del" },
                  "spool: %s of %s is released, its DEL came while netmgrd did not answer",
                  i->entry.ifname, i->entry.container_id);
}

static void item_released(int r, const Error *e, void *userdata) {
        SpoolItem *i = userdata;

        if (r < 0) {
                log_error("spool: %s of %s: %s; it is tried again", i->entry.ifname,
                          i->entry.container_id, error_message(e));
                item_keep(i, true);
        } else if (r == RELEASE_UNRECORDED)
                /* Only memory knows that it is gone; the next start shall know it too. */
                item_keep(i, false);
        else {
                i->spool->n_released++;
                item_tell(i);
                item_end(i);
        }
}

/* True when the attachment was made after the DEL was called. */
static bool is_newer(const Attachment *a, const SpoolEntry *entry) {
        const Sandbox *s = a->sandbox;

        if (a->created_boot_usec)
                return a->created_boot_usec > entry->boottime_usec;
        return entry->netns.cookie && s->netns_cookie && entry->netns.cookie != s->netns_cookie;
}

static void item_work(SpoolItem *i);

static void item_woken(AttachmentWaiter *w) {
        item_work((SpoolItem *) w);
}

static void item_member_released(int r, const Error *e, void *userdata) {
        SpoolItem *i = userdata;

        /* One that fails does not keep the others: its row says `releasing`. */
        if (r < 0)
                log_warning("spool: %s of %s: what came with it: %s", i->entry.ifname,
                            i->entry.container_id, error_message(e));
        item_work(i);
}

static void item_await(SpoolItem *i, Attachment *a) {
        i->waiter.idle = item_woken;
        list_append(&a->waiters, &i->waiter.list);
}

/* What came with the interface goes before it, as with any other DEL. True: there is some. */
static bool item_members(SpoolItem *i) {
        Manager *m = i->spool->manager;
        const SpoolEntry *entry = &i->entry;

        i->waiter.idle = item_woken;
        if (networks_abandon(m, entry->container_id, entry->ifname, i->cni_name, &i->waiter))
                return true;
        Attachment *a = attachment_last_member(m, entry->container_id, entry->ifname,
                                               i->tried ? i->tried : UINT32_MAX);
        if (!a)
                return false;
        if (a->busy) {
                item_await(i, a);
                return true;
        }
        i->tried = a->spec.position;
        attachment_release(a, "del", "spooled while netmgrd did not answer", item_member_released,
                           i);
        return true;
}

static void item_end_void(SpoolItem *i, const char *why) {
        log_ctx(LOG_INFO,
                &(LogContext) { .sandbox = i->entry.container_id,
                                .interface = i->entry.ifname,
                                .op = "del" },
                "spool: %s of %s: nothing to do, %s", i->entry.ifname, i->entry.container_id, why);
        i->spool->n_void++;
        item_end(i);
}

static void item_work(SpoolItem *i) {
        Manager *m = i->spool->manager;
        const SpoolEntry *entry = &i->entry;
        Attachment *a = attachment_find(m, entry->container_id, entry->ifname);

        if (!streq(entry->boot_id, m->boot_id))
                item_end_void(i, "it is of an earlier boot");
        else if (!a || !a->network || !attachment_is_of(a, i->cni_name)) {
                const HostLocalOwner owner = { i->entry.container_id, i->entry.ifname };

                /* Of host-local's files, which only a plugin may remove, a later GC takes care. */
                if (host_local_concerns(entry->type) &&
                    host_local_has(m, i->cni_name, owner.container_id, owner.ifname))
                        host_local_release(m, i->cni_name, NULL, &owner, 1, NULL, NULL);
                item_end_void(i, "there is no such interface");
        } else if (is_newer(a, entry))
                item_end_void(i, "the interface is newer than the request");
        else if (a->busy)
                item_await(i, a);
        else {
                a->ending = true;
                if (!item_members(i))
                        attachment_release(a, "del", "spooled while netmgrd did not answer",
                                           item_released, i);
        }
}

/* ---- reading --------------------------------------------------------------------------------- */

static int item_check(SpoolItem *i, Error *e) {
        _cleanup_(netconf_freep) NetConf *conf = NULL;
        const Manager *m = i->spool->manager;
        const SpoolEntry *entry = &i->entry;

        if (entry->host_netns.ino && streq(entry->boot_id, m->boot_id) &&
            (entry->host_netns.dev != (uint64_t) m->netns_dev ||
             entry->host_netns.ino != (uint64_t) m->netns_ino))
                return error_setf(e, ERROR_WRONG_NAMESPACE,
                                  "its caller lives in network namespace %" PRIu64
                                  ", this netmgrd serves %" PRIu64,
                                  entry->host_netns.ino, (uint64_t) m->netns_ino);
        int r = netconf_parse_envelope_as(net_plugin_from_string(entry->type), entry->config,
                                          strlen(entry->config), &conf, e);
        if (r < 0)
                return r;
        if (!conf->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "name: wanted the network's name, found nothing");
        i->cni_name = TAKE_PTR(conf->name);
        return 0;
}

/* It is us who cannot read now, whatever the file is. */
static bool is_our_trouble(int r) {
        return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -EIO;
}

static void consume(Spool *s, const char *name) {
        _cleanup_error_ Error error = ERROR_NULL;
        SpoolItem *i = new0(SpoolItem, 1);

        if (!i) {
                spool_retry_later(s);
                return;
        }
        i->spool = s;
        memcpy(i->name, name, SPOOL_NAME_SIZE);
        if (map_put_str(s->items, i->name, i) < 0) {
                item_free(i);
                spool_retry_later(s);
                return;
        }
        item_set_busy(i, true);
        int r = failpoint("spool-read");
        if (r >= 0)
                r = spool_file_read(s->dirfd, name, &i->entry, &error);
        if (r == -ENOENT && !error_is_set(&error)) {
                item_set_busy(i, false); /* replaced by a later one, meanwhile */
                map_remove_str(s->items, i->name);
                item_free(i);
                return;
        }
        if (r >= 0)
                r = item_check(i, &error);
        if (r >= 0)
                item_work(i);
        else if (is_our_trouble(r)) {
                log_error("spool: %s/%s: %s; it is tried again", s->path, name,
                          error_message(&error));
                item_keep(i, true);
        } else
                item_set_aside(i, error_message(&error));
}

/* A temporary file whose writer is gone. Where it lives, the file is locked. */
static void remove_temporary(Spool *s, const char *name) {
        _cleanup_close_ int fd = openat(s->dirfd, name,
                                        O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
            flock(fd, LOCK_EX | LOCK_NB) < 0)
                return;
        if (unlinkat(s->dirfd, name, 0) >= 0)
                log_notice("spool: removed %s/%s, which a killed plugin left", s->path, name);
}

static bool has_suffix(const char *s, const char *suffix) {
        size_t n = strlen(s), k = strlen(suffix);
        return n >= k && streq(s + n - k, suffix);
}

static void tell_once(Spool *s, const char *name) {
        bool is_clean = text_is_clean(name, strlen(name));

        if (map_get_str(s->told, name) || map_size(s->told) >= SPOOL_BAD_MAX ||
            map_put_str(s->told, name, s) < 0)
                return;
        log_warning("spool: %s/%s is none of netmgr's files; left alone", s->path,
                    is_clean ? name : "(a name with control characters)");
}

static void spool_scan(Spool *s) {
        int copy = s->dirfd < 0 ? -EBADF
                                : openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        size_t n_taken = 0;
        struct dirent *d;

        s->more = false;
        if (!dir) {
                safe_close(copy);
                spool_retry_later(s);
                return;
        }
        while ((d = readdir(dir))) {
                const char *name = d->d_name;

                if (streq(name, ".") || streq(name, "..") || has_suffix(name, SPOOL_BAD_SUFFIX))
                        continue;
                if (strncmp(name, SPOOL_TEMPORARY_PREFIX, strlen(SPOOL_TEMPORARY_PREFIX)) == 0)
                        remove_temporary(s, name);
                else if (!spool_name_is_entry(name, NULL))
                        tell_once(s, name);
                else if (map_get_str(s->items, name))
                        continue;
                else if (s->n_busy >= SPOOL_BATCH_MAX || n_taken >= SPOOL_BATCH_MAX) {
                        s->more = true;
                        break;
                } else {
                        n_taken++;
                        consume(s, name);
                }
        }
        closedir(dir);
        if (s->more && s->n_busy < SPOOL_BATCH_MAX)
                spool_rescan(s);
}

static int on_scan(sd_event_source *source _unused_, void *userdata) {
        spool_scan(userdata);
        return 0;
}

/* ---- directory ------------------------------------------------------------------------------- */

static void spool_close(Spool *s) {
        s->inotify_source = sd_event_source_disable_unref(s->inotify_source);
        s->inotify_fd = safe_close(s->inotify_fd);
        s->dirfd = safe_close(s->dirfd);
}

static int on_inotify(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
                      void *userdata);

static int check_directory(const Spool *s, Error *e) {
        struct stat st;

        if (fstat(s->dirfd, &st) < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "fstat");
        if (st.st_uid != 0)
                return error_setf(e, ERROR_INTERNAL, "it belongs to uid %u, wanted is root",
                                  (unsigned) st.st_uid);
        if ((st.st_mode & (S_IRWXG | S_IRWXO)) != S_IRWXG)
                return error_setf(e, ERROR_INTERNAL, "its mode is %03o, wanted is 770",
                                  (unsigned) st.st_mode & 07777);
        if (faccessat(s->dirfd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "it is not for netmgrd's group");
        return 0;
}

static int open_directory(Spool *s, Error *e) {
        s->dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (s->dirfd < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "opening it");
        int r = check_directory(s, e);
        if (r < 0)
                return r;
        s->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (s->inotify_fd < 0 || inotify_add_watch(s->inotify_fd, s->path,
                                                   IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF |
                                                                   IN_MOVE_SELF | IN_ONLYDIR) < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "watching it");
        r = sd_event_add_io(s->manager->event, &s->inotify_source, s->inotify_fd, EPOLLIN,
                            on_inotify, s);
        /* Before requests: what was spooled is older than an ADD that comes now. */
        if (r >= 0)
                r = sd_event_source_set_priority(s->inotify_source, SD_EVENT_PRIORITY_IMPORTANT);
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "watching it") : 0;
}

/* Opens it and takes what is there; a spool that is unfit is looked at again from time to time. */
static void spool_open(Spool *s) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_free_ char *text = NULL;

        spool_close(s);
        if (open_directory(s, &error) < 0) {
                spool_close(s);
                spool_retry_later(s);
                text = strf("spool %s: %s; DEL fails while netmgrd is down; install -d -o root -g "
                            "netmgr -m 770 %s, then netmgrctl reload",
                            s->path, error_message(&error), s->path);
        }
        manager_set_health(s->manager, HEALTH_SPOOL, text);
        if (s->dirfd >= 0)
                spool_scan(s);
}

static int on_inotify(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
                      void *userdata) {
        char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        Spool *s = userdata;
        bool gone = false;
        ssize_t n;

        while ((n = read(fd, buf, sizeof(buf))) > 0)
                for (char *p = buf; p < buf + n;) {
                        const struct inotify_event *event = (const struct inotify_event *) p;
                        gone |= event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED);
                        p += sizeof(*event) + event->len;
                }
        if (gone)
                spool_open(s);
        else
                spool_scan(s);
        return 0;
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Spool *s = userdata;
        SpoolItem *i;

        MAP_FOREACH (i, s->items)
                if (!i->busy && i->again) {
                        map_remove_str(s->items, i->name);
                        item_free(i);
                }
        if (s->dirfd < 0)
                spool_open(s);
        else
                spool_scan(s);
        return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

int spool_new(Manager *m, const char *path, Spool **ret, Error *e) {
        Spool *s = new0(Spool, 1);
        int r;

        if (!s)
                return error_oom(e);
        s->manager = m;
        s->dirfd = s->inotify_fd = -EBADF;
        s->path = strdup(path);
        s->items = map_new();
        s->told = map_new();
        r = !s->path || !s->items || !s->told ? -ENOMEM : 0;
        if (r >= 0)
                r = sd_event_add_defer(m->event, &s->scan_source, on_scan, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->scan_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &s->retry_timer, CLOCK_MONOTONIC, 0, 0,
                                               on_retry, s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->retry_timer, SD_EVENT_OFF);
        if (r < 0) {
                spool_free(s);
                return error_set_errnof(e, ERROR_INTERNAL, r, "watching the spool");
        }
        *ret = s;
        return 0;
}

void spool_consume_before_serving(Spool *s) {
        uint64_t end = now_boottime() + SPOOL_START_SEC * 1000000ULL, now = 0;

        spool_open(s);
        while ((s->n_busy > 0 || s->more) && (now = now_boottime()) < end)
                if (sd_event_run(s->manager->event, end - now) < 0)
                        break;
        if (s->n_released + s->n_void > 0)
                log_notice("spool: released %zu interfaces whose DEL came while netmgrd did not "
                           "answer; %zu DELs asked for nothing",
                           s->n_released, s->n_void);
        if (s->n_busy > 0 || s->more)
                log_warning("spool: not all is released within %u s; serving, the rest follows",
                            SPOOL_START_SEC);
}

void spool_reload(Spool *s) {
        if (s->dirfd < 0)
                spool_open(s);
}

Spool *spool_free(Spool *s) {
        SpoolItem *i;

        if (!s)
                return NULL;
        if (s->items)
                MAP_FOREACH (i, s->items) {
                        map_remove_str(s->items, i->name);
                        item_free(i);
                }
        map_free(s->items);
        map_free(s->told);
        spool_close(s);
        sd_event_source_disable_unref(s->scan_source);
        sd_event_source_disable_unref(s->retry_timer);
        free(s->path);
        free(s);
        return NULL;
}
