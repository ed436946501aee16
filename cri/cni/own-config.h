/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The few keys of our own configuration that decide what netmgrd may ask us to do. */

#include "base/error.h"

typedef struct OwnConfig {
        char *name, *type, *ipam_type, *data_dir, *resolv_conf; /* owned; NULL: absent */
} OwnConfig;

void own_config_clear(OwnConfig *c);
#define _cleanup_own_config_ _cleanup_(own_config_clear)

/* program: the name that we were executed as; an IPAM plugin's is its type. What is malformed is absent. */
void own_config_read(const char *program, const char *config, OwnConfig *ret);
