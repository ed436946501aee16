/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "cri/cni/failure.h"

#include <stdarg.h>
#include <stdio.h>

void failure_clear(Failure *f) {
        free(f->msg);
        free(f->details);
        *f = (Failure) { 0 };
}

int failure_setf(Failure *f, unsigned code, const char *format, ...) {
        va_list ap;
        int r;

        failure_clear(f);
        f->code = code;
        va_start(ap, format);
        r = vasprintf(&f->msg, format, ap);
        va_end(ap);
        if (r < 0)
                f->msg = NULL;
        return -1;
}

int failure_set_error(Failure *f, const Error *e) {
        return failure_setf(f, error_cni_code(e->kind), "%s", error_message(e));
}
