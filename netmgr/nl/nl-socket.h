/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every kernel's socket begins with. */

#include "nl/nl.h"

struct NlSocket {
        Kernel *kernel; /* borrowed */
};

/* False for what no kernel shall see: a placeholder that nobody resolved, a delete of group 0 (where
 * every link of the machine is), an op without type. */
bool nl_op_is_valid(const NlOp *op);
