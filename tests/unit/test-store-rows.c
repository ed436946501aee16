/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rows of the ledger: what goes in comes out, what must not go in is refused. */

#include "store-test.h"

/* ---- round trips --------------------------------------------------------------------------------- */

static void test_network(void **state) {
        NetworkRow in = network_row("net"), plain = network_row("aaa");
        _cleanup_(network_row_clear) NetworkRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        unsigned n = 0;

        plain.bridge = NULL;
        plain.bridge_created = false;
        memset(plain.bridge_mac, 0, sizeof(plain.bridge_mac));
        assert_ok(store_begin(s, &e));
        assert_ok(store_put_network(s, &plain, &e));
        assert_ok(store_put_network(s, &in, &e));
        assert_ok(store_commit(s, &e));
        s = store_close(s);
        s = open_store(*state);

        assert_ok(store_load_networks(s, keep_network, &out,
                                      &e)); /* by name: the last one is "net" */
        assert_string_equal(out.name, "net");
        assert_string_equal(out.kind, in.kind);
        assert_string_equal(out.source, in.source);
        assert_string_equal(out.config, in.config);
        assert_string_equal(out.hash, in.hash);
        assert_string_equal(out.bridge, in.bridge);
        assert_true(out.bridge_created);
        assert_memory_equal(out.bridge_mac, in.bridge_mac, 6);
        assert_int_equal(out.mtu, 1450);
        assert_int_equal(out.group, 0x6e6d0100);

        /* put replaces, and the walk stops when it is told to */
        in.mtu = 9000;
        in.group = UINT32_MAX;
        in.bridge = NULL;
        assert_ok(store_put_network(s, &in, &e));
        assert_ok(store_load_networks(s, keep_network, &out, &e));
        assert_int_equal(out.mtu, 9000);
        assert_true(out.group == UINT32_MAX);
        assert_null(out.bridge);
        assert_int_equal(store_load_networks(s, stop_walk, &n, NULL), -ECANCELED);
        assert_int_equal(n, 1);
        assert_ok(store_delete_network(s, "net", &e));
        assert_ok(store_load_networks(s, keep_network, &out, &e));
        assert_string_equal(out.name, "aaa");
        assert_null(out.bridge);
        assert_false(out.bridge_created);
        assert_memory_equal(out.bridge_mac, plain.bridge_mac, 6);
}

static void test_sandbox(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_(sandbox_row_clear) SandboxRow out = { 0 };
        SandboxRow in = sandbox_row("sb");

        assert_ok(store_put_sandbox(s, &in, &e));
        assert_ok(store_load_sandboxes(s, keep_sandbox, &out, &e));
        assert_string_equal(out.id, "sb");
        assert_string_equal(out.runtime, in.runtime);
        assert_string_equal(out.pod_namespace, in.pod_namespace);
        assert_string_equal(out.pod_name, in.pod_name);
        assert_string_equal(out.pod_uid, in.pod_uid);
        assert_string_equal(out.labels, in.labels);
        assert_string_equal(out.annotations, in.annotations);
        assert_string_equal(out.netns_path, in.netns_path);
        assert_true(out.netns_cookie == in.netns_cookie); /* above 2^63: bit pattern */
        assert_true(out.netns_dev == in.netns_dev);
        assert_true(out.netns_ino == in.netns_ino);
        assert_true(out.netns_seen);
        assert_int_equal(out.netns_start, 12345678);
        assert_string_equal(out.boot_id, in.boot_id);
        assert_string_equal(out.state, in.state);

        in.pod_namespace = in.pod_name = in.pod_uid = in.labels = in.annotations =
                        NULL; /* unknown stays unknown */
        assert_ok(store_put_sandbox(s, &in, &e));
        assert_ok(store_load_sandboxes(s, keep_sandbox, &out, &e));
        assert_null(out.pod_namespace);
        assert_null(out.pod_name);
        assert_null(out.pod_uid);
        assert_null(out.labels);
        assert_null(out.annotations);
        /* A claim changes two columns of a row that is there. */
        in.runtime = TEXT("cri-o");
        in.state = TEXT("notready");
        in.netns_path = TEXT("/elsewhere");
        assert_ok(store_claim_sandbox(s, &in, &e));
        assert_ok(store_load_sandboxes(s, keep_sandbox, &out, &e));
        assert_string_equal(out.runtime, "cri-o");
        assert_string_equal(out.state, "notready");
        assert_string_not_equal(out.netns_path, "/elsewhere");
        in.id = TEXT("nobody");
        assert_ok(store_claim_sandbox(s, &in, &e));
        assert_int_equal(ask(*state, "SELECT count(*) FROM sandbox"), 1);

        assert_ok(store_delete_sandbox(s, "sb", &e));
        assert_int_equal(ask(*state, "SELECT count(*) FROM sandbox"), 0);
}

