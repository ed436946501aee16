/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The table of the kernel in memory, and what a test asks of it; see nl-fake.h. */

#include "nl/nl-fake.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "nl/nl-fake-internal.h"

typedef struct FakeSocket {
        NlSocket base; /* first member */
        FakeNetns *ns; /* borrowed */
        int fd;
} FakeSocket;

/* ---- the table ----------------------------------------------------------------------------------- */

static int fake_from_fd(Kernel *k, int fd, NlSocket **ret) {
        FakeNetns *ns = fake_netns_by_fd((FakeKernel *) k, fd);
        if (!ns)
                return -ENOTSOCK;
        FakeSocket *s = new0(FakeSocket, 1);
        if (!s)
                return -ENOMEM;
        *s = (FakeSocket) { .base.kernel = k, .ns = ns, .fd = fd };
        *ret = &s->base;
        return 0;
}

static NlSocket *fake_free(NlSocket *base) {
        FakeSocket *s = (FakeSocket *) base;

        safe_close(s->fd);
        free(s);
        return NULL;
}

static int fake_apply(NlSocket *base, const NlOp *ops, size_t n_ops, NlApplied *ret) {
        FakeNetns *ns = ((FakeSocket *) base)->ns;
        int first = 0;

        for (size_t i = 0; i < n_ops; i++)
                if (!nl_op_is_valid(&ops[i])) {
                        ret->failed = i;
                        return -EINVAL;
                }
        pthread_mutex_lock(&ns->fake->lock);
        for (size_t i = 0; i < n_ops; i++) {
                int r = fake_op_apply(ns, &ops[i], ret);
                if (r < 0 && first == 0) {
                        first = r;
                        ret->failed = i;
                }
        }
        pthread_mutex_unlock(&ns->fake->lock);
        return first;
}

static int dump_locked(const FakeNetns *ns, NlDumpMask mask, NlDump *d) {
        d->links = new0(NlLink, ns->n_links + 1);
        d->addrs = new0(NlAddr, ns->n_addrs + 1);
        d->routes = new0(NlRoute, ns->n_routes + 1);
        d->neighs = new0(NlNeigh, ns->n_neighs + 1);
        d->rules = new0(NlRule, ns->n_rules + 1);
        d->stats = new0(NlStat, ns->n_links + 1);
        if (!d->links || !d->addrs || !d->routes || !d->neighs || !d->rules || !d->stats)
                return -ENOMEM;
        for (size_t i = 0; (mask & NL_DUMP_LINKS) && i < ns->n_links; i++) {
                NlLink *l = &d->links[d->n_links++];
                *l = ns->links[i].link;
                if (l->alias && !(l->alias = strdup(l->alias)))
                        return -ENOMEM;
        }
        for (size_t i = 0; (mask & NL_DUMP_COUNTERS) && i < ns->n_links; i++)
                d->stats[d->n_stats++].ifindex = ns->links[i].link.ifindex;
        for (size_t i = 0; (mask & NL_DUMP_ADDRS) && i < ns->n_addrs; i++)
                d->addrs[d->n_addrs++] = ns->addrs[i];
        for (size_t i = 0; (mask & NL_DUMP_ROUTES) && i < ns->n_routes; i++)
                if ((mask & NL_DUMP_ALL_TABLES) ||
                    (ns->routes[i].table == RT_TABLE_MAIN && ns->routes[i].type == RTN_UNICAST))
                        d->routes[d->n_routes++] = ns->routes[i];
        for (size_t i = 0; (mask & NL_DUMP_NEIGHS) && i < ns->n_neighs; i++)
                d->neighs[d->n_neighs++] = ns->neighs[i];
        for (size_t i = 0; (mask & NL_DUMP_RULES) && i < ns->n_rules; i++)
                d->rules[d->n_rules++] = ns->rules[i];
        return mask & NL_DUMP_BRIDGE_VLANS ? fake_bridge_vlans_dump(ns, d) : 0;
}

static int fake_dump(NlSocket *base, NlDumpMask mask, NlDump *ret) {
        FakeNetns *ns = ((FakeSocket *) base)->ns;
        NlDump d = { 0 };

        pthread_mutex_lock(&ns->fake->lock);
        int r = dump_locked(ns, mask, &d);
        pthread_mutex_unlock(&ns->fake->lock);
        if (r < 0)
                kernel_dump_clear(&d);
        else
                *ret = d;
        return r;
}

static int fake_get_link(NlSocket *base, const char *name, uint32_t ifindex, NlLink *ret,
                         char **ret_alias) {
        FakeNetns *ns = ((FakeSocket *) base)->ns;
        int r = 0;

        pthread_mutex_lock(&ns->fake->lock);
        const FakeLink *l = name ? fake_link_by_name(ns, name) : fake_link_by_index(ns, ifindex);
        if (l) {
                *ret = l->link;
                ret->alias = NULL;
                if (ret_alias && l->link.alias && !(*ret_alias = strdup(l->link.alias)))
                        r = -ENOMEM;
        }
        pthread_mutex_unlock(&ns->fake->lock);
        return l ? r : -ENODEV;
}

