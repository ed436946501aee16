/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the annotation k8s.v1.cni.cncf.io/network-status says of a sandbox, in the form that its readers parse:
 * that of the client library of the network plumbing working group, byte for byte, which is not always that of
 * the specification. Addresses are without a length, "default" is there only when it is true, "dns" always; default
 * gateways are in "gateway". Each object is indented by four blanks, the array is not.
 *
 * Made anew from the attachments whenever somebody asks. Beside that each sandbox has a file
 * RUNTIME_DIR/status/ID with the text, for those who speak no D-Bus. Files survive a crash and the end of netmgrd;
 * the next start writes them all again and removes what belongs to nobody.
 */

#include "base/json.h"
#include "core/sandbox.h"

typedef struct StatusFiles StatusFiles;

/* Of the attachments that are up, by position, the default one first; loopback is not told. NULL: no memory. */
json_object *sandbox_network_status(const Sandbox *s);
/* The same as the annotation's text; "[]": nothing is up. Owned by caller, NULL: no memory. */
char *sandbox_network_status_text(const Sandbox *s);
/* CNI-Genie's multi-ip-preferences: an address per interface, "" where there are not two. Owned likewise. */
char *sandbox_multi_ip_text(const Sandbox *s);
/* Both at once; what is NULL is not wanted. -ENOMEM. */
int sandbox_status_texts(const Sandbox *s, char **ret_status, char **ret_multi_ip);

/* Any value as encoding/json's MarshalIndent(v, "", "    ") writes it. */
char *json_to_go_text(json_object *v);

/* --- the files ------------------------------------------------------------------------------------- */

/* All of them are to be written; a directory that cannot be made is told by Health. -ENOMEM. */
int status_files_new(Manager *m, StatusFiles **ret);
/* Writes what is still to be written. */
StatusFiles *status_files_free(StatusFiles *f);

/* Something of the sandbox may have changed: file and property follow when the loop has nothing better to do. */
void network_status_changed(Sandbox *s);
/* The sandbox goes. */
void network_status_gone(Sandbox *s);
/* Now: who asked for several networks reads the file when he has the answer. A file that cannot be written is
 * told by Health, and tried again. */
void network_status_flush(Manager *m);