static void test_attachment(void **state) {
        _cleanup_(attachment_row_clear) AttachmentRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        AttachmentRow in = attachment_row(1, "sb", "eth0");

        put_base(s);
        assert_ok(store_load_attachments(s, keep_attachment, &out, &e));
        assert_int_equal(out.id, 1);
        assert_string_equal(out.network, "net");
        assert_string_equal(out.sandbox, "sb");
        assert_string_equal(out.ifname, "eth0");
        assert_string_equal(out.kind, in.kind);
        assert_string_equal(out.state, "planned");
        assert_string_equal(out.request, in.request);
        assert_null(out.result);
        assert_string_equal(out.host_ifname, in.host_ifname);
        assert_true(out.host_ifindex == UINT32_MAX);
        assert_memory_equal(out.host_mac, in.host_mac, 6);
        assert_memory_equal(out.mac, in.mac, 6);
        assert_int_equal(out.mtu, 1500);
        assert_int_equal(out.group, 7);
        assert_string_equal(out.config_hash, in.config_hash);
        assert_string_equal(out.plan, in.plan);
        assert_true(out.created_usec == in.created_usec);
        assert_true(out.created_boot_usec == in.created_boot_usec);

        assert_ok(store_set_attachment_state(s, 1, "up", 42, "{\"result\":1}", &e));
        assert_ok(store_set_attachment_state(s, 1, "releasing", 43, NULL,
                                             &e)); /* keeps the result */
        assert_ok(store_load_attachments(s, keep_attachment, &out, &e));
        assert_string_equal(out.state, "releasing");
        assert_int_equal(out.host_ifindex, 43);
        assert_string_equal(out.result, "{\"result\":1}");
}

static void test_last_id_outlives_the_rows(void **state) {
        AttachmentRow a = attachment_row(7, "sb", "eth1");
        Store *s = open_store(*state);
        uint64_t id = 99;

        assert_ok(store_load_last_id(s, &id, &e));
        assert_int_equal(id, 0);
        put_base(s);
        assert_ok(store_put_attachment(s, &a, &e));
        a = attachment_row(3, "sb", "eth2"); /* a smaller one later does not turn it back */
        assert_ok(store_put_attachment(s, &a, &e));
        assert_ok(store_delete_attachment(s, 7, &e));
        assert_ok(store_delete_attachment(s, 3, &e));
        s = store_close(s);
        s = open_store(*state);
        assert_ok(store_load_last_id(s, &id, &e));
        assert_int_equal(id, 7);
        store_close(s);
}

static void test_addresses(void **state) {
        _cleanup_(addresses_clear) Addresses got = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        InAddr gone;

        put_base(s);
        put_address(s, 1, "host", "10.97.0.2/32");
        put_address(s, 1, "host", "fd97:0:0::2/64");
        put_address(s, 1, "other", "10.97.0.2/24"); /* another pool */
        assert_ok(store_load_addresses(s, keep_address, &got, &e));
        assert_int_equal(got.n, 3);
        for (size_t i = 0; i < got.n; i++) {
                assert_int_equal(got.rows[i].attachment, 1);
                assert_int_equal(got.rows[i].released_usec, 0);
                assert_int_equal(got.rows[i].set_index, 1);
                assert_string_equal(got.rows[i].network, "net");
                assert_string_equal(got.rows[i].sandbox, "sb");
                assert_string_equal(got.rows[i].ifname, "eth0");
        }
        /* a person can read it, in the one canonical spelling */
        assert_int_equal(
                        ask(*state,
                            "SELECT count(*) FROM address WHERE address = 'fd97::2' AND prefix = 64"
                            " AND gateway = 'fd97::1'"),
                        1);
        addresses_clear(&got);
        got.n = 0;

        assert_ok(store_release_addresses(s, 1, 1234, &e));
        assert_ok(in_addr_parse("10.97.0.2", &gone));
        assert_ok(store_delete_address(s, "other", &gone, &e));
        assert_ok(store_load_addresses(s, keep_address, &got, &e));
        assert_int_equal(got.n, 2);
        for (size_t i = 0; i < got.n; i++) {
                assert_int_equal(got.rows[i].attachment, 0);
                assert_int_equal(got.rows[i].released_usec, 1234);
                assert_string_equal(got.rows[i].sandbox, "sb"); /* the last holder is known */
        }
        assert_ok(store_delete_attachment(s, 1, &e)); /* released rows do not hold it */
}

