/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a start finds: the ledger of the last life. Rows of an earlier boot are released at once (their
 * netns, links and rules died with it); attachments that were on their way up or down are taken
 * down; those that are up are compared with the links that exist: where one is missing, or where
 * there is none that could tell, netns-watch.h looks whether the sandbox died while nobody did.
 */

#include "core/manager.h"
#include "store/store.h"

/* Ends the rows of earlier boots and loads the rest. Before the threads start. */
int manager_recover(Manager *m, Store *store, Error *e);
/* Takes down what was half done, drops inline networks that nobody uses. With the threads. */
void manager_finish_recovery(Manager *m);
/* Frees all objects without touching ledger or kernel. */
void manager_forget_objects(Manager *m);
