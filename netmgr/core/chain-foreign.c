/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Attachments of kind foreign: an interface that a plugin of others has made, and that plugins of ours are
 * chained to. The addresses are those of prevResult. Its links are never changed but for what the plugins ask
 * for, never made anew and never deleted.
 */

#include "core/op-chain.h"

int chain_foreign_new(ChainOp *op, Error *e) {
        const Request *q = &op->request;
        Network *n;

        int r = network_find_foreign(op->manager, op->conf->name, &n, e);
        if (r < 0)
                return r;
        r = foreign_attachment_new(op->manager, n, q, &op->attachment, e);
        if (r < 0) {
                network_release_if_unused(n);
                return r;
        }
        op->is_new = true;
        AttachmentSpec *s = &op->attachment->spec;
        s->shaping_mode = NET_SHAPING_SHAPE; /* rules that police have a port of ours to go by */
        op->attachment->request = strdup(q->config);
        s->cni_name = strdup(op->conf->name);
        if (!op->attachment->request || !s->cni_name)
                return error_oom(e);
        return foreign_take_addresses(s, op->conf->prev_result, op->conf->cni_version, e);
}

int chain_foreign_look(ChainOp *op, WorkerContext *w, Error *e) {
        int r = foreign_identify(&op->request, &op->netns, e);
        if (r >= 0)
                r = foreign_find_link(op->pod, w->host, op->request.ifname, &op->foreign, e);
        if (r >= 0 && !op->foreign.there)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "CNI_IFNAME: there is no interface %s in netns \"%.256s\"; the plugin "
                                "before this one in the chain makes it",
                                op->request.ifname, op->request.netns_path);
        return r;
}

int chain_foreign_found(ChainOp *op, Error *e) {
        Attachment *a = op->attachment;

        int r = sandbox_identify(a->sandbox, op->request.netns_path, &op->netns, e);
        if (r >= 0)
                foreign_take_link(&a->spec, &op->foreign);
        return r;
}
