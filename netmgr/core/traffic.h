/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How much the sandboxes of each network send and receive: bytes per second, smoothed over some samples of their host
 * ends' counters. Samples are taken only while some group of networks is chosen from by them.
 *
 * Nothing survives a restart: the first sample afterwards only tells where the counters stand.
 */

#include "core/manager.h"

/* From now on, and for some time; groups that are networks of the node keep it going by themselves. */
void traffic_want(Manager *m);
/* Once the threads are there. */
void traffic_start(Manager *m);
Traffic *traffic_free(Traffic *t);