static void test_address_without_gateway(void **state) {
        _cleanup_(addresses_clear) Addresses got = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        AddressRow row = address_row(1, "host", "10.97.0.2/32");

        put_base(s);
        row.gateway = (InAddr) { 0 };
        assert_ok(store_put_address(s, &row, &e));
        assert_ok(store_load_addresses(s, keep_address, &got, &e));
        assert_int_equal(got.n, 1);
        assert_false(in_addr_is_set(&got.rows[0].gateway));
}

static void test_ports(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        AttachmentRow second = attachment_row(2, "sb", "eth1");
        PortRow any = port_row(1, "0.0.0.0", UINT16_MAX), six = port_row(1, "fd97:0:0::1", 1);
        Ports got = { 0 };

        put_base(s);
        assert_ok(store_put_attachment(s, &second, &e));
        six.attachment = 2;
        six.protocol = IPPROTO_SCTP;
        assert_ok(store_put_port(s, &six, &e));
        assert_ok(store_put_port(s, &any, &e));
        any.container_port = UINT16_MAX; /* its own again, somewhere else */
        assert_ok(store_put_port(s, &any, &e));
        any.protocol = IPPROTO_UDP; /* the same number is another port */
        assert_ok(store_put_port(s, &any, &e));

        assert_ok(store_load_ports(s, keep_port, &got, &e));
        assert_int_equal(got.n, 3);
        assert_int_equal(got.rows[0].attachment, 1);
        assert_int_equal(got.rows[0].protocol, IPPROTO_TCP);
        assert_int_equal(got.rows[0].host.family, AF_INET);
        assert_true(in_addr_is_unspecified(&got.rows[0].host));
        assert_int_equal(got.rows[0].host_port, UINT16_MAX);
        assert_int_equal(got.rows[0].container_port, UINT16_MAX);
        assert_int_equal(got.rows[1].protocol, IPPROTO_UDP);
        assert_int_equal(got.rows[2].attachment, 2);
        assert_int_equal(got.rows[2].protocol, IPPROTO_SCTP);
        assert_string_equal(IN_ADDR_STR(&got.rows[2].host), "fd97::1");
        assert_int_equal(got.rows[2].host_port, 1);
        /* a person can read it, in the one canonical spelling */
        assert_int_equal(ask(*state, "SELECT count(*) FROM port WHERE host_address = 'fd97::1'"
                                     " AND protocol = 'sctp' AND host_port = 1"),
                         1);

        any.container_port = 0; /* is not looked at */
        assert_ok(store_delete_port(s, &any, &e));
        assert_refused(store_delete_port(s, &any, &e), ENOENT, "65535/udp");
        six.attachment = 1;
        assert_refused(store_delete_port(s, &six, &e), ENOENT, "1/sctp"); /* another's */
        assert_int_equal(ask(*state, "SELECT count(*) FROM port"), 2);
}

static void test_shaping(void **state) {
        _cleanup_(shaping_row_clear) ShapingRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        ShapingRow in = { .attachment = 1,
                          .mode = TEXT("police"),
                          .ingress_rate = UINT64_MAX,
                          .ingress_burst = 2,
                          .egress_rate = 3,
                          .egress_burst = 4 };

        put_base(s);
        assert_ok(store_put_shaping(s, &in, &e));
        assert_ok(store_load_shapings(s, keep_shaping, &out, &e));
        assert_int_equal(out.attachment, 1);
        assert_string_equal(out.mode, "police");
        assert_true(out.ingress_rate == UINT64_MAX);
        assert_int_equal(out.ingress_burst, 2);
        assert_int_equal(out.egress_rate, 3);
        assert_int_equal(out.egress_burst, 4);
        in.mode = TEXT("shape");
        in.ingress_rate = 0;
        assert_ok(store_put_shaping(s, &in, &e));
        assert_ok(store_load_shapings(s, keep_shaping, &out, &e));
        assert_string_equal(out.mode, "shape");
        assert_int_equal(out.ingress_rate, 0);
        assert_int_equal(ask(*state, "SELECT count(*) FROM shaping"), 1);
}

