/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See ports.h. */

#include "core/ports.h"

#include <netinet/in.h>

#include "base/parse.h"
#include "nl/listeners.h"

typedef struct PortHold PortHold;
struct PortHold {
        PortHold *next; /* the same port at another address */
        InAddr host;
        const Attachment *attachment;
};

/* Key of the map: what two holders must share to be in each other's way. */
typedef struct PortKey {
        uint8_t protocol, family;
        uint16_t port;
} PortKey;

struct PortTable {
        Map *holds; /* PortKey -> first PortHold; never an empty chain */
};

static PortKey key_of(const SpecPort *p) {
        return (PortKey) { .protocol = p->protocol,
                           .family = (uint8_t) p->host.family,
                           .port = p->host_port };
}

PortTable *port_table_new(void) {
        PortTable *t = new0(PortTable, 1);

        if (t && !(t->holds = map_new())) {
                free(t);
                return NULL;
        }
        return t;
}

PortTable *port_table_free(PortTable *t) {
        PortHold *h;

        if (!t)
                return NULL;
        MAP_FOREACH (h, t->holds)
                while (h) {
                        PortHold *next = h->next;
                        free(h);
                        h = next;
                }
        map_free(t->holds);
        free(t);
        return NULL;
}

static int in_use(const PortHold *h, const SpecPort *p, Error *e) {
        const Attachment *a = h->attachment;
        bool any = in_addr_is_unspecified(&h->host);

        return error_setf(
                        e, ERROR_PORT_IN_USE,
                        "host port %u/%s of %s is held by sandbox %s (interface %s, network %s%s%s); "
                        "choose another port or address, or delete that sandbox",
                        p->host_port, protocol_name(p->protocol), IN_ADDR_STR(&p->host),
                        a->sandbox->id, a->spec.ifname, a->network->name,
                        any ? ", on every address" : ", on ", any ? "" : IN_ADDR_STR(&h->host));
}

int port_table_take(PortTable *t, const Attachment *a, const SpecPort *p, Error *e) {
        PortKey key = key_of(p);
        PortHold *first = map_get(t->holds, &key, sizeof(key));

        for (const PortHold *h = first; h; h = h->next)
                if (in_addr_is_unspecified(&h->host) || in_addr_is_unspecified(&p->host) ||
                    in_addr_equal(&h->host, &p->host))
                        return in_use(h, p, e);
        PortHold *h = new0(PortHold, 1);
        if (!h)
                return error_oom(e);
        *h = (PortHold) { .host = p->host, .attachment = a };
        if (first) {
                h->next = first->next;
                first->next = h;
        } else if (map_put(t->holds, &key, sizeof(key), h) < 0) {
                free(h);
                return error_oom(e);
        }
        return 0;
}

void port_table_give_back(PortTable *t, const Attachment *a, const SpecPort *p) {
        PortKey key = key_of(p);
        PortHold *first = map_get(t->holds, &key, sizeof(key));

        for (PortHold **link = &first; *link; link = &(*link)->next) {
                PortHold *h = *link;
                if (h->attachment != a || !in_addr_equal(&h->host, &p->host))
                        continue;
                bool was_first = h == first;
                *link = h->next;
                if (was_first && first)
                        (void) map_replace(t->holds, &key, sizeof(key), first);
                else if (was_first)
                        (void) map_remove(t->holds, &key, sizeof(key));
                free(h);
                return;
        }
}

int ports_check_listeners(const SpecPort *ports, size_t n, Error *e) {
        _cleanup_free_ ListenerQuery *queries = new0(ListenerQuery, n + 1);
        Listener found;

        if (!queries)
                return error_oom(e);
        for (size_t i = 0; i < n; i++)
                queries[i] = (ListenerQuery) { .protocol = ports[i].protocol,
                                               .port = ports[i].host_port,
                                               .host = ports[i].host };
        int r = n > 0 ? listeners_find(queries, n, &found, e) : 0;
        if (r <= 0)
                return r;
        const SpecPort *p = &ports[found.query];
        return error_setf(
                        e, ERROR_PORT_IN_USE,
                        "host port %u/%s of %s is in use on the host by %s, bound to %s; stop that "
                        "program or choose another port or address",
                        p->host_port, protocol_name(p->protocol), IN_ADDR_STR(&p->host), found.who,
                        IN_ADDR_STR(&found.address));
}

/* ---- attachments ------------------------------------------------------------------------------ */

static bool has_port(const AttachmentSpec *s, const SpecPort *p) {
        for (size_t i = 0; i < s->n_ports; i++)
                if (s->ports[i].protocol == p->protocol && s->ports[i].host_port == p->host_port &&
                    s->ports[i].container_port == p->container_port &&
                    in_addr_equal(&s->ports[i].host, &p->host))
                        return true;
        return false;
}

static int take_one(Attachment *a, const NetPort *port, int family, bool missing, Error *e) {
        SpecPort p = { .host = port->host,
                       .protocol = port->protocol,
                       .host_port = port->host_port,
                       .container_port = port->container_port };

        if (port->host.family != AF_UNSPEC && port->host.family != family)
                return 0;
        if (!spec_has_family(&a->spec, family))
                return 0;
        p.host.family = family;
        if (missing && has_port(&a->spec, &p))
                return 0;
        SpecPort *more = reallocarray(a->spec.ports, a->spec.n_ports + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        a->spec.ports = more;
        int r = port_table_take(a->manager->ports, a, &p, e);
        if (r < 0)
                return r;
        more[a->spec.n_ports++] = p;
        return 1;
}

static int take(Attachment *a, const NetPort *port, bool missing, Error *e) {
        int r4 = take_one(a, port, AF_INET, missing, e);
        if (r4 < 0)
                return r4;
        int r6 = take_one(a, port, AF_INET6, missing, e);
        if (r6 < 0 && r4 > 0)
                attachment_give_back_port(a, a->spec.n_ports - 1);
        return r6 < 0 ? r6 : r4 + r6;
}

int attachment_take_ports(Attachment *a, const NetPort *port, Error *e) {
        return take(a, port, false, e);
}

int attachment_take_missing_ports(Attachment *a, const NetPort *port, Error *e) {
        return take(a, port, true, e);
}

size_t attachment_find_ports(const Attachment *a, const NetPort *port, size_t ret[static 2]) {
        size_t n = 0;

        for (size_t i = 0; i < a->spec.n_ports && n < 2; i++) {
                const SpecPort *p = &a->spec.ports[i];
                bool host = port->host.family == AF_UNSPEC ? in_addr_is_unspecified(&p->host)
                                                           : in_addr_equal(&p->host, &port->host);
                if (host && p->protocol == port->protocol && p->host_port == port->host_port)
                        ret[n++] = i;
        }
        return n;
}

void attachment_give_back_port(Attachment *a, size_t index) {
        port_table_give_back(a->manager->ports, a, &a->spec.ports[index]);
        attachment_leave_out_port(a, index);
}

void attachment_leave_out_port(Attachment *a, size_t index) {
        AttachmentSpec *s = &a->spec;

        memmove(&s->ports[index], &s->ports[index + 1],
                (s->n_ports - index - 1) * sizeof(*s->ports));
        s->n_ports--;
}

void attachment_give_back_all_ports(Attachment *a) {
        for (size_t i = 0; i < a->spec.n_ports; i++)
                port_table_give_back(a->manager->ports, a, &a->spec.ports[i]);
        a->spec.n_ports = 0;
}
