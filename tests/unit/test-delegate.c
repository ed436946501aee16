/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What travels between netmgrd, the plugin and programs of others: tickets, results, the files of
 * host-local, and one run of a program.
 */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/cni/originals.h"
#include "cri/cni/program.h"
#include "cri/cni/task.h"
#include "cri/cni/wait.h"
#include "cri/host-local.h"
#include "cri/ipam-result.h"
#include "cri/netconf.h"
#include "cri/ticket.h"

extern char **environ;

/* ---- tickets ---------------------------------------------------------------------------------- */

static void ticket_says_the_same(void **state) {
        TicketAddress addresses[2] = { { .set = 3 }, { .set = 0 } };
        TicketOwner owners[2] = { { (char *) "a", (char *) "eth0" }, { (char *) "", (char *) "" } };
        _cleanup_error_ Error e = ERROR_NULL;

        (void) in_addr_parse("10.97.0.2", &addresses[0].address);
        (void) in_addr_parse("fd97::2", &addresses[1].address);
        const Ticket tickets[] = {
                { .task = TICKET_EXEC,
                  .command = (char *) "DEL",
                  .plugin = (char *) "whereabouts",
                  .container_id = (char *) "c",
                  .ifname = (char *) "eth0",
                  .netns = (char *) "",
                  .args = (char *) "A=1;B=\"2\"",
                  .config = (char *) "{\n \"name\": \"\\u00fc\", \"x\": \"\xc3\xbc\"}\n\n" },
                { .task = TICKET_EXEC, .command = (char *) "ADD", .plugin = (char *) "p" },
                { .task = TICKET_READ_HOST_LOCAL },
                { .task = TICKET_WRITE_HOST_LOCAL, .addresses = addresses, .n_addresses = 2 },
                { .task = TICKET_RELEASE_HOST_LOCAL, .owners = owners, .n_owners = 2 },
                { .task = TICKET_READ_RESOLV_CONF, .path = (char *) "/etc/resolv.conf" },
        };

        for (size_t i = 0; i < ELEMENTSOF(tickets); i++) {
                _cleanup_free_ char *text = NULL;
                Ticket sent = tickets[i], got = { 0 };

                sent.id = (char *) "0123";
                sent.timeout_ms = 1500;
                assert_int_equal(ticket_format(&sent, &text), 0);
                assert_int_equal(ticket_parse(text, &got, &e), 1);
                assert_string_equal(got.id, "0123");
                assert_int_equal(got.task, sent.task);
                assert_int_equal(got.timeout_ms, 1500);
                assert_true(streq_ptr(got.command, sent.command) &&
                            streq_ptr(got.plugin, sent.plugin) &&
                            streq_ptr(got.config, sent.config) &&
                            streq_ptr(got.netns, sent.netns) && streq_ptr(got.args, sent.args) &&
                            streq_ptr(got.path, sent.path));
                assert_int_equal(got.n_addresses, sent.n_addresses);
                for (size_t k = 0; k < got.n_addresses; k++) {
                        assert_true(in_addr_equal(&got.addresses[k].address,
                                                  &addresses[k].address));
                        assert_int_equal(got.addresses[k].set, addresses[k].set);
                }
                assert_int_equal(got.n_owners, sent.n_owners);
                for (size_t k = 0; k < got.n_owners; k++)
                        assert_string_equal(got.owners[k].container_id, owners[k].container_id);
                ticket_clear(&got);
        }
}

