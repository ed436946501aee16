/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * host-local's directory: as the plugin tells it to netmgrd, and the content of one of its files. What is
 * accepted says the same when it is written and read once more; what comes out of a file is always fit for it.
 * The same bytes are what a ticket is behind its id: so is a ticket.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/host-local.h"
#include "cri/ticket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const HostLocalList *l) {
        _cleanup_host_local_list_ HostLocalList again = { 0 };
        _cleanup_free_ char *text = NULL;
        _cleanup_error_ Error e = ERROR_NULL;

        if (host_local_list_format(l, &text) < 0)
                abort();
        if (strlen(text) > CONFIG_SIZE_MAX)
                return; /* larger than it was, by other escapes */
        if (host_local_list_parse(text, strlen(text), &again, &e) < 0 ||
            again.n_entries != l->n_entries || again.n_last != l->n_last)
                abort();
        for (size_t i = 0; i < l->n_entries; i++)
                if (!in_addr_equal(&l->entries[i].address, &again.entries[i].address) ||
                    !streq(l->entries[i].id, again.entries[i].id) ||
                    !streq(l->entries[i].ifname, again.entries[i].ifname))
                        abort();
}

static void check_ticket(const char *data, size_t size) {
        static const char before[] = "{\"" TICKET_KEY "\":\"id\",";
        _cleanup_free_ char *text = strf("%s%.*s", before, (int) size, data), *again = NULL,
                            *same = NULL;
        _cleanup_(ticket_clear) Ticket t = { 0 }, read = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        if (!text)
                abort();
        int r = ticket_parse(text, &t, &e);
        if (r == 0 || (r < 0 && (!error_is_set(&e) || t.id)))
                abort();
        if (r < 0 || ticket_format(&t, &again) < 0)
                return;
        if (ticket_parse(again, &read, &e) != 1 || ticket_format(&read, &same) < 0 ||
            !streq(again, same))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_host_local_list_ HostLocalList l = { 0 }, file = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        if (host_local_list_parse((const char *) data, size, &l, &e) >= 0)
                check_list(&l);
        else if (!error_is_set(&e) || l.n_entries > 0)
                abort();
        if (host_local_list_add(&file, "10.97.0.2", (const char *) data, size) < 0 ||
            host_local_list_add(&file, "last_reserved_ip.0", (const char *) data, size) < 0)
                abort();
        check_list(&file);
        check_ticket((const char *) data, size);
        return 0;
}