/* The source is the route's, else the link's first address of the family. */
static int get_route_locked(FakeNetns *ns, const InAddr *dst, uint32_t *ret_ifindex,
                            InAddr *ret_source) {
        InAddr source = { .family = AF_UNSPEC };

        if (fake_addr_find(ns, 0, dst)) {
                *ret_ifindex = LO_IFINDEX;
                *ret_source = *dst;
                return 0;
        }
        const NlRoute *route = fake_route_lookup(ns, dst);
        if (!route)
                return -ENETUNREACH;
        if (route->type != RTN_UNICAST)
                return route->type == RTN_PROHIBIT      ? -EACCES
                       : route->type == RTN_UNREACHABLE ? -EHOSTUNREACH
                                                        : -EINVAL;
        if (in_addr_is_set(&route->prefsrc))
                source = route->prefsrc;
        for (size_t i = 0; !in_addr_is_set(&source) && i < ns->n_addrs; i++)
                if (ns->addrs[i].ifindex == route->ifindex &&
                    ns->addrs[i].address.address.family == dst->family)
                        source = ns->addrs[i].address.address;
        *ret_ifindex = route->ifindex;
        *ret_source = source;
        return 0;
}

static int fake_get_route(NlSocket *base, const InAddr *dst, uint32_t *ret_ifindex,
                          InAddr *ret_source) {
        FakeNetns *ns = ((FakeSocket *) base)->ns;

        pthread_mutex_lock(&ns->fake->lock);
        int r = get_route_locked(ns, dst, ret_ifindex, ret_source);
        pthread_mutex_unlock(&ns->fake->lock);
        return r;
}

static const struct KernelOps fake_ops = {
        .socket_from_fd = fake_from_fd,
        .socket_free = fake_free,
        .apply = fake_apply,
        .dump = fake_dump,
        .get_link = fake_get_link,
        .get_route = fake_get_route,
};

/* ---- for the test -------------------------------------------------------------------------------- */

int fake_kernel_new(FakeKernel **ret) {
        FakeKernel *f = new0(FakeKernel, 1);

        if (!f)
                return -ENOMEM;
        f->kernel.ops = &fake_ops;
        pthread_mutex_init(&f->lock, NULL);
        list_init(&f->netns);
        *ret = f;
        return 0;
}

static FakeNetns *netns_free(FakeNetns *ns) {
        list_unlink(&ns->list);
        safe_close(ns->fd);
        for (size_t i = 0; i < ns->n_links; i++)
                free(ns->links[i].link.alias);
        free(ns->links);
        free(ns->addrs);
        free(ns->routes);
        free(ns->neighs);
        free(ns->rules);
        free(ns->bridge_vlans);
        free(ns);
        return NULL;
}

FakeKernel *fake_kernel_free(FakeKernel *f) {
        FakeNetns *ns;

        if (!f)
                return NULL;
        LIST_FOREACH (ns, &f->netns, FakeNetns, list)
                netns_free(ns);
        pthread_mutex_destroy(&f->lock);
        free(f);
        return NULL;
}

Kernel *fake_kernel_kernel(FakeKernel *f) {
        return &f->kernel;
}

int fake_netns_new(FakeKernel *f, FakeNetns **ret) {
        FakeNetns *ns = new0(FakeNetns, 1);
        FakeLink *lo;
        struct stat st;

        if (!ns)
                return -ENOMEM;
        ns->fake = f;
        ns->next_ifindex = LO_IFINDEX;
        ns->fd = memfd_create("netns", MFD_CLOEXEC);
        int r = ns->fd < 0 || fstat(ns->fd, &st) < 0 ? -errno : 0;
        if (r >= 0)
                r = fake_link_new(ns, "lo", "", &(MacAddr) { 0 }, 65536, 0, &lo);
        if (r < 0) {
                netns_free(ns);
                return r;
        }
        lo->link.flags = IFF_LOOPBACK;
        lo->link.mac = (MacAddr) { 0 };
        ns->dev = st.st_dev;
        ns->ino = st.st_ino;
        pthread_mutex_lock(&f->lock);
        list_append(&f->netns, &ns->list);
        pthread_mutex_unlock(&f->lock);
        *ret = ns;
        return 0;
}

void fake_netns_kill(FakeNetns *ns) {
        pthread_mutex_lock(&ns->fake->lock);
        while (ns->n_links > 0)
                fake_link_delete(ns, ns->links[0].link.ifindex);
        pthread_mutex_unlock(&ns->fake->lock);
}

int fake_netns_open(FakeNetns *ns) {
        return fd_dup(ns->fd);
}

void fake_kernel_fail(FakeKernel *f, size_t nth, int error) {
        pthread_mutex_lock(&f->lock);
        f->fail_at = f->n_ops + nth;
        f->fail_error = error < 0 ? error : -error;
        pthread_mutex_unlock(&f->lock);
}

size_t fake_kernel_count(FakeKernel *f) {
        pthread_mutex_lock(&f->lock);
        size_t n = f->n_ops;
        pthread_mutex_unlock(&f->lock);
        return n;
}
