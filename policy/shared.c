/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See shared.h. */

#include "policy/shared.h"

#include <stdlib.h>

#include "base/map.h"

/* One more or one less who wants the element; several of the same element become one with their sum. */
typedef struct Delta {
        Element element;
        const PolicyAttachment *who;
        int64_t n;
} Delta;

struct SharedElements {
        Map *holders;  /* Element -> number of holders (as a pointer), never 0 */
        Delta *deltas; /* owned: of the transaction that is being prepared */
        size_t n, allocated;
        bool from_nothing;
};

static bool is_shared(const Element *e) {
        switch (e->set) {
        case SET_BRIDGES:
        case SET_CLOSED4:
        case SET_CLOSED6:
        case SET_INNER4:
        case SET_INNER6:
        case SET_INSIDE4:
        case SET_INSIDE6:
        case SET_NOMETA4:
        case SET_NOMETA6:
        case SET_MASQ4:
        case SET_MASQ6:
        case SET_HAIRPIN:
        case SET_SELF4:
        case SET_SELF6:
        case SET_LOCALNET:
        case SET_MASQPORT4:
        case SET_MASQPORT6:
                return true;
        default:
                return false;
        }
}

static int64_t count_of(const SharedElements *s, const Element *e) {
        return s->from_nothing ? 0 : (intptr_t) map_get(s->holders, e, sizeof(*e));
}

static void *as_value(int64_t n) {
        return (void *) (intptr_t) n;
}

static int compare(const void *a, const void *b) {
        return memcmp(&((const Delta *) a)->element, &((const Delta *) b)->element,
                      sizeof(Element));
}

/* Moves the shared ones of the list to the deltas. */
static int take(SharedElements *s, ChangeList *l, int sign) {
        size_t kept = 0;
        int r = 0;

        for (size_t i = 0; i < l->n; i++) {
                const Change *c = &l->items[i];

                if (!is_shared(&c->element) || r < 0)
                        l->items[kept++] = *c;
                else if (GREEDY_REALLOC(s->deltas, s->allocated, s->n + 1) < 0)
                        r = -ENOMEM;
                else
                        s->deltas[s->n++] = (Delta) { .element = c->element,
                                                      .who = sign > 0 ? c->who : NULL,
                                                      .n = sign };
        }
        l->n = kept;
        return r;
}

static void sum_up(SharedElements *s) {
        size_t n = 0;

        if (s->n > 1)
                qsort(s->deltas, s->n, sizeof(Delta), compare);
        for (size_t i = 0; i < s->n; i++) {
                if (n == 0 || compare(&s->deltas[n - 1], &s->deltas[i]) != 0) {
                        s->deltas[n++] = s->deltas[i];
                        continue;
                }
                s->deltas[n - 1].n += s->deltas[i].n;
                if (!s->deltas[n - 1].who)
                        s->deltas[n - 1].who = s->deltas[i].who;
        }
        s->n = n;
}

static int append(ChangeList *l, const Delta *d) {
        if (GREEDY_REALLOC(l->items, l->allocated, l->n + 1) < 0)
                return -ENOMEM;
        l->items[l->n++] = (Change) { .element = d->element, .who = d->who };
        return 0;
}

int shared_elements_prepare(SharedElements *s, bool from_nothing, ChangeList *gone,
                            ChangeList *added) {
        s->n = 0;
        s->from_nothing = from_nothing;
        int r = take(s, gone, -1);
        if (r >= 0)
                r = take(s, added, 1);
        if (r < 0)
                return r;
        sum_up(s);
        for (size_t i = 0; i < s->n && r >= 0; i++) {
                int64_t before = count_of(s, &s->deltas[i].element),
                        after = before + s->deltas[i].n;

                if (before <= 0 && after > 0)
                        r = append(added, &s->deltas[i]);
                else if (before > 0 && after <= 0)
                        r = append(gone, &s->deltas[i]);
        }
        return r;
}

static int count(SharedElements *s, const Delta *d) {
        int64_t before = (intptr_t) map_get(s->holders, &d->element, sizeof(d->element)),
                after = before + d->n;

        if (before > 0 && after > 0)
                (void) map_replace(s->holders, &d->element, sizeof(d->element), as_value(after));
        else if (before > 0)
                (void) map_remove(s->holders, &d->element, sizeof(d->element));
        else if (after > 0)
                return map_put(s->holders, &d->element, sizeof(d->element), as_value(after));
        return 0;
}

int shared_elements_commit(SharedElements *s) {
        int r = 0;

        if (s->from_nothing) {
                Map *fresh = map_new();
                if (!fresh)
                        return -ENOMEM;
                map_free(s->holders);
                s->holders = fresh;
        }
        for (size_t i = 0; i < s->n; i++)
                if (count(s, &s->deltas[i]) < 0)
                        r = -ENOMEM;
        s->n = 0;
        s->from_nothing = false;
        return r;
}

int shared_elements_new(SharedElements **ret) {
        SharedElements *s = new0(SharedElements, 1);

        if (!s || !(s->holders = map_new())) {
                free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

SharedElements *shared_elements_free(SharedElements *s) {
        if (!s)
                return NULL;
        map_free(s->holders);
        free(s->deltas);
        free(s);
        return NULL;
}
