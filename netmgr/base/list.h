/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Intrusive doubly linked list with a head that points to itself when empty. O(1) everywhere.
 */

#include "base/macro.h"

typedef struct List {
        struct List *prev, *next;
} List;

static inline void list_init(List *l) {
        l->prev = l->next = l;
}
static inline bool list_is_empty(const List *l) {
        return !l->next || l->next == l;
}
/* An entry that was never linked, or was unlinked, is all NULL. */
static inline bool list_is_linked(const List *l) {
        return l->next != NULL;
}
static inline void list_append(List *head, List *entry) {
        entry->prev = head->prev;
        entry->next = head;
        head->prev->next = entry;
        head->prev = entry;
}
static inline void list_prepend(List *head, List *entry) {
        list_append(head->next, entry);
}
static inline void list_unlink(List *entry) {
        if (!entry->next)
                return;
        entry->prev->next = entry->next;
        entry->next->prev = entry->prev;
        entry->prev = entry->next = NULL;
}

#define list_entry(p, type, member) ((type *) ((char *) (p) -offsetof(type, member)))
#define list_first(head, type, member)                                                             \
        (list_is_empty(head) ? NULL : list_entry((head)->next, type, member))
/* Safe against unlinking of the current entry. */
#define LIST_FOREACH(var, head, type, member)                                                      \
        for (List *_p = (head)->next, *_q;                                                         \
             _p && _p != (head) && (_q = _p->next, (var) = list_entry(_p, type, member), 1);       \
             _p = _q)
