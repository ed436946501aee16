/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What every kernel's socket begins with. */

#include "nl/nl.h"

struct NlSocket {
        Kernel *kernel; /* borrowed */
};
