/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From an attachment to the rows of the audit trail; see trail.h. */

#include "core/trail.h"

static char *copy(const char *s) {
        return s ? strdup(s) : NULL;
}

static char *ports_text(const Attachment *a) {
        _cleanup_free_ PortRow *rows = new0(PortRow, a->spec.n_ports + 1);

        for (size_t i = 0; rows && i < a->spec.n_ports; i++)
                rows[i] = attachment_port_row(a, &a->spec.ports[i]);
        return rows ? ports_format(rows, a->spec.n_ports) : NULL;
}

void trail_take(Trail *t, const Attachment *a) {
        const Sandbox *s = a->sandbox;

        trail_clear(t);
        *t = (Trail) {
                .id = a->spec.id,
                .since_usec = a->created_usec,
                .network = copy(a->network->name),
                .sandbox = copy(s->id),
                .ifname = copy(a->spec.ifname),
                .host_ifname = spec_host_end(&a->spec)[0] ? copy(spec_host_end(&a->spec)) : NULL,
                .pod_namespace = copy(s->pod_namespace),
                .pod_name = copy(s->pod_name),
                .pod_uid = copy(s->pod_uid),
                .addresses = attachment_addresses_text(a),
                .ports = ports_text(a),
                .choice = copy(a->spec.choice),
        };
}

void trail_clear(Trail *t) {
        free(t->network);
        free(t->sandbox);
        free(t->ifname);
        free(t->host_ifname);
        free(t->pod_namespace);
        free(t->pod_name);
        free(t->pod_uid);
        free(t->addresses);
        free(t->ports);
        free(t->choice);
        *t = (Trail) { 0 };
}

EventRow trail_event(const Trail *t, const char *op, uint64_t usec) {
        return (EventRow) { .usec = usec,
                            .op = op,
                            .attachment = t->id,
                            .network = t->network,
                            .sandbox = t->sandbox,
                            .ifname = t->ifname,
                            .host_ifname = t->host_ifname,
                            .pod_namespace = t->pod_namespace,
                            .pod_name = t->pod_name,
                            .pod_uid = t->pod_uid,
                            .addresses = t->addresses,
                            .ports = t->ports };
}

EventRow trail_add(const Trail *t, uint64_t usec) {
        EventRow row = trail_event(t, "add", usec);

        row.reason = t->choice;
        return row;
}

EventRow trail_end(const Trail *t, const char *op, const char *reason, uint64_t usec) {
        EventRow row = trail_event(t, op, usec);

        row.ends = true;
        row.since_usec = t->since_usec;
        row.reason = reason;
        return row;
}
