/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One file of the spool: any bytes. What is accepted must be what a plugin could have written: it says
 * the same again when it is written and read once more, and its name is one of ours.
 */

#include "base/limits.h"
#include "cri/spool-entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_spool_entry_ SpoolEntry entry = { 0 }, again = { 0 };
        _cleanup_free_ char *text = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        char name[SPOOL_NAME_SIZE];
        uint64_t key = 0;

        if (spool_entry_parse((const char *) data, size, &entry, &e) < 0) {
                if (!error_is_set(&e) || entry.verb)
                        abort();
                return 0;
        }
        if (spool_entry_format(&entry, &text) < 0)
                return 0; /* larger than it was, by other escapes */
        if (spool_entry_parse(text, strlen(text), &again, &e) < 0)
                abort();
        if (!spool_entry_covers(&again, &entry) || !spool_entry_covers(&entry, &again) ||
            entry.netns.ino != again.netns.ino || entry.host_netns.ino != again.host_netns.ino ||
            entry.boottime_usec != again.boottime_usec)
                abort();
        spool_entry_name(&entry, 0, name);
        if (!spool_name_is_entry(name, &key) || key != spool_entry_key(&again))
                abort();
        return 0;
}