static void what_is_no_ticket(void **state) {
        static const char *const results[] = {
                "", "{}", "{\"cniVersion\":\"1.0.0\"}", "{ \"netmgr.ticket\":\"x\"}", "[]", "x"
        };
        static const char *const broken[] = {
                "{\"netmgr.ticket\":",
                "{\"netmgr.ticket\":5,\"do\":\"exec\",\"timeoutMs\":1}",
                "{\"netmgr.ticket\":\"x\",\"do\":\"reboot\",\"timeoutMs\":1}",
                "{\"netmgr.ticket\":\"x\",\"do\":\"exec\",\"timeoutMs\":1,\"command\":\"ADD\"}",
                "{\"netmgr.ticket\":\"x\",\"do\":\"exec\",\"timeoutMs\":1,\"plugin\":\"p\"}",
                "{\"netmgr.ticket\":\"x\",\"do\":\"read-host-local\"}",
                "{\"netmgr.ticket\":\"x\",\"do\":\"read-resolv-conf\",\"timeoutMs\":1}",
                "{\"netmgr.ticket\":\"x\",\"do\":\"read-host-local\",\"timeoutMs\":1,\"more\":1}",
                "{\"netmgr.ticket\":\"x\",\"do\":\"write-host-local\",\"timeoutMs\":1,\"addresses\":[{"
                "\"address\":\"../x\",\"set\":0}]}",
        };

        for (size_t i = 0; i < ELEMENTSOF(results); i++) {
                Ticket t = { 0 };
                assert_int_equal(ticket_parse(results[i], &t, NULL), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Ticket t = { 0 };
                assert_true(ticket_parse(broken[i], &t, &e) < 0);
                assert_true(error_is_set(&e) && !t.id);
        }
}

static void ticket_that_is_too_large(void **state) {
        _cleanup_free_ char *config = malloc(CONFIG_SIZE_MAX + 1), *text = NULL;

        memset(config, 'x', CONFIG_SIZE_MAX);
        config[CONFIG_SIZE_MAX] = '\0';
        assert_int_equal(ticket_format(&(Ticket) { .id = (char *) "x",
                                                   .command = (char *) "DEL",
                                                   .plugin = (char *) "p",
                                                   .config = config },
                                       &text),
                         -E2BIG);
}

static void names_of_delegates(void **state) {
        static const char *const good[] = { "whereabouts", "calico-ipam", "a.b_c", "0" };
        static const char *const bad[] = {
                "",   ".",      "..",         "../x",   "a/b", "/bin/sh",
                "-x", "bridge", "host-local", "netmgr", "a b", "\xc3\xbc"
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(delegate_name_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(delegate_name_is_valid(bad[i]));
}

/* ---- results ---------------------------------------------------------------------------------- */

static void results_of_ipam_plugins(void **state) {
        static const struct {
                const char *version, *text;
                size_t n_ips, n_routes;
        } good[] = {
                { "1.0.0",
                  "{\"ips\":[{\"address\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\"}],\"x\":{}}", 1,
                  0 },
                { "0.2.0",
                  "{\"ip4\":{\"ip\":\"10.0.0.2/24\",\"routes\":[{\"dst\":\"0.0.0.0/0\"}]},\"ip6\":{"
                  "\"ip\":\"fd00::2/64\"}}",
                  2, 1 },
                { "0.2.0",
                  "{\"cniVersion\":\"0.4.0\",\"ips\":[{\"version\":\"4\",\"address\":\"10.0.0.2/24\"}"
                  "],\"routes\":[{\"dst\":\"10.5.5.5/16\"}]}",
                  1, 1 },
        };
        static const char *const bad[] = {
                "",
                "[]",
                "null",
                "{}",
                "{\"ips\":[]}",
                "{\"cniVersion\":\"9.0.0\",\"ips\":[{\"address\":\"10.0.0.2/24\"}]}",
                "{\"ips\":[{\"address\":\"10.0.0.2\"}]}",
                "{\"ips\":[{\"address\":\"0.0.0.0/0\"}]}",
                "{\"ips\":[{\"address\":\"127.0.0.1/8\"}]}",
                "{\"ips\":[{\"address\":\"224.0.0.1/4\"}]}",
                "{\"ips\":[{\"address\":\"10.0.0.2/24\",\"gateway\":\"fd00::1\"}]}",
                "{\"ips\":[{\"address\":\"10.0.0.2/24\"},{\"address\":\"10.0.0.2/16\"}]}",
                "{\"ips\":[{\"address\":\"10.0.0.2/24\"}],\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"::1\"}]}",
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_(cni_owned_result_clear) CniOwnedResult r = { 0 };
                _cleanup_error_ Error e = ERROR_NULL;
                assert_int_equal(ipam_result_parse(good[i].text, strlen(good[i].text),
                                                   good[i].version, &r, &e),
                                 0);
                assert_int_equal(r.n_ips, good[i].n_ips);
                assert_int_equal(r.n_routes, good[i].n_routes);
                for (size_t k = 0; k < r.n_routes; k++)
                        assert_false(in_prefix_has_host_bits(&r.routes[k].dst));
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_(cni_owned_result_clear) CniOwnedResult r = { 0 };
                _cleanup_error_ Error e = ERROR_NULL;
                assert_true(ipam_result_parse(bad[i], strlen(bad[i]), "1.0.0", &r, &e) < 0);
                assert_int_equal(e.kind, ERROR_DELEGATE);
                assert_int_equal(r.n_ips, 0);
        }
}

/* ---- host-local ------------------------------------------------------------------------------- */

static void owners_in_files(void **state) {
        static const struct {
                const char *content, *id, *ifname;
        } files[] = {
                { "abc\r\neth0", "abc", "eth0" },
                { "abc\neth0\n", "abc", "eth0" },
                { "abc", "abc", "" },
                { " abc \r\n eth0 ", "abc", "eth0" },
                { "", "", "" },
                { "\r\neth0", "", "eth0" },
                { "a b\r\neth0", "", "eth0" },
                { "../x\r\neth0", "", "eth0" },
                { "abc\r\na/b", "abc", "" },
                { "abc\r\nsixteen-letters-", "abc", "" },
                { "abc\r\neth0\r\nmore", "abc", "" },
        };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *id = NULL, *ifname = NULL;
                assert_int_equal(host_local_read_owner(files[i].content, strlen(files[i].content),
                                                       &id, &ifname),
                                 0);
                assert_string_equal(id, files[i].id);
                assert_string_equal(ifname, files[i].ifname);
        }
        _cleanup_free_ char *id = NULL, *ifname = NULL;
        assert_int_equal(host_local_read_owner("ab\0c\r\neth0", 10, &id, &ifname), 0);
        assert_string_equal(id, "ab");
}

static void list_of_a_directory(void **state) {
        static const char *const names[] = { "10.97.0.2",         "fd97::1",  "lock",
                                             "10.97.0.300",       "x",        "last_reserved_ip.1",
                                             "last_reserved_ip.", "010.1.1.1" };
        _cleanup_host_local_list_ HostLocalList l = { .before = 7,
                                                      .stamp = 1731000000123456789ULL },
                                                again = { 0 };
        _cleanup_free_ char *text = NULL;
        _cleanup_error_ Error e = ERROR_NULL;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_int_equal(host_local_list_add(&l, names[i], "10.97.0.9\n", 10), 0);
        assert_int_equal(l.n_entries, 2);
        assert_int_equal(l.n_last, 1);
        assert_int_equal(l.last[0].set, 1);
        assert_int_equal(host_local_list_format(&l, &text), 0);
        assert_int_equal(host_local_list_parse(text, strlen(text), &again, &e), 0);
        assert_int_equal(again.n_entries, 2);
        assert_true(in_addr_equal(&again.entries[1].address, &l.entries[1].address));
        assert_string_equal(again.entries[0].id, "10.97.0.9"); /* a container may be called so */
        assert_true(again.stamp == l.stamp && again.before == 7 && again.n_last == 1);
}

static void list_that_is_too_long(void **state) {
        _cleanup_host_local_list_ HostLocalList l = { 0 };
        char name[32];
        int r = 0;

        for (unsigned i = 0; i < HOST_LOCAL_ENTRIES_MAX; i++) {
                snprintf(name, sizeof(name), "10.97.%u.%u", i / 256, i % 256);
                r = host_local_list_add(&l, name, "c\r\neth0", 7);
                assert_int_equal(r, 0);
        }
        assert_int_equal(host_local_list_add(&l, "10.99.0.1", "c\r\neth0", 7), -E2BIG);
        /* and the longest one is one that netmgrd reads */
        _cleanup_free_ char *text = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_host_local_list_ HostLocalList again = { 0 };
        assert_int_equal(host_local_list_format(&l, &text), 0);
        assert_int_equal(host_local_list_parse(text, strlen(text), &again, &e), 0);
        assert_int_equal(again.n_entries, HOST_LOCAL_ENTRIES_MAX);
}

/* ---- what may be run as root ------------------------------------------------------------------ */

static void put_file(const char *path, mode_t mode, uid_t uid) {
        FILE *f = fopen(path, "we");

        assert_non_null(f);
        fclose(f);
        assert_int_equal(chown(path, uid, 0), 0);
        assert_int_equal(chmod(path, mode), 0);
}

static void put_dir(const char *path, mode_t mode, uid_t uid) {
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(chown(path, uid, 0), 0);
        assert_int_equal(chmod(path, mode), 0);
}

static void programs_that_only_root_can_replace(void **state) {
        static const struct {
                const char *path, *name;
                const char *found; /* NULL: refused, "": there is none */
        } cases[] = {
                { "good", "plain", "good/plain" },
                { "absent:good", "plain", "good/plain" },
                { "good", "link", "good/plain" },
                { "sticky", "plain", "sticky/plain" },
                { "good", "absent", "" },
                { "good", "data", "" }, /* not executable */
                { "good", "dir", "" },
                { "good", "other", NULL },
                { "good", "groupwritable", NULL },
                { "good", "writable", NULL },
                { "theirs", "plain", NULL },
                { "open", "plain", NULL },
                { "open/inner", "plain", NULL },
                { "good", "astray", NULL },       /* a link into a directory of others */
                { "linked", "plain", NULL },      /* the directory is one */
                { "theirs:good", "plain", NULL }, /* the first that has it counts */
        };
        char base[] = "/tmp/netmgr-trust.XXXXXX";

        if (geteuid() != 0)
                skip();
        assert_non_null(mkdtemp(base));
        assert_int_equal(chdir(base), 0);
        put_dir("good", 0755, 0);
        put_dir("sticky", 01777, 0);
        put_dir("theirs", 0755, 65534);
        put_dir("open", 0775, 0);
        put_dir("open/inner", 0755, 0);
        put_dir("good/dir", 0755, 0);
        put_file("good/plain", 0755, 0);
        put_file("good/data", 0644, 0);
        put_file("good/other", 0755, 65534);
        put_file("good/groupwritable", 0775, 0);
        put_file("good/writable", 0757, 0);
        put_file("sticky/plain", 0755, 0);
        put_file("theirs/plain", 0755, 0);
        put_file("open/plain", 0755, 0);
        put_file("open/inner/plain", 0755, 0);
        assert_int_equal(symlink("plain", "good/link"), 0);
        assert_int_equal(symlink("../open/plain", "good/astray"), 0);
        assert_int_equal(symlink("open", "linked"), 0);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *list = strdup(cases[i].path), *path = NULL, *found = NULL,
                                    *want = NULL;
                _cleanup_error_ Error e = ERROR_NULL;
                char *second = strchr(list, ':');

                if (second)
                        *second++ = '\0';
                path = strf("%s/%s%s%s%s%s", base, list, second ? ":" : "", second ? base : "",
                            second ? "/" : "", strempty(second));
                int r = program_find_trusted(cases[i].name, path, &found, &e);
                if (isempty(cases[i].found)) {
                        assert_true(r < 0 && !found && error_is_set(&e));
                        assert_int_equal(r == -ENOENT, cases[i].found != NULL);
                        assert_int_equal(e.kind == ERROR_ACCESS_DENIED, cases[i].found == NULL);
                        continue;
                }
                assert_int_equal(r, 0);
                want = strf("%s/%s", base, cases[i].found);
                assert_string_equal(found, want);
        }
        assert_int_equal(program_find_trusted("plain", "good", &(char *) { NULL }, NULL), -ENOENT);
        assert_int_equal(program_find_trusted("plain", NULL, &(char *) { NULL }, NULL), -ENOENT);
        assert_int_equal(chdir("/"), 0);
        _cleanup_free_ char *command = strf("rm -r %s", base);
        assert_int_equal(system(command), 0);
}

/* ---- programs --------------------------------------------------------------------------------- */

static char script_path[64];

static int run(const char *script, const char *input, unsigned sec, ProgramEnd *ret) {
        FILE *f = fopen(script_path, "we");
        const Program p = { .path = script_path,
                            .environment = environ,
                            .input = input,
                            .deadline = deadline_in(sec),
                            .output_max = 100000,
                            .error_max = 100 };

        assert_non_null(f);
        fprintf(f, "#!/bin/sh\n%s\n", script);
        assert_int_equal(fchmod(fileno(f), 0755), 0);
        fclose(f);
        return program_run(&p, ret);
}

static void program_that_works(void **state) {
        _cleanup_(program_end_clear) ProgramEnd end = { 0 };
        _cleanup_free_ char *input = malloc(300001);

        memset(input, 'i', 300000);
        input[300000] = '\0';
        assert_int_equal(run("wc -c; echo e >&2; exit 3", input, 30, &end), 0);
        assert_true(WIFEXITED(end.status) && WEXITSTATUS(end.status) == 3);
        assert_string_equal(end.output, "300000\n");
        assert_string_equal(end.errors, "e\n");
}

static void program_without_manners(void **state) {
        static const struct {
                const char *script;
                unsigned sec;
                int r;
        } cases[] = {
                { "exec < /dev/null; echo x", 30, 0 },
                { "sleep 1000 & wait", 1, -ETIMEDOUT },
                { "exec >&- 2>&-; sleep 1000", 1, -ETIMEDOUT },
                { "trap '' TERM INT; yes", 30, -E2BIG },
                { "sleep 3 & exit 0", 30, 0 }, /* a child that keeps our pipes */
                { "yes >&2", 1, -ETIMEDOUT },
                { "kill -9 $$", 30, 0 },
        };
        _cleanup_free_ char *input = malloc(300001);

        memset(input, 'i', 300000);
        input[300000] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(program_end_clear) ProgramEnd end = { 0 };
                assert_int_equal(run(cases[i].script, input, cases[i].sec, &end), cases[i].r);
                assert_true(end.output_size <= 100000);
                if (cases[i].r == -ETIMEDOUT || cases[i].r == -E2BIG)
                        assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGKILL);
                assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
        }
}

