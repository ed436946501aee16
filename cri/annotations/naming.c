/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the interfaces of a pod are called, and from which namespaces its networks may come. Only words are
 * looked at: whether an interface of that name is in the sandbox already is the kernel's answer.
 */

#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/annotations/selection-internal.h"

static int conflict(const NetSelection *s, bool asked, const char *other, Error *e) {
        if (asked)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.interface\": \"%s\" is what the interface of %s is called; "
                                  "wanted is another name",
                                  s->where, s->ifname, other);
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "\"%s\": by its position the interface would be called \"%s\", as that of %s; "
                        "give one of them another name",
                        s->where, s->ifname, other);
}

/* The interface that the runtime asked for is the default network's, and has the runtime's name. */
static int check_default_name(const NetSelections *s, const char *default_ifname, Error *e) {
        const NetSelection *first = &s->items[0];

        if (streq(first->ifname, default_ifname))
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "\"%s.interface\": \"%s\" cannot be the name of the default network's interface, "
                        "which the runtime calls \"%s\"; leave it out",
                        first->where, first->ifname, default_ifname);
}

/* Multus: by the position among all networks, of which the default one is 0. */
static int name_by_position(NetSelections *s, const char *default_ifname, bool *asked, Error *e) {
        for (size_t i = 0; i < s->n_items; i++) {
                NetSelection *one = &s->items[i];
                bool is_default = i == 0 && s->replaces_default;

                asked[i] = one->ifname[0] != 0;
                if (asked[i])
                        continue;
                if (is_default)
                        snprintf(one->ifname, sizeof(one->ifname), "%s", default_ifname);
                else
                        snprintf(one->ifname, sizeof(one->ifname), "%s%zu", s->prefix,
                                 i + !s->replaces_default);
        }
        return s->replaces_default && s->n_items > 0 ? check_default_name(s, default_ifname, e) : 0;
}

static bool is_taken(const NetSelections *s, const char *ifname) {
        for (size_t i = 0; i < s->n_items; i++)
                if (streq(s->items[i].ifname, ifname))
                        return true;
        return false;
}

/* Genie: who has no name gets the next one that nobody has; the one that ends with the runtime's is the
 * default network, wherever it stands in the list. */
static int name_in_turn(NetSelections *s, const char *default_ifname, bool *asked, Error *e) {
        char name[sizeof(s->items[0].ifname)];
        unsigned next = 0;

        for (size_t i = 0; i < s->n_items; i++)
                asked[i] = s->items[i].ifname[0] != 0;
        snprintf(name, sizeof(name), "%s", default_ifname);
        for (size_t i = 0; i < s->n_items; i++) {
                if (asked[i])
                        continue;
                while (is_taken(s, name))
                        snprintf(name, sizeof(name), "%s%u", s->prefix, next++);
                snprintf(s->items[i].ifname, sizeof(s->items[i].ifname), "%s", name);
        }

        for (size_t i = 0; i < s->n_items; i++) {
                NetSelection found = s->items[i];
                bool was_asked = asked[i];

                if (!streq(found.ifname, default_ifname))
                        continue;
                memmove(&s->items[1], &s->items[0], i * sizeof(s->items[0]));
                memmove(&asked[1], &asked[0], i * sizeof(asked[0]));
                s->items[0] = found;
                asked[0] = was_asked;
                return 0;
        }
        return s->n_items > 0 ? check_default_name(s, default_ifname, e) : 0;
}

int net_selections_name(NetSelections *s, const char *default_ifname, Error *e) {
        bool asked[SELECTIONS_MAX] = { false };
        int r;

        if (s->replaces_default && streq(s->prefix, "eth"))
                r = name_in_turn(s, default_ifname, asked, e);
        else
                r = name_by_position(s, default_ifname, asked, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_items; i++) {
                const NetSelection *one = &s->items[i];

                if (streq(one->ifname, default_ifname) && !(i == 0 && s->replaces_default))
                        return conflict(one, asked[i], "the default network", e);
                for (size_t j = 0; j < i; j++)
                        if (streq(one->ifname, s->items[j].ifname))
                                return conflict(one, asked[i], s->items[j].where, e);
        }
        return 0;
}

int net_selection_check_namespace(const NetSelection *s, const char *pod_namespace, bool isolation,
                                  char **shared, Error *e) {
        if (!isolation || !s->namespace || s->node_wide || streq(s->namespace, pod_namespace))
                return 0;
        for (char **one = shared; one && *one; one++)
                if (streq(*one, s->namespace))
                        return 0;
        return error_setf(
                        e, ERROR_ACCESS_DENIED,
                        "\"%s\": network \"%s/%s\" is not for pods of namespace \"%s\": they may use "
                        "networks of their own namespace, of those in [Networks] SharedNamespaces=, and of "
                        "the node",
                        s->where, s->namespace, s->name, pod_namespace);
}
