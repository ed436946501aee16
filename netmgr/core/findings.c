/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See findings.h. */

#include "core/findings.h"

#include "base/json.h"
#include "base/parse.h"

static const struct {
        const char *name, *remedy;
} kinds[_FINDING_KIND_MAX] = {
        [FINDING_NETWORK] = { "network", "set up the network again" },
        [FINDING_UNFINISHED] = { "unfinished", "release it" },
        [FINDING_MISSING] = { "missing", "make the interface again" },
        [FINDING_DEAD] = { "dead", "release it" },
        [FINDING_HOST] = { "host", "set what is missing" },
        [FINDING_SANDBOX] = { "sandbox", "set what is missing" },
        [FINDING_STRAY] = { "stray", "delete it" },
        [FINDING_TABLES] = { "tables", "build the rule tables anew" },
};

const char *finding_kind_to_string(FindingKind kind) {
        return kinds[kind].name;
}

const char *finding_kind_remedy(FindingKind kind) {
        return kinds[kind].remedy;
}

void findings_clear(Findings *f) {
        for (size_t i = 0; i < f->n; i++) {
                Finding *x = &f->items[i];
                free(x->network);
                free(x->sandbox);
                free(x->ifname);
                free(x->object);
                free(x->error);
                differences_clear(&x->differences);
        }
        free(f->items);
        free(f->tables_unseen);
        free(f->sandbox_unseen);
        *f = (Findings) { 0 };
}

static char *copy(const char *s, int *error) {
        char *c = s ? strdup(s) : NULL;

        if (s && !c)
                *error = -ENOMEM;
        return c;
}

Finding *findings_add(Findings *f, FindingKind kind, const char *object, const char *network,
                      const char *sandbox, const char *ifname, Differences *differences) {
        if (differences->error < 0 || GREEDY_REALLOC(f->items, f->allocated, f->n + 1) < 0) {
                differences_clear(differences);
                f->error = -ENOMEM;
                return NULL;
        }
        f->items[f->n] = (Finding) {
                .kind = kind,
                .object = copy(object, &f->error),
                .network = copy(network, &f->error),
                .sandbox = copy(sandbox, &f->error),
                .ifname = copy(ifname, &f->error),
                .differences = *differences,
        };
        *differences = (Differences) { 0 };
        return &f->items[f->n++];
}

static int add_optional(json_object *o, const char *key, const char *value) {
        return value ? json_add_string(o, key, value) : 0;
}

static json_object *finding_to_json(const Finding *f, bool dry_run) {
        _cleanup_json_ json_object *o = json_object_new_object(), *list = json_object_new_array();

        for (size_t i = 0; list && i < f->differences.n; i++)
                if (json_append(list, json_object_new_string(f->differences.items[i].sentence)) < 0)
                        return NULL;
        if (!o || !list || json_add_string(o, "Kind", finding_kind_to_string(f->kind)) < 0 ||
            add_optional(o, "Sandbox", f->sandbox) < 0 ||
            add_optional(o, "Interface", f->ifname) < 0 ||
            add_optional(o, "Network", f->network) < 0 ||
            add_optional(o, "Object", f->object) < 0 ||
            json_add(o, "Differences", TAKE_PTR(list)) < 0 ||
            json_add_string(o, "Remedy", finding_kind_remedy(f->kind)) < 0 ||
            (!dry_run && json_add(o, "Repaired", json_object_new_boolean(f->repaired)) < 0) ||
            add_optional(o, "Error", f->error) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static int add_unseen(const Findings *f, json_object *o) {
        _cleanup_json_ json_object *list = json_object_new_array();
        _cleanup_free_ char *text = NULL;

        if (!list)
                return -ENOMEM;
        if (f->n_sandboxes_unseen > 0) {
                text = strf("%zu interfaces from within their sandboxes: %s", f->n_sandboxes_unseen,
                            strempty(f->sandbox_unseen));
                if (!text || json_append(list, json_object_new_string(text)) < 0)
                        return -ENOMEM;
        }
        if (f->tables_unseen && json_append(list, json_object_new_string(f->tables_unseen)) < 0)
                return -ENOMEM;
        return json_object_array_length(list) > 0 ? json_add(o, "NotLookedAt", TAKE_PTR(list)) : 0;
}

int findings_to_json(const Findings *f, bool dry_run, char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object(), *list = json_object_new_array();

        if (!o || !list)
                return -ENOMEM;
        for (size_t i = 0; i < f->n; i++)
                if (!f->items[i].moot &&
                    json_append(list, finding_to_json(&f->items[i], dry_run)) < 0)
                        return -ENOMEM;
        if (json_add(o, "differences", TAKE_PTR(list)) < 0 || add_unseen(f, o) < 0 ||
            json_add(o, "DryRun", json_object_new_boolean(dry_run)) < 0)
                return -ENOMEM;
        *ret = json_to_text(o);
        return *ret ? 0 : -ENOMEM;
}