/* Who logs a lot is not ended by it: a pipe without a reader would be a signal. */
static void program_that_talks_a_lot(void **state) {
        _cleanup_(program_end_clear) ProgramEnd end = { 0 };

        assert_int_equal(run("i=0; while [ $i -lt 5000 ]; do echo 'one more line for people' >&2; "
                             "i=$((i + 1)); done; echo done",
                             "", 60, &end),
                         0);
        assert_int_equal(end.status, 0);
        assert_string_equal(end.output, "done\n");
        assert_int_equal(end.errors_size, 100);
        assert_false(end.output_holds_nul);
        program_end_clear(&end);
        assert_int_equal(run("printf '{}\\0{}'", "", 30, &end), 0);
        assert_true(end.output_holds_nul);
}

static void program_that_is_none(void **state) {
        const Program p = { .path = "/none/x",
                            .environment = environ,
                            .input = "",
                            .deadline = deadline_in(30),
                            .output_max = 10,
                            .error_max = 10 };
        _cleanup_(program_end_clear) ProgramEnd end = { 0 };

        assert_int_equal(program_run(&p, &end), -ENOENT);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* ---- what netmgrd may ask for ------------------------------------------------------------------ */

#define OWN    "{\"name\":\"n\",\"ipam\":{\"type\":\"%s\"}}"
#define THEIRS "{\"name\":\"n\",\"ipam\":{\"type\":\"other\"}}"
#define LIST   "{\"name\":\"n\",\"type\":\"%s\"}"

/* The script is the plugin of that name: whatever is run says so. */
static void tasks_of_a_hostile_netmgrd(void **state) {
        static const struct {
                Verb verb;
                const char *own, *command, *config, *ifname;
                bool allowed;
                const char *container_id, *netns; /* of the ticket */
        } cases[] = {
                { VERB_ADD, NULL, "ADD", NULL, NULL, true, NULL, NULL },
                { VERB_CHECK, NULL, "CHECK", NULL, NULL, true, NULL, NULL },
                { VERB_STATUS, NULL, "ADD", NULL, NULL, false, NULL, NULL },
                { VERB_ADD, NULL, "DEL", NULL, NULL, false, NULL, NULL },
                { VERB_ADD, NULL, "ADD", NULL, "eth1", false, NULL, NULL },
                { VERB_ADD, "other", "ADD", NULL, NULL, false, NULL, NULL },
                { VERB_DEL, NULL, "DEL", OWN, NULL, true, NULL, NULL },
                { VERB_GC, NULL, "DEL", OWN, NULL, true, NULL, NULL },
                { VERB_ADD, NULL, "DEL", OWN, NULL, true, NULL, NULL },
                { VERB_DEL, "other", "DEL", OWN, NULL, true, NULL,
                  NULL }, /* the ADD's has counted */
                { VERB_DEL, NULL, "ADD", OWN, NULL, false, NULL, NULL },
                { VERB_STATUS, NULL, "DEL", OWN, NULL, false, NULL, NULL },
                { VERB_CHECK, NULL, "DEL", OWN, NULL, false, NULL, NULL },
                { VERB_DEL, NULL, "DEL", THEIRS, NULL, false, NULL, NULL },
                { VERB_DEL, NULL, "DEL", "{", NULL, false, NULL, NULL },
                { VERB_DEL, NULL, "DEL", "", NULL, false, NULL, NULL },
                /* of a network that netmgrd knows: for the caller's own sandbox, with his own verb */
                { VERB_ADD, NULL, "ADD", LIST, "net1", true, "c1", "/ns/1" },
                { VERB_ADD, "other", "ADD", LIST, "net1", true, "c1", "/ns/1" },
                { VERB_ADD, NULL, "ADD", OWN, "net1", true, "c1", "/ns/1" },
                { VERB_CHECK, NULL, "CHECK", LIST, "net1", true, "c1", "/ns/1" },
                { VERB_ADD, NULL, "ADD", LIST, "net1", false, "c2", "/ns/1" },
                { VERB_ADD, NULL, "ADD", LIST, "net1", false, "c1", "/ns/2" },
                { VERB_ADD, NULL, "ADD", LIST, "net1", false, NULL, "/ns/1" },
                { VERB_ADD, NULL, "ADD", LIST, "net1", false, "c1", NULL },
                { VERB_ADD, NULL, "ADD", LIST, NULL, false, "c1", "/ns/1" },
                { VERB_ADD, NULL, "ADD", LIST, "../x", false, "c1", "/ns/1" },
                { VERB_CHECK, NULL, "ADD", LIST, "net1", false, "c1", "/ns/1" },
                { VERB_ADD, NULL, "CHECK", LIST, "net1", false, "c1", "/ns/1" },
                { VERB_DEL, NULL, "ADD", LIST, "net1", false, "c1", "/ns/1" },
                { VERB_GC, NULL, "GC", LIST, "net1", false, "c1", "/ns/1" },
                { VERB_STATUS, NULL, "STATUS", LIST, "net1", false, "c1", "/ns/1" },
                { VERB_ADD, NULL, "ADD", THEIRS, "net1", false, "c1", "/ns/1" },
                { VERB_DEL, NULL, "DEL", LIST, "net1", true, "c2", "/ns/2" },
        };
        char *dir = strdup(script_path), *name = strrchr(dir, '/');
        _cleanup_(program_end_clear) ProgramEnd end = { 0 };
        bool trusted = geteuid() ==
                       0; /* what a configuration of netmgrd's names has to be root's */

        *name++ = '\0';
        assert_int_equal(run("cat > /dev/null; echo ran $CNI_COMMAND >&2; exit 7", "", 30, &end),
                         0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *own = strf(OWN, cases[i].own ? cases[i].own : name);
                _cleanup_free_ char *theirs = strf(OWN, name), *list = strf(LIST, name);
                _cleanup_(task_result_clear) TaskResult result = { 0 };
                const Environment env = { .verb = cases[i].verb,
                                          .path = dir,
                                          .container_id = "c1",
                                          .netns_path = "/ns/1" };
                const char *config = cases[i].config;
                bool allowed = cases[i].allowed && (trusted || !config);
                const Ticket t = {
                        .task = TICKET_EXEC,
                        .timeout_ms = 30000,
                        .plugin = name,
                        .command = (char *) cases[i].command,
                        .container_id = (char *) cases[i].container_id,
                        .netns = (char *) cases[i].netns,
                        .ifname = (char *) cases[i].ifname,
                        .config = streq_ptr(config, OWN)    ? theirs
                                  : streq_ptr(config, LIST) ? list
                                                            : (char *) config,
                };

                task_run(&t, &env, "bridge", own, &result);
                assert_int_equal(result.exit, allowed ? 7 : TICKET_EXIT_NOT_STARTED);
                assert_int_equal(strstr(result.text, "ran ") != NULL, allowed);
        }
        free(dir);
}

/* What was taken over is ended by the plugins that made it, which may have our names; nothing else is. */
static void originals_of_our_names(void **state) {
        static const struct {
                Verb verb;
                const char *plugin, *command, *config;
                bool originals, allowed;
        } cases[] = {
                { VERB_DEL, "bridge", "DEL", "{\"type\":\"bridge\"}", true, true },
                { VERB_GC, "bridge", "DEL", "{\"type\":\"bridge\"}", true, true },
                { VERB_DEL, "bridge", "DEL", "{\"type\":\"bridge\"}", false, false },
                { VERB_DEL, "bridge", "DEL", "{\"type\":\"portmap\"}", true, false },
                { VERB_DEL, "bridge", "DEL", NULL, true, false },
                { VERB_ADD, "bridge", "ADD", "{\"type\":\"bridge\"}", true, false },
                { VERB_STATUS, "bridge", "DEL", "{\"type\":\"bridge\"}", true, false },
                { VERB_DEL, "../bridge", "DEL", "{\"type\":\"../bridge\"}", true, false },
        };
        char base[] = "/tmp/netmgr-originals.XXXXXX";

        if (geteuid() != 0)
                skip();
        assert_non_null(mkdtemp(base));
        assert_int_equal(chdir(base), 0);
        put_dir("ours", 0755, 0);
        put_dir("theirs", 0755, 0);
        put_dir("mixed", 0755, 0);
        put_file("netmgr", 0755, 0);
        put_file("mixed/portmap", 0755, 0);
        assert_int_equal(symlink("../netmgr", "ours/netmgr"), 0);
        assert_int_equal(symlink("netmgr", "ours/bridge"), 0);
        assert_int_equal(symlink("../netmgr", "mixed/netmgr"), 0);
        FILE *f = fopen("theirs/bridge", "we");
        assert_non_null(f);
        fprintf(f, "#!/bin/sh\ncat >&2; echo \" in $CNI_PATH\" >&2; exit 7\n");
        fclose(f);
        assert_int_equal(chmod("theirs/bridge", 0755), 0);

        _cleanup_free_ char *path = strf("%s/ours:%s/theirs:%s/mixed", base, base, base),
                            *want = strf("%s/theirs:%s/mixed:/more", base, base),
                            *found = originals_path_of(path, "/more");
        assert_string_equal(found, want);
        assert_int_equal(setenv("NETMGR_CONFIG_DIR", base, 1), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(task_result_clear) TaskResult result = { 0 };
                const Environment env = { .verb = cases[i].verb,
                                          .path = path,
                                          .container_id = "c1",
                                          .netns_path = "/ns/1" };
                const Ticket t = { .task = TICKET_EXEC,
                                   .timeout_ms = 30000,
                                   .plugin = (char *) cases[i].plugin,
                                   .command = (char *) cases[i].command,
                                   .container_id = (char *) "c1",
                                   .ifname = (char *) "eth0",
                                   .netns = (char *) "/ns/1",
                                   .config = (char *) cases[i].config,
                                   .originals = cases[i].originals };

                task_run(&t, &env, "netmgr", "{\"name\":\"n\"}", &result);
                assert_int_equal(result.exit, cases[i].allowed ? 7 : TICKET_EXIT_NOT_STARTED);
                /* And what it executes itself is not ours either. */
                if (cases[i].allowed)
                        assert_true(strstr(result.text, "/theirs:") &&
                                    !strstr(result.text, "/ours"));
        }
        assert_int_equal(chdir("/"), 0);
        _cleanup_free_ char *command = strf("rm -r %s", base);
        assert_int_equal(system(command), 0);
        assert_int_equal(unsetenv("NETMGR_CONFIG_DIR"), 0);
}

/* Only an ADD has somebody for whom addresses are taken. */
static void addresses_without_an_owner(void **state) {
        _cleanup_(task_result_clear) TaskResult result = { 0 };
        const Environment env = { .verb = VERB_GC, .path = "/none" };
        const Ticket t = { .task = TICKET_WRITE_HOST_LOCAL, .timeout_ms = 1000 };

        task_run(&t, &env, "bridge",
                 "{\"name\":\"n\",\"ipam\":{\"type\":\"host-local\",\"dataDir\":\"/none/x\"}}",
                 &result);
        assert_int_equal(result.exit, TICKET_EXIT_NOT_STARTED);
        assert_non_null(strstr(result.text, "no ADD"));
}

static int make_script(void **state) {
        snprintf(script_path, sizeof(script_path), "/tmp/netmgr-test-program.XXXXXX");
        int fd = mkstemp(script_path);
        return fd < 0 ? -1 : close(fd);
}

static int remove_script(void **state) {
        return unlink(script_path);
}

int main(void) {
        (void) signal(SIGPIPE, SIG_IGN); /* as the plugin does */
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ticket_says_the_same),
                cmocka_unit_test(what_is_no_ticket),
                cmocka_unit_test(ticket_that_is_too_large),
                cmocka_unit_test(names_of_delegates),
                cmocka_unit_test(results_of_ipam_plugins),
                cmocka_unit_test(owners_in_files),
                cmocka_unit_test(list_of_a_directory),
                cmocka_unit_test(list_that_is_too_long),
                cmocka_unit_test_setup_teardown(program_that_works, make_script, remove_script),
                cmocka_unit_test_setup_teardown(program_without_manners, make_script,
                                                remove_script),
                cmocka_unit_test_setup_teardown(program_that_talks_a_lot, make_script,
                                                remove_script),
                cmocka_unit_test(program_that_is_none),
                cmocka_unit_test(programs_that_only_root_can_replace),
                cmocka_unit_test_setup_teardown(tasks_of_a_hostile_netmgrd, make_script,
                                                remove_script),
                cmocka_unit_test(originals_of_our_names),
                cmocka_unit_test(addresses_without_an_owner),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
