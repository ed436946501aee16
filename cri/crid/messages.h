/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The messages of the CRI that netmgr-cri speaks, by protobuf-c. What a runtime sends is checked here:
 * memory, number of sandboxes, their ids. One bad id spoils the list, since a list with a gap would
 * release what is in the gap. */

#include "base/error.h"

#define CRI_LIST    "/runtime.v1.RuntimeService/ListPodSandbox"
#define CRI_VERSION "/runtime.v1.RuntimeService/Version"

typedef struct CriSandbox {
        char *id; /* owned */
        bool ready;
} CriSandbox;

typedef struct CriSandboxes {
        CriSandbox *items; /* owned */
        size_t n;
} CriSandboxes;
void cri_sandboxes_clear(CriSandboxes *list);
#define _cleanup_sandboxes_ _cleanup_(cri_sandboxes_clear)

/* Answer to ListPodSandbox with an empty request: every sandbox in every state. */
int cri_sandboxes_read(const uint8_t *data, size_t size, CriSandboxes *ret, Error *e);
/* Answer to Version with an empty request: "containerd 1.6.20"; owned by caller. */
int cri_version_read(const uint8_t *data, size_t size, char **ret, Error *e);
