/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What scenarios are made of; see nl-world.h. */

#include "nl-world.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/fd.h"

const MacAddr host_mac = { { 2, 0, 0, 0, 0, 1 } }, pod_mac = { { 2, 0, 0, 0, 0, 2 } };

_Noreturn void skip_scenario(const char *reason) {
        fprintf(stderr, "skipped: %s\n", reason);
        _exit(EXIT_SKIP);
}

InAddr address(const char *s) {
        InAddr a;
        EXPECT_INT(in_addr_parse(s, &a), 0);
        return a;
}

InPrefix prefix(const char *s) {
        InPrefix p;
        EXPECT_INT(in_prefix_parse(s, &p), 0);
        return p;
}

/* ---- ops ----------------------------------------------------------------------------------------- */

NlOp veth(const World *w, const char *name, const char *peer) {
        NlOp op = { .type = NL_VETH_ADD, .what = "create the veth pair" };

        snprintf(op.veth.name, sizeof(op.veth.name), "%s", name);
        snprintf(op.veth.peer, sizeof(op.veth.peer), "%s", peer);
        op.veth.mac = host_mac;
        op.veth.peer_mac = pod_mac;
        op.veth.mtu = 1400;
        op.veth.group = 7;
        op.veth.peer_netns_fd = w->pod_netns;
        return op;
}

NlOp bridge(const char *name) {
        NlOp op = { .type = NL_BRIDGE_ADD, .what = "create the bridge" };

        snprintf(op.bridge.name, sizeof(op.bridge.name), "%s", name);
        op.bridge.mac = host_mac;
        return op;
}

NlOp set(const char *name, NlLinkMask mask) {
        NlOp op = { .type = NL_LINK_SET, .what = "set the link" };

        snprintf(op.link.name, sizeof(op.link.name), "%s", name);
        op.link.mask = mask;
        op.link.up = op.link.hairpin = true;
        op.link.rp_filter = 1;
        return op;
}

NlOp del(const char *name) {
        NlOp op = { .type = NL_LINK_DEL, .what = "delete the link" };

        snprintf(op.link.name, sizeof(op.link.name), "%s", name);
        return op;
}

NlOp addr(NlOpType type, int32_t ifindex, const char *cidr) {
        NlOp op = { .type = type, .what = "an address" };

        op.addr.ifindex = ifindex;
        op.addr.address = prefix(cidr);
        if (in_addr_is_link_local(&op.addr.address.address))
                op.addr.scope = RT_SCOPE_LINK;
        return op;
}

NlOp route(NlOpType type, int32_t ifindex, const char *dst, const char *gw, bool onlink) {
        NlOp op = { .type = type, .what = "a route" };

        op.route.ifindex = ifindex;
        op.route.dst = prefix(dst);
        if (gw)
                op.route.gw = address(gw);
        else if (op.route.dst.address.family == AF_INET)
                op.route.scope = RT_SCOPE_LINK;
        op.route.onlink = onlink;
        return op;
}

NlOp neigh(NlOpType type, int32_t ifindex, const char *a) {
        NlOp op = { .type = type, .what = "a neighbour" };

        op.neigh.ifindex = ifindex;
        op.neigh.address = address(a);
        op.neigh.mac = host_mac;
        return op;
}

NlOp newlink(NlLinkKind kind, const char *name, int netns_fd, uint32_t lower) {
        NlOp op = { .type = NL_LINK_ADD, .what = "create the link" };

        op.newlink.kind = kind;
        snprintf(op.newlink.name, sizeof(op.newlink.name), "%s", name);
        op.newlink.netns_fd = netns_fd;
        op.newlink.link_ifindex = lower;
        return op;
}

NlOp vlans(NlOpType type, uint32_t ifindex, uint16_t vid, uint16_t vid_end) {
        NlOp op = { .type = type, .what = "VLANs" };

        op.bvlan.ifindex = (int32_t) ifindex;
        op.bvlan.vid = vid;
        op.bvlan.vid_end = vid_end;
        return op;
}

NlOp rule(NlOpType type, const char *src, uint32_t table, uint32_t priority) {
        NlOp op = { .type = type, .what = "a rule" };

        if (src) {
                op.rule.src = prefix(src);
                op.rule.has_src = true;
        }
        op.rule.family = src ? op.rule.src.address.family : AF_INET;
        op.rule.table = table;
        op.rule.priority = priority;
        return op;
}

int apply_one(NlSocket *s, NlOp op) {
        NlApplied applied;
        return kernel_apply(s, &op, 1, &applied);
}

/* ---- what is there ------------------------------------------------------------------------------- */

