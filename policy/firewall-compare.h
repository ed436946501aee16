/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The rule tables as the kernel has them against what they should be: every set's elements with their
 * limits, and how many rules each table has. By a socket of its own, so that thousands of elements on
 * their way to us are nobody else's answers.
 */

#include "policy/element.h"

/* Called for each difference, with a sentence that ends with the call. */
typedef void (*CompareFound)(const char *sentence, void *userdata);

typedef struct CompareExpect {
        const ElementList *elements; /* sorted; sets of ranges left out */
        bool table[_TABLE_MAX];      /* wanted */
        unsigned n_rules[_TABLE_MAX];
} CompareExpect;

int firewall_compare_tables(const CompareExpect *expect, CompareFound found, void *userdata,
                            Error *e);
