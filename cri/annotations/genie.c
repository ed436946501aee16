/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CNI-Genie's `cni: "weave,canal@eth4"`: the names of networks, each with the name of its interface if
 * somebody cares. An empty one leaves the choice to the node.
 */

#include "cri/annotations/selection-internal.h"

int selections_read_genie(const char *key, const char *text, NetSelections *s, Error *e) {
        size_t before = s->n_items;
        NetSelection *one;
        int r;

        if (selection_text_is_blank(text)) {
                r = selections_add(s, key, 0, &one, e);
                if (r < 0)
                        return r;
                one->name = strdup("");
                return one->name ? 0 : error_oom(e);
        }
        r = selections_read_short(key, text, s, e);
        for (size_t i = before; i < s->n_items && r >= 0; i++)
                if (s->items[i].namespace)
                        r = error_setf(e, ERROR_INVALID_ARGUMENT,
                                       "\"%s\": found namespace \"%s\"; here networks have a name only",
                                       s->items[i].where, s->items[i].namespace);
        return r;
}
