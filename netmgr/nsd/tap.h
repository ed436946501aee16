/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "nsd/protocol.h"

/*
 * Makes the TAP interface in the netns that the process is in. Returns its descriptor, with which the
 * interface ends, or a negative errno: -EEXIST when the name is taken, -ENODEV without tun, -EOPNOTSUPP
 * for a context without SELinux.
 */
int tap_open(const NsdRequest *q);
