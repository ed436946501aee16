/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl history [ADDRESS|SANDBOX|NAMESPACE/NAME]: who had what when, and what ended it, the newest
 * last.
 */

#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/since.h"
#include "ctl/verb.h"

static char *format_time(json_object *value) {
        char text[LOCAL_TIME_SIZE];
        uint64_t usec;

        if (!json_object_is_type(value, json_type_string) ||
            rfc3339_parse(json_object_get_string(value), &usec) < 0)
                return json_to_cell(value); /* "-": still held, or unknown */
        return strdup(format_local(usec, text));
}

static const Column history_columns[] = {
        { "SINCE", "Since", 0, format_time },   { "UNTIL", "Until", 0, format_time },
        { "ADDRESSES", "Addresses", 0, NULL },  { "SANDBOX", "Sandbox", CELL_TRUNC, NULL },
        { "INTERFACE", "Interface", 0, NULL },  { "POD", "Pod", CELL_TRUNC, NULL },
        { "NETWORK", "Network", 0, NULL },      { "PORTS", "Ports", CELL_TRUNC, NULL },
        { "ENDED", "Ended", CELL_TRUNC, NULL }, { 0 },
};

static uint64_t now_realtime(void) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

/* What the options say; 0 for what they leave out. */
static int read_options(const Ctl *ctl, uint64_t *ret_since, uint64_t *ret_lines, sd_bus_error *e) {
        const char *since = ctl->options[OPTION_SINCE], *lines = ctl->options[OPTION_LINES];

        *ret_since = *ret_lines = 0;
        if (since && since_parse(since, now_realtime(), ret_since) < 0)
                return sd_bus_error_setf(
                                e, SD_BUS_ERROR_INVALID_ARGS,
                                "--since=%s is no time; wanted such as \"2026-11-21 10:00\", "
                                "yesterday, -2h, or 2026-11-21T10:00:00Z",
                                since);
        if (lines && parse_u64(lines, 1, HISTORY_MAX, ret_lines) < 0)
                return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                         "-n %s is no number of lines from 1 to %u", lines,
                                         HISTORY_MAX);
        return 0;
}

int verb_history_check(Ctl *ctl, char **args, sd_bus_error *e) {
        uint64_t since, lines;

        return read_options(ctl, &since, &lines, e);
}

/* Two of the table's columns are made of two values each. */
static int add_cells(json_object *row) {
        const char *name = json_object_get_string(json_get(row, "PodName")),
                   *space = json_object_get_string(json_get(row, "PodNamespace")),
                   *by = json_object_get_string(json_get(row, "EndedBy")),
                   *reason = json_object_get_string(json_get(row, "Reason"));
        _cleanup_free_ char *pod = strf("%s%s%s", strempty(space), isempty(name) ? "" : "/",
                                        strempty(name)),
                            *ended = strf("%s%s%s", strempty(by), isempty(reason) ? "" : ": ",
                                          strempty(reason));

        if (!pod || !ended || json_add_string(row, "Pod", pod) < 0)
                return -ENOMEM;
        return json_add_string(row, "Ended", ended);
}

int verb_history(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_object *root = NULL;
        uint64_t since, lines;

        int r = read_options(ctl, &since, &lines, e);
        if (r >= 0)
                r = client_call_new(ctl->bus, NETMGR_PATH, NETMGR_BUS_NAME ".Manager", "History",
                                    &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "sa{sv}", strempty(args[0]), 2, "Since", "t", since, "Limit",
                                  "t", lines ? lines : (uint64_t) HISTORY_MAX);
        if (r < 0)
                return sd_bus_error_set_errno(e, r);
        r = client_call_send(ctl->bus, 0, m, &reply, e);
        if (r >= 0)
                r = client_read_list(reply, "History", "history", &root, e);
        if (r < 0)
                return r;
        if (ctl->output.mode != OUTPUT_TEXT)
                return output_json(&ctl->output, stdout, root);

        json_object *rows = json_get(root, "history");
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                if (add_cells(json_object_array_get_idx(rows, i)) < 0)
                        return sd_bus_error_set_errno(e, -ENOMEM);
        r = table_print(&ctl->output, history_columns, "entries", rows);
        if (r >= 0 && !lines && json_object_get_boolean(json_get(root, "Truncated")))
                fprintf(stderr,
                        "Older entries are left out; --since= or an argument narrows it down.\n");
        return r;
}
