/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One spooled request: a DEL that came while netmgrd did not answer. The plugin writes it, netmgrd
 * reads it; this is the one place that knows its format.
 *
 * An entry is a file of its own below NETMGR_SPOOL_DIR, one JSON object, complete from the moment
 * that it has its name, and never changed. Owner root, mode 0640, the directory's group. It survives
 * crashes of everybody and of the machine; netmgrd removes it once its release is in the ledger.
 *
 *   {"Version": 1, "Verb": "DEL",
 *    "TimeUsec": …,                 CLOCK_REALTIME, for people
 *    "BootId": "…", "BootTimeUsec": …,  when the plugin was called, by a clock that nobody sets
 *    "Type", "ContainerId", "IfName", "NetnsPath", "Args", "Path", "Config",  as in Runtime.Del
 *    "Netns": {"Dev", "Ino", "Cookie"},     what NetnsPath led to; absent when it led nowhere
 *    "HostNetns": {"Dev", "Ino"}}           the namespace that the plugin lived in
 *
 * Its name is KEY-BOOTTIME.del, both in 16 hex digits; KEY is a hash of container id, interface and
 * boot id, so that who comes again finds what it replaces.
 */

#include "base/error.h"

#define SPOOL_DIR_DEFAULT "/var/lib/netmgr-spool"
#define SPOOL_VERSION     1U

#define SPOOL_SUFFIX     ".del"
#define SPOOL_BAD_SUFFIX ".bad"
/* Written where there is no O_TMPFILE; locked (flock) while its writer lives. */
#define SPOOL_TEMPORARY_PREFIX ".tmp-"
#define SPOOL_NAME_SIZE        (16 + 1 + 16 + sizeof(SPOOL_SUFFIX))

/* What is known of a namespace; 0: not known. */
typedef struct SpoolNetns {
        uint64_t dev, ino, cookie;
} SpoolNetns;

/* Strings are never NULL after spool_entry_parse(). */
typedef struct SpoolEntry {
        uint32_t version;
        char *verb;
        uint64_t time_usec, boottime_usec;
        char *boot_id;
        char *type, *container_id, *ifname, *netns_path, *args, *path, *config;
        SpoolNetns netns, host_netns;
} SpoolEntry;

void spool_entry_clear(SpoolEntry *entry);
#define _cleanup_spool_entry_ _cleanup_(spool_entry_clear)

/* Reads and checks. The text may be anything. Refused with a sentence: whatever a plugin of this
 * version would not have written (ERROR_NOT_SUPPORTED: it is of another version). */
int spool_entry_parse(const char *text, size_t size, SpoolEntry *ret, Error *e);
/* Owned by caller; NULL strings are left out. -ENOMEM, or -E2BIG when nobody would read it. */
int spool_entry_format(const SpoolEntry *entry, char **ret);

/* attempt: 0, or how often the name was taken already. */
void spool_entry_name(const SpoolEntry *entry, unsigned attempt, char buf[static SPOOL_NAME_SIZE]);
/* True for names as spool_entry_name() makes them; *ret_key (may be NULL) is what entries for one
 * attachment have in common. */
bool spool_name_is_entry(const char *name, uint64_t *ret_key);
uint64_t spool_entry_key(const SpoolEntry *entry);

/* True when `later` asks for all that `earlier` asks for, so that the latter may go. */
bool spool_entry_covers(const SpoolEntry *later, const SpoolEntry *earlier);

/*
 * Reads one file of the spool, which may be anything. -ENOENT without a sentence: it is gone. Refused
 * are links, devices, files of others than root and us, and what spool_entry_parse() refuses.
 */
int spool_file_read(int dirfd, const char *name, SpoolEntry *ret, Error *e);
