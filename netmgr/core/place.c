/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What lasts of an interface's place among the others of its sandbox; see place.h. */

#include "core/place.h"

#include <errno.h>
#include <stdio.h>

#include "core/spec.h"

static int copy(const char *from, char **target) {
        char *s = from ? strdup(from) : NULL;

        if (from && !s)
                return -ENOMEM;
        free(*target);
        *target = s;
        return 0;
}

int spec_take_place(AttachmentSpec *s, const RequestPlace *p) {
        if (copy(p->reference, &s->reference) < 0 || copy(p->choice, &s->choice) < 0 ||
            copy(p->called, &s->called) < 0)
                return -ENOMEM;
        snprintf(s->parent, sizeof(s->parent), "%s", strempty(p->parent));
        s->position = p->position;
        s->hot = p->hot;
        return 0;
}
