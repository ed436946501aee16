/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What this kernel has, found by trying it; nothing of a trial stays. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "nl/nl-socket.h"

/* Of trials. netmgr's own links end in digits or a network's name, so no other has it. */
#define IFB_NAME    "nmiprobe"
#define LINK_NAME   "nmxprobe"
#define BRIDGE_NAME "nmyprobe"

static void end_trial(NlSocket *s, const char *name) {
        NlOp del = { .type = NL_LINK_DEL, .what = "end the trial" };

        snprintf(del.link.name, sizeof(del.link.name), "%s", name);
        /* Once more when it fails: otherwise the link would stay until the next start. */
        int r = kernel_apply(s, &del, 1, &(NlApplied) { 0 });
        if (r < 0 && r != -ENODEV)
                (void) kernel_apply(s, &del, 1, &(NlApplied) { 0 });
}

static int try_op(NlSocket *s, const NlOp *op, bool *ret) {
        int r = kernel_apply(s, op, 1, &(NlApplied) { 0 });

        *ret = r >= 0;
        /* What a kernel without the module answers. */
        return r >= 0 || r == -ENOENT || r == -EOPNOTSUPP || r == -EINVAL ? 0 : r;
}

int kernel_probe_tc(NlSocket *s, NlTcFeatures *ret) {
        NlOp add = { .type = NL_IFB_ADD, .what = "try ifb", .ifb.name = IFB_NAME };
        NlApplied made = { 0 };

        *ret = (NlTcFeatures) { 0 };
        end_trial(s, IFB_NAME); /* of one that was killed */
        int r = kernel_apply(s, &add, 1, &made);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        ret->ifb = true;
        int32_t i = (int32_t) made.ifb_ifindex;
        NlOp tbf = { .type = NL_TBF_SET, .what = "try tbf", .tbf = { i, 125000, 65536, 25000 } };
        NlOp clsact = { .type = NL_CLSACT_ADD, .what = "try clsact", .redirect = { i, 0 } };
        NlOp redirect = { .type = NL_REDIRECT_ADD, .what = "try mirred", .redirect = { i, i } };
        r = try_op(s, &tbf, &ret->tbf);
        if (r >= 0)
                r = try_op(s, &clsact, &ret->clsact);
        if (r >= 0 && ret->clsact)
                r = try_op(s, &redirect, &ret->mirred);
        end_trial(s, IFB_NAME);
        return r;
}

/* Asks for what the kind itself refuses: -EOPNOTSUPP comes only from a kernel that knows no such kind.
 * The kernel loads a module for it as for the real thing. */
static int try_kind(NlSocket *s, const NlOp *op, bool *ret) {
        int r = kernel_apply(s, op, 1, &(NlApplied) { 0 });

        *ret = r >= 0 || r == -EINVAL || r == -ERANGE || r == -EADDRNOTAVAIL;
        if (r >= 0)
                end_trial(s, op->newlink.name); /* a kind that takes anything */
        return *ret || r == -EOPNOTSUPP ? 0 : r;
}

static int try_vlan_filtering(NlSocket *s, bool *ret) {
        NlOp add = { .type = NL_BRIDGE_ADD,
                     .what = "try vlan_filtering",
                     .bridge = { .name = BRIDGE_NAME, .vlan_filtering = true } };
        NlLink link = { 0 };

        end_trial(s, BRIDGE_NAME); /* of one that was killed */
        int r = kernel_apply(s, &add, 1, &(NlApplied) { 0 });
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        /* What the kernel does not know it ignores: only what it tells afterwards counts. */
        r = kernel_get_link(s, BRIDGE_NAME, &link);
        *ret = r >= 0 && link.vlan_filtering;
        end_trial(s, BRIDGE_NAME);
        return r;
}

/* Opening it loads the module. It is netmgr-nsd that needs the permission to. */
static bool has_tun(void) {
        _cleanup_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NOCTTY);
        return fd >= 0 || errno == EACCES || errno == EPERM;
}

int kernel_probe_links(NlSocket *s, NlLinkFeatures *ret) {
        /* No VLAN, macvlan or ipvlan without a link to stand on, no dummy with a group address for its
         * own, no VRF of table 0, no VXLAN with an identifier of 25 bits. */
        const struct {
                NlLinkKind kind;
                bool *found;
        } kinds[] = {
                { NL_KIND_MACVLAN, &ret->macvlan }, { NL_KIND_IPVLAN, &ret->ipvlan },
                { NL_KIND_VLAN, &ret->vlan },       { NL_KIND_DUMMY, &ret->dummy },
                { NL_KIND_VXLAN, &ret->vxlan },     { NL_KIND_VRF, &ret->vrf },
        };
        int first = 0;

        *ret = (NlLinkFeatures) { .tun = has_tun() };
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                NlOp op = {
                        .type = NL_LINK_ADD,
                        .what = "try a kind of link",
                        .newlink = { .kind = kinds[i].kind, .name = LINK_NAME, .netns_fd = -EBADF }
                };
                if (op.newlink.kind == NL_KIND_DUMMY) {
                        op.newlink.mac = (MacAddr) { { 0x01, 0, 0x5e, 0, 0, 1 } };
                        op.newlink.has_mac = true;
                } else if (op.newlink.kind == NL_KIND_VXLAN)
                        op.newlink.vxlan.vni = 1U << 24;
                int r = try_kind(s, &op, kinds[i].found);
                first = first < 0 ? first : r;
        }
        int r = try_vlan_filtering(s, &ret->bridge_vlan_filtering);
        return first < 0 ? first : r;
}
