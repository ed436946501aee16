/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the ledger says of an address after its release: owners, quarantine, the end of a boot, the disk. */

#include "store-test.h"

#include <sys/syscall.h>

static AddressRow read_only_address(Store *s) {
        Addresses found = { 0 };

        assert_ok(store_load_addresses(s, keep_address, &found, &e));
        assert_int_equal(found.n, 1);
        return found.rows[0];
}

static void test_what_becomes_of_an_address(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        AddressRow row = address_row(1, "host", "10.97.0.2/32"), found;

        put_base(s);
        row.owner = TEXT("claim/default/disk");
        row.sticky_sec = UINT32_MAX;
        assert_ok(store_put_address(s, &row, &e));
        assert_int_equal(ask(*state, "SELECT sticky_sec = -1 AND rest_sec IS NULL FROM address"),
                         1);
        found = read_only_address(s);
        assert_string_equal(found.owner, "claim/default/disk");
        assert_int_equal(found.sticky_sec, UINT32_MAX);
        assert_false(found.has_rest);
        address_row_clear(&found);

        row.sticky_sec = 3600;
        row.has_rest = true;
        row.rest_sec = 0;
        assert_ok(store_put_address(s, &row, &e));
        found = read_only_address(s);
        assert_true(found.has_rest && found.rest_sec == 0 && found.sticky_sec == 3600);
        address_row_clear(&found);

        assert_ok(store_rest_address(s, "host", &row.address.address, 77, &e));
        assert_int_equal(ask(*state,
                             "SELECT attachment IS NULL AND released_usec = 77 FROM address"),
                         1);
        assert_ok(store_disown_addresses(s, "claim/default", &e)); /* somebody else */
        assert_int_equal(ask(*state, "SELECT sticky_sec FROM address"), 3600);
        assert_ok(store_disown_addresses(s, "claim/default/disk", &e));
        assert_int_equal(
                        ask(*state,
                            "SELECT owner IS NULL AND sticky_sec = 0 AND rest_sec = 0 FROM address"),
                        1);
}

static void put_promised(Store *s, uint64_t attachment, const char *address, uint32_t sticky_sec,
                         int rest_sec) {
        AddressRow row = address_row(attachment, "host", address);

        row.owner = sticky_sec ? TEXT("ns/a") : NULL;
        row.sticky_sec = sticky_sec;
        row.has_rest = rest_sec >= 0;
        row.rest_sec = row.has_rest ? (uint32_t) rest_sec : 0;
        row.released_usec = attachment ? 0 : 5;
        assert_ok(store_put_address(s, &row, &e));
}

/* A reboot ends every attachment; what was promised of addresses begins to count then. */
static void test_promises_outlive_a_boot(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        size_t sandboxes, attachments;

        put_base(s);
        put_promised(s, 1, "10.97.0.2/32", 0, -1);
        put_promised(s, 1, "10.97.0.3/32", 60, -1);
        put_promised(s, 1, "10.97.0.4/32", UINT32_MAX, -1);
        put_promised(s, 1, "10.97.0.5/32", 0, 60);
        put_promised(s, 0, "10.97.0.6/32", 0, -1);
        put_promised(s, 0, "10.97.0.7/32", 60, -1);
        assert_ok(store_begin(s, &e));
        assert_ok(store_end_other_boots(s, "next", 900, &sandboxes, &attachments, &e));
        assert_ok(store_commit(s, &e));
        assert_int_equal(sandboxes, 1);
        assert_int_equal(attachments, 1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM address WHERE attachment IS NULL"
                                     " AND released_usec = 900"
                                     " AND address IN ('10.97.0.3', '10.97.0.4', '10.97.0.5')"),
                         3);
        assert_int_equal(ask(*state, "SELECT count(*) FROM address WHERE released_usec = 5"
                                     " AND address = '10.97.0.7'"),
                         1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM address"), 4);
}

/* How often anybody waited for the disk: SQLite calls ours. */
static unsigned n_syncs;

int fdatasync(int fd) {
        n_syncs++;
        return (int) syscall(SYS_fdatasync, fd);
}

static unsigned syncs_of(Store *s, bool durable, const char *address) {
        AddressRow row = address_row(0, "host", address);
        unsigned before;

        row.released_usec = 5;
        assert_ok(store_set_durable(s, durable, &e));
        assert_ok(store_begin(s, &e));
        assert_ok(store_put_address(s, &row, &e));
        before = n_syncs;
        assert_ok(store_commit(s, &e));
        return n_syncs - before;
}

static void test_durable_waits_for_the_disk(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);

        (void) syncs_of(s, false, "10.97.0.2/32"); /* the head of a new log */
        assert_int_equal(syncs_of(s, false, "10.97.0.3/32"), 0);
        assert_int_equal(syncs_of(s, true, "10.97.0.4/32"), 1);
        assert_int_equal(syncs_of(s, true, "10.97.0.5/32"), 1);
        assert_int_equal(syncs_of(s, false, "10.97.0.6/32"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_what_becomes_of_an_address, make_dir,
                                                remove_dir),
                cmocka_unit_test_setup_teardown(test_promises_outlive_a_boot, make_dir, remove_dir),
                cmocka_unit_test_setup_teardown(test_durable_waits_for_the_disk, make_dir,
                                                remove_dir),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