const NlRoute *find_route(const NlDump *d, const char *dst) {
        InPrefix p = prefix(dst);

        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].dst.length == p.length &&
                    in_addr_equal(&d->routes[i].dst.address, &p.address))
                        return &d->routes[i];
        return NULL;
}

const NlAddr *find_addr(const NlDump *d, uint32_t ifindex, const char *cidr) {
        InPrefix p = prefix(cidr);

        for (size_t i = 0; i < d->n_addrs; i++)
                if (d->addrs[i].ifindex == ifindex && d->addrs[i].address.length == p.length &&
                    in_addr_equal(&d->addrs[i].address.address, &p.address))
                        return &d->addrs[i];
        return NULL;
}

const NlNeigh *find_neigh(const NlDump *d, const char *a) {
        InAddr wanted = address(a);

        for (size_t i = 0; i < d->n_neighs; i++)
                if (in_addr_equal(&d->neighs[i].address, &wanted))
                        return &d->neighs[i];
        return NULL;
}

NlDump dump(NlSocket *s) {
        NlDump d = { 0 };
        EXPECT_INT(kernel_dump(s, NL_DUMP_LINKS | NL_DUMP_ADDRS | NL_DUMP_ROUTES | NL_DUMP_NEIGHS,
                               &d),
                   0);
        return d;
}

NlLink link_of(NlSocket *s, const char *name) {
        NlLink l = { 0 };
        EXPECT_INT(kernel_get_link(s, name, &l), 0);
        return l;
}

NlApplied attach(World *w) {
        NlOp ops[] = { veth(w, "nmg1", "eth0"),
                       set("nmg1", NL_LINK_ADDRGEN_NONE | NL_LINK_IPV4_CONF) };
        NlApplied applied;

        EXPECT_INT(kernel_apply(w->host, ops, ELEMENTSOF(ops), &applied), 0);
        EXPECT(applied.host_ifindex > 0 && applied.pod_ifindex > 0);
        return applied;
}

NlLinkFeatures features(World *w) {
        NlLinkFeatures f;

        EXPECT_INT(kernel_probe_links(w->host, &f), 0);
        return f;
}

uint32_t make_bridge(World *w, const char *name) {
        EXPECT_INT(apply_one(w->host, bridge(name)), 0);
        return link_of(w->host, name).ifindex;
}

void expect_gone(NlSocket *s, const char *name) {
        NlLink l;
        EXPECT_INT(kernel_get_link(s, name, &l), -ENODEV);
}

bool ip_says(const World *w, bool in_pod, const char *arguments, const char *words) {
        char command[512];

        if (w->fake)
                return true;
        snprintf(command, sizeof(command),
                 "nsenter --net=/proc/%d/fd/%d ip %s 2>&1 | tee /dev/stderr | grep -q -e '%s'",
                 (int) getpid(), in_pod ? w->pod_netns : w->host_netns, arguments, words);
        return system(command) == 0;
}

/* ---- running them -------------------------------------------------------------------------------- */

static void fake_world(World *w) {
        FakeNetns *host;

        EXPECT_INT(fake_kernel_new(&w->fake), 0);
        EXPECT_INT(fake_netns_new(w->fake, &host), 0);
        EXPECT_INT(fake_netns_new(w->fake, &w->fake_pod), 0);
        Kernel *k = fake_kernel_kernel(w->fake);
        EXPECT_INT(kernel_socket_from_fd(k, fake_netns_open(host), &w->host), 0);
        EXPECT_INT(kernel_socket_from_fd(k, fake_netns_open(w->fake_pod), &w->pod), 0);
        w->pod_netns = fake_netns_open(w->fake_pod);
        w->host_netns = fake_netns_open(host);
}

static int enter_fresh_netns(NlSocket **ret) {
        if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
                return -errno;
        EXPECT_INT(kernel_socket_from_fd(&kernel_real, kernel_open_fd(), ret), 0);
        return 0;
}

static void real_world(World *w) {
        int r = enter_fresh_netns(&w->pod);
        if (r < 0) {
                fprintf(stderr, "no network namespace for this test: %s\n", strerror(-r));
                skip_scenario("no namespaces");
        }
        w->pod_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        EXPECT_INT(enter_fresh_netns(&w->host), 0);
        w->host_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

void run(void (*scenario)(World *w), bool real) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                World w = { 0 };
                (real ? real_world : fake_world)(&w);
                scenario(&w);
                kernel_socket_free(w.host);
                kernel_socket_free(w.pod);
                safe_close(w.pod_netns);
                safe_close(w.host_netns);
                fake_kernel_free(w.fake);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP)
                skip();
        assert_int_equal(status, 0);
}
