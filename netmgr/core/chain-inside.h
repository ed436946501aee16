/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The plugins of a chain that change the interface inside of the sandbox: tuning, sbr, vrf. What they make
 * of the specification is in adjust.h; here are the steps of their ADD.
 */

#include "core/op-chain.h"

extern const ChainPlugin chain_tuning, chain_sbr, chain_vrf;

/* What a look has found, for the steps behind it. Accepts NULL, returns NULL. */
struct ChainInside *chain_inside_free(struct ChainInside *i);
