/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Between netmgrd and netmgr-exec: the first byte chooses between an answer and a ticket. */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/exec-answer.h"
#include "cri/exec/serve.h"
#include "cri/netconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool x) {
        if (!x)
                abort();
}

static void read_answer(const char *data, size_t size) {
        _cleanup_(exec_answer_clear) ExecAnswer a = { 0 }, again = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;

        int r = exec_answer_parse(data, size, &a, &e);
        require(r < 0 ? error_is_set(&e) && !a.text : a.text && a.exit >= TICKET_EXIT_BAD_OUTPUT);
        if (r < 0)
                return;
        /* It may grow by what is escaped. */
        r = exec_answer_format(a.exit, a.text, &text);
        require(r >= 0 || r == -E2BIG);
        if (r < 0)
                return;
        require(exec_answer_parse(text, strlen(text), &again, NULL) >= 0);
        require(again.exit == a.exit && streq(again.text, a.text));
}

static bool is_clean(const char *s) {
        return !s || text_is_clean(s, strlen(s));
}

/* What passes becomes the environment of a program that is run as root. */
static void read_ticket(const char *text) {
        _cleanup_(ticket_clear) Ticket t = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        int r = ticket_parse(text, &t, &e);
        require(r < 0 ? error_is_set(&e) : true);
        if (r <= 0)
                return;
        r = serve_check(&t, &e);
        require(r < 0 ? error_is_set(&e) : true);
        if (r < 0)
                return;
        require(t.task == TICKET_EXEC && t.config);
        require(t.originals ? cni_id_is_valid(t.plugin, NETWORK_NAME_MAX) && streq(t.command, "DEL")
                            : delegate_name_is_valid(t.plugin));
        require(!strchr(t.plugin, '/') && is_clean(t.command) && is_clean(t.netns) &&
                is_clean(t.args));
        require(!t.container_id || cni_id_is_valid(t.container_id, CONTAINER_ID_MAX));
        require(!t.ifname || ifname_is_valid(t.ifname));
        require(t.timeout_ms > 0 && t.timeout_ms <= EXEC_TIMEOUT_MAX_MS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size == 0)
                return 0;
        /* Exactly as long as it is: what reads behind its end is found. */
        char *copy = malloc(size);
        require(copy);
        memcpy(copy, data + 1, size - 1);
        copy[size - 1] = '\0';
        if (data[0] & 1)
                read_answer(copy, size - 1);
        else if (strlen(copy) == size - 1)
                read_ticket(copy);
        free(copy);
        return 0;
}
