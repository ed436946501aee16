/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Clones of the plain values; each is one block per array. */

#include "policy/policy.h"

static int copy_array(const void *from, size_t n, size_t size, void *ret) {
        void *copy = NULL;

        if (n > 0) {
                copy = reallocarray(NULL, n, size);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, from, n * size);
        }
        memcpy(ret, &copy, sizeof(copy));
        return 0;
}

static int copy_string(const char *from, const char **ret) {
        *ret = strdup(strempty(from));
        return *ret ? 0 : -ENOMEM;
}

PolicyAttachment *policy_attachment_free(PolicyAttachment *a) {
        if (!a)
                return NULL;
        free((char *) a->network);
        free((char *) a->sandbox);
        free((char *) a->ifname);
        free(a->addresses);
        free(a->ports);
        free(a);
        return NULL;
}

PolicyAttachment *policy_attachment_clone(const PolicyAttachment *a) {
        _cleanup_(policy_attachment_freep) PolicyAttachment *c = new0(PolicyAttachment, 1);
        if (!c)
                return NULL;

        *c = *a;
        c->network = c->sandbox = c->ifname = NULL;
        c->addresses = NULL;
        c->ports = NULL;
        if (copy_string(a->network, &c->network) < 0 || copy_string(a->sandbox, &c->sandbox) < 0 ||
            copy_string(a->ifname, &c->ifname) < 0 ||
            copy_array(a->addresses, a->n_addresses, sizeof(*a->addresses), &c->addresses) < 0 ||
            copy_array(a->ports, a->n_ports, sizeof(*a->ports), &c->ports) < 0)
                return NULL;
        return TAKE_PTR(c);
}

PolicyNetwork *policy_network_free(PolicyNetwork *n) {
        if (!n)
                return NULL;
        free((char *) n->name);
        free(n->allow);
        free(n->subnets);
        free(n->excludes);
        free(n->conditions[0]);
        free(n->conditions[1]);
        free(n);
        return NULL;
}

PolicyNetwork *policy_network_clone(const PolicyNetwork *n) {
        _cleanup_(policy_network_freep) PolicyNetwork *c = new0(PolicyNetwork, 1);
        if (!c)
                return NULL;

        *c = *n;
        c->name = NULL;
        c->allow = NULL;
        c->subnets = c->excludes = NULL;
        c->conditions[0] = c->conditions[1] = NULL;
        if (copy_string(n->name, &c->name) < 0 ||
            copy_array(n->allow, n->n_allow, sizeof(*n->allow), &c->allow) < 0 ||
            copy_array(n->subnets, n->n_subnets, sizeof(*n->subnets), &c->subnets) < 0 ||
            copy_array(n->excludes, n->n_excludes, sizeof(*n->excludes), &c->excludes) < 0)
                return NULL;
        for (int f = 0; f < 2; f++)
                if (copy_array(n->conditions[f], n->n_conditions[f], sizeof(*n->conditions[f]),
                               &c->conditions[f]) < 0)
                        return NULL;
        return TAKE_PTR(c);
}