static void test_lease(void **state) {
        _cleanup_(lease_row_clear) LeaseRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        LeaseRow in = { .attachment = 1,
                        .server_mac = { 2, 0, 0, 0, 0, 9 },
                        .obtained_usec = 11,
                        .obtained_boot_usec = 12,
                        .lease_sec = UINT32_MAX,
                        .t1_sec = 13,
                        .t2_sec = UINT32_MAX - 1,
                        .priority = UINT32_MAX,
                        .provide = (uint8_t *) "\14\0\1",
                        .provide_size = 3,
                        .options = (uint8_t *) "",
                        .options_size = 0 };

        put_base(s);
        assert_ok(in_addr_parse("10.9.0.7", &in.address));
        assert_ok(in_addr_parse("10.9.0.1", &in.server));
        assert_ok(store_update_lease(s, &in, &e)); /* nothing to update: none is made */
        assert_int_equal(ask(*state, "SELECT count(*) FROM lease"), 0);
        assert_ok(store_put_lease(s, &in, &e));
        assert_ok(store_load_leases(s, keep_lease, &out, &e));
        assert_int_equal(out.attachment, 1);
        assert_true(in_addr_equal(&out.address, &in.address));
        assert_true(in_addr_equal(&out.server, &in.server));
        assert_memory_equal(out.server_mac, in.server_mac, 6);
        assert_int_equal(out.obtained_usec, 11);
        assert_int_equal(out.obtained_boot_usec, 12);
        assert_true(out.lease_sec == UINT32_MAX && out.t2_sec == UINT32_MAX - 1);
        assert_int_equal(out.t1_sec, 13);
        assert_true(out.priority == UINT32_MAX && !out.expired);
        assert_int_equal(out.provide_size, 3);
        assert_memory_equal(out.provide, in.provide, 3);
        assert_int_equal(out.wanted_size + out.options_size, 0);
        in.expired = true;
        assert_ok(store_update_lease(s, &in, &e));
        assert_ok(store_load_leases(s, keep_lease, &out, &e));
        assert_true(out.expired);
        assert_ok(store_delete_attachment(s, 1, &e));
        assert_int_equal(ask(*state, "SELECT count(*) FROM lease"), 0);
}

