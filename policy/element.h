/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * From networks and attachments to set elements: pure functions. An Element is a value without
 * padding that matters, so that two lists can be compared byte by byte: what is only in the old one
 * is deleted, what is only in the new one is added.
 */

#include "policy/policy.h"
#include "policy/sets.h"

typedef struct Element {
        uint32_t set;   /* PolicySet */
        uint32_t group; /* of the conditions, for maps of host ports; else 0 */
        uint8_t key[SET_KEY_MAX];
        uint8_t data[SET_DATA_MAX];
        uint64_t rate;  /* bytes per second, for sets with limits */
        uint32_t burst; /* bytes */
        uint32_t zero;
} Element;

typedef struct ElementList {
        Element *items; /* owned */
        size_t n, allocated;
        int error; /* -ENOMEM once an append failed: checked at the end */
} ElementList;
void element_list_clear(ElementList *l);

/* Sorted, without duplicates. */
int elements_of_attachment(const PolicyAttachment *a, ElementList *ret);
/* Of all networks together, the sets of ranges left out: several networks may share a bridge. */
int elements_of_networks(PolicyNetwork *const *networks, size_t n, ElementList *ret);

/* Appends what is only in `from` to *gone and what is only in `to` to *added. Both are sorted. */
int elements_diff(const ElementList *from, const ElementList *to, ElementList *gone,
                  ElementList *added);
int element_list_append(ElementList *l, const Element *e);
void element_list_sort(ElementList *l);