static void test_ports_and_limits_go_with_the_attachment(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        AttachmentRow second = attachment_row(2, "sb", "eth1");
        PortRow one = port_row(1, "0.0.0.0", 8080), two = port_row(2, "::", 8080);
        ShapingRow limits = { .attachment = 1, .mode = TEXT("police"), .egress_rate = 1000 };

        put_base(s);
        assert_ok(store_put_attachment(s, &second, &e));
        assert_ok(store_put_port(s, &one, &e));
        assert_ok(store_put_port(s, &two, &e));
        assert_ok(store_put_shaping(s, &limits, &e));
        assert_ok(store_put_attachment(s, &second, &e)); /* written again: nothing is lost */
        assert_ok(store_set_attachment_state(s, 1, "up", 42, NULL, &e));
        assert_int_equal(ask(*state, "SELECT count(*) FROM port"), 2);
        assert_ok(store_delete_attachment(s, 1, &e));
        assert_int_equal(ask(*state, "SELECT attachment FROM port"), 2);
        assert_int_equal(ask(*state, "SELECT count(*) FROM port"), 1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM shaping"), 0);
}

static int check_cursor(CursorRow *row, void *userdata) {
        unsigned *n = userdata;
        assert_string_equal(row->network, "net");
        assert_int_equal(row->set_index, *n);
        assert_string_equal(IN_ADDR_STR(&row->address), *n == 0 ? "10.97.0.9" : "fd97::9");
        ++*n;
        return 0;
}

static void test_cursors(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        CursorRow row = { .network = TEXT("net"), .set_index = 1 };
        unsigned n = 0;

        assert_ok(in_addr_parse("fd97::9", &row.address));
        assert_ok(store_put_cursor(s, &row, &e));
        row.set_index = 0;
        assert_ok(in_addr_parse("10.97.0.8", &row.address));
        assert_ok(store_put_cursor(s, &row, &e));
        assert_ok(in_addr_parse("10.97.0.9", &row.address));
        assert_ok(store_put_cursor(s, &row, &e)); /* moves on */
        assert_ok(store_load_cursors(s, check_cursor, &n, &e));
        assert_int_equal(n, 2);
        assert_ok(store_delete_cursors(s, "net", &e));
        n = 0;
        assert_ok(store_load_cursors(s, check_cursor, &n, &e));
        assert_int_equal(n, 0);
}

static void test_events_are_trimmed(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        EventRow row = { .usec = 5,
                         .op = "add",
                         .network = "net",
                         .sandbox = "sb",
                         .ifname = "eth0",
                         .addresses = "10.97.0.2/32",
                         .reason = NULL };

        assert_ok(store_begin(s, &e));
        for (unsigned i = 0; i < EVENTS_MAX + 3000; i++)
                if (store_add_event(s, &row, NULL) < 0)
                        fail();
        row.op = "del";
        row.network = row.sandbox = row.ifname = row.addresses = NULL;
        row.reason = "it's; --over";
        assert_ok(store_add_event(s, &row, &e));
        assert_ok(store_commit(s, &e));
        /* trimmed by the thousand, so a thousand may be over */
        assert_in_range(ask(*state, "SELECT count(*) FROM event"), EVENTS_MAX - 2048,
                        EVENTS_MAX + 1024);
        assert_int_equal(ask(*state, "SELECT max(seq) FROM event"),
                         EVENTS_MAX + 3001); /* the newest stay */
        assert_int_equal(ask(*state,
                             "SELECT count(*) FROM event WHERE op = 'del' AND network IS NULL"
                             " AND reason = 'it''s; --over'"),
                         1);
}

/* ---- what is refused ----------------------------------------------------------------------------- */

static void test_text_is_bound(void **state) {
        static const char nasty[] = "x'); DROP TABLE network; --\"\\ %s ?1 \xc3\xa9";
        _cleanup_(network_row_clear) NetworkRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        NetworkRow row = network_row(nasty);

        row.config = TEXT(nasty);
        assert_ok(store_put_network(s, &row, &e));
        assert_ok(store_load_networks(s, keep_network, &out, &e));
        assert_string_equal(out.name, nasty);
        assert_string_equal(out.config, nasty);
        assert_ok(store_delete_network(s, nasty, &e));
        assert_int_equal(count_networks(s), 0);
}

/* Each refusal is outside a transaction, so it is one of its own that came to nothing. */
static void test_foreign_keys(void **state) {
        AttachmentRow strange = attachment_row(2, "nobody", "eth0"),
                      lost = attachment_row(2, "sb", "eth1");
        AddressRow ownerless = address_row(77, "host", "10.97.0.2/32");
        _cleanup_(store_closep) Store *s = open_store(*state);

        put_base(s);
        lost.network = TEXT("nowhere");
        assert_true(store_put_attachment(s, &strange, NULL) < 0);
        assert_true(store_put_attachment(s, &lost, NULL) < 0);
        assert_true(store_put_address(s, &ownerless, NULL) < 0);
        assert_true(store_delete_network(s, "net", NULL) < 0);
        assert_true(store_delete_sandbox(s, "sb", NULL) < 0);
        put_address(s, 1, "host", "10.97.0.2/32");
        assert_true(store_delete_attachment(s, 1, NULL) < 0); /* it still holds an address */
        assert_int_equal(
                        ask(*state,
                            "SELECT (SELECT count(*) FROM network) + (SELECT count(*) FROM sandbox)"
                            " + (SELECT count(*) FROM attachment)"),
                        3);
}

/* Another boot's rows go, with an event each; what is of this boot stays, and so does what rests. */
static void test_other_boots(void **state) {
        AttachmentRow second = attachment_row(2, "sb", "eth1"),
                      of_now = attachment_row(3, "now", "eth0");
        _cleanup_(store_closep) Store *s = open_store(*state);
        PortRow port = port_row(1, "0.0.0.0", 8080);
        ShapingRow shaping = { .attachment = 1, .mode = TEXT("police"), .ingress_rate = 1 };
        AddressRow v6 = address_row(1, "host", "fd97::2/128");
        SandboxRow now = sandbox_row("now");
        size_t n_sandboxes, n_attachments;

        put_base(s);
        assert_ok(store_put_attachment(s, &second, &e));
        v6.set_index = 2;
        assert_ok(store_put_address(s, &v6, &e));
        put_address(s, 1, "host", "10.97.0.2/32");
        put_address(s, 0, "host", "10.97.0.9/32");
        assert_ok(store_put_port(s, &port, &e));
        assert_ok(store_put_shaping(s, &shaping, &e));
        now.boot_id = TEXT("this boot");
        assert_ok(store_put_sandbox(s, &now, &e));
        assert_ok(store_put_attachment(s, &of_now, &e));

        assert_ok(store_end_other_boots(s, "this boot", 77, &n_sandboxes, &n_attachments, &e));
        assert_int_equal(n_sandboxes, 1);
        assert_int_equal(n_attachments, 2);
        assert_int_equal(ask(*state, "SELECT count(*) FROM sandbox WHERE id = 'now'"), 1);
        assert_int_equal(ask(*state, "SELECT max(id) FROM attachment"), 3);
        assert_int_equal(ask(*state, "SELECT count(*) FROM address WHERE address = '10.97.0.9'"),
                         1);
        assert_int_equal(ask(*state, "SELECT (SELECT count(*) FROM sandbox) * 10000"
                                     " + (SELECT count(*) FROM attachment) * 1000"
                                     " + (SELECT count(*) FROM address) * 100"
                                     " + (SELECT count(*) FROM port) * 10"
                                     " + (SELECT count(*) FROM shaping)"),
                         11100);
        assert_int_equal(ask(*state, "SELECT count(*) FROM event WHERE op = 'reboot' AND usec = 77"
                                     " AND network = 'net' AND sandbox = 'sb' AND ((ifname = 'eth0'"
                                     " AND addresses = '10.97.0.2/32,fd97::2/128')"
                                     " OR (ifname = 'eth1' AND addresses IS NULL))"),
                         2);

        /* nothing is of this boot: not even the rest period holds */
        assert_ok(store_end_other_boots(s, "next boot", 78, &n_sandboxes, &n_attachments, &e));
        assert_int_equal(n_sandboxes, 1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM address"), 0);
        assert_ok(store_end_other_boots(s, "next boot", 79, &n_sandboxes, &n_attachments, &e));
        assert_int_equal(n_sandboxes + n_attachments, 0);
        assert_int_equal(ask(*state, "SELECT count(*) FROM event"), 3);
}

static void test_one_interface_once(void **state) {
        AttachmentRow again = attachment_row(2, "sb", "eth0");
        _cleanup_(store_closep) Store *s = open_store(*state);

        put_base(s);
        assert_refused(store_put_attachment(s, &again, &e), EEXIST, "netmgr.db");
}

static void test_one_address_once(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        AttachmentRow second = attachment_row(2, "sb", "eth1");
        AddressRow taken = address_row(2, "host", "10.97.0.2/24");
        AddressRow released = address_row(0, "host", "10.97.0.2/24");
        _cleanup_error_ Error held = ERROR_NULL;

        put_base(s);
        assert_ok(store_put_attachment(s, &second, &e));
        put_address(s, 1, "host", "10.97.0.2/32");
        put_address(s, 1, "host", "10.97.0.2/32"); /* its own again */

        assert_int_equal(store_put_address(s, &taken, &held), -EEXIST);
        assert_int_equal(held.kind, ERROR_ADDRESS_IN_USE);
        assert_non_null(strstr(error_message(&held), "10.97.0.2"));
        assert_non_null(strstr(error_message(&held), "eth0"));
        assert_non_null(strstr(error_message(&held), "sb"));
        assert_non_null(strstr(error_message(&held), "net"));
        released.released_usec = 9;
        assert_int_equal(store_put_address(s, &released, NULL),
                         -EEXIST); /* nobody releases another's */
        assert_int_equal(ask(*state, "SELECT attachment FROM address"), 1);

        assert_ok(store_release_addresses(s, 1, 1234, &e));
        assert_ok(store_put_address(s, &taken, &e)); /* given out again */
        assert_int_equal(
                        ask(*state,
                            "SELECT attachment = 2 AND prefix = 24 AND released_usec = 0 FROM address"),
                        1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM address"), 1);
}

static void test_one_port_once(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        AttachmentRow second = attachment_row(2, "sb", "eth1");
        PortRow row = port_row(1, "0.0.0.0", 8080);
        _cleanup_error_ Error held = ERROR_NULL;

        put_base(s);
        assert_ok(store_put_attachment(s, &second, &e));
        assert_ok(store_put_port(s, &row, &e));
        row.attachment = 2;
        row.container_port = 81;
        assert_int_equal(store_put_port(s, &row, &held), -EEXIST);
        assert_int_equal(held.kind, ERROR_PORT_IN_USE);
        assert_string_equal(
                        error_message(&held),
                        "host port 8080/tcp is held by sandbox sb (interface eth0, network net)");
        assert_int_equal(ask(*state, "SELECT attachment = 1 AND container_port = 80 FROM port"), 1);
        row.attachment = 1;
        assert_ok(store_delete_port(s, &row, &e));
        row.attachment = 2;
        assert_ok(store_put_port(s, &row, &e));
}

/* Rows that could not be read again, and rows of nobody. */
static void test_impossible_ports(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        PortRow good = port_row(1, "0.0.0.0", 8080), row;
        ShapingRow lost = { .attachment = 77, .mode = TEXT("police") };

        put_base(s);
        row = good, row.protocol = IPPROTO_ICMP;
        assert_true(store_put_port(s, &row, NULL) < 0);
        row = good, row.host = (InAddr) { 0 };
        assert_true(store_put_port(s, &row, NULL) < 0);
        assert_true(store_delete_port(s, &row, NULL) < 0);
        row = good, row.host_port = 0;
        assert_true(store_put_port(s, &row, NULL) < 0);
        row = good, row.container_port = 0;
        assert_true(store_put_port(s, &row, NULL) < 0);
        row = good, row.attachment = 77;
        assert_true(store_put_port(s, &row, NULL) < 0);
        assert_true(store_put_shaping(s, &lost, NULL) < 0);
        assert_int_equal(ask(*state, "SELECT count(*) FROM port"), 0);
        assert_int_equal(ask(*state, "SELECT count(*) FROM shaping"), 0);
}

static void test_malformed_port(void **state) {
        static const char *const changes[] = {
                "UPDATE port SET host_port = 65536",
                "UPDATE port SET host_port = 1, container_port = 0",
                "UPDATE port SET container_port = 1, protocol = 'TCP'",
                "UPDATE port SET protocol = 'tcp', host_address = ''",
        };
        _cleanup_free_ char *path = db_path(*state);
        Store *s = open_store(*state);
        PortRow row = port_row(1, "0.0.0.0", 8080);
        Ports got = { 0 };

        put_base(s);
        assert_ok(store_put_port(s, &row, &e));
        store_close(s);
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                change(path, changes[i]);
                s = open_store(*state);
                assert_refused(store_load_ports(s, keep_port, &got, &e), EUCLEAN, "ports");
                store_close(s);
        }
}

static void test_state_of_no_attachment(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);

        assert_refused(store_set_attachment_state(s, 99, "up", 1, NULL, &e), ENOENT, "99");
}

/* A row that SQLite has no objection to and that netmgr never wrote. */
static void test_malformed_row(void **state) {
        _cleanup_(addresses_clear) Addresses got = { 0 };
        _cleanup_free_ char *path = db_path(*state);
        Store *s = open_store(*state);

        put_base(s);
        put_address(s, 1, "host", "10.97.0.2/32");
        store_close(s);
        change(path, "UPDATE address SET address = '10.97.0.999'");
        s = open_store(*state);
        assert_refused(store_load_addresses(s, keep_address, &got, &e), EUCLEAN, "address");
        store_close(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                in_dir(test_network),
                in_dir(test_sandbox),
                in_dir(test_other_boots),
                in_dir(test_attachment),
                in_dir(test_last_id_outlives_the_rows),
                in_dir(test_addresses),
                in_dir(test_address_without_gateway),
                in_dir(test_ports),
                in_dir(test_shaping),
                in_dir(test_lease),
                in_dir(test_ports_and_limits_go_with_the_attachment),
                in_dir(test_cursors),
                in_dir(test_events_are_trimmed),
                in_dir(test_text_is_bound),
                in_dir(test_foreign_keys),
                in_dir(test_one_interface_once),
                in_dir(test_one_address_once),
                in_dir(test_one_port_once),
                in_dir(test_impossible_ports),
                in_dir(test_malformed_port),
                in_dir(test_state_of_no_attachment),
                in_dir(test_malformed_row),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
