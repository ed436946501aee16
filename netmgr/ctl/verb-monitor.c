/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl monitor: what changes, one line each, until interrupted. A daemon that leaves and comes back
 * is part of what there is to see.
 */

#include <signal.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "base/json.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/text.h"
#include "ctl/verb.h"

static uint64_t now_usec(void) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

/* One event: a word and up to three named texts. */
static int print_event(const Output *output, const char *event, const char *const *keys,
                       const char *const *values, size_t n) {
        _cleanup_json_ json_object *o = json_object_new_object();
        char time_text[RFC3339_SIZE];

        if (!o || json_add_string(o, "time", format_rfc3339(now_usec(), time_text)) < 0 ||
            json_add_string(o, "event", event) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (json_add_string(o, keys[i], values[i]) < 0)
                        return -ENOMEM;
        if (output->mode != OUTPUT_TEXT)
                return output_json(output, stdout, o);

        printf("%s %s", time_text, event);
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *clean = text_escape(values[i], strlen(values[i]));
                if (!clean)
                        return -ENOMEM;
                printf(" %s", clean);
        }
        putchar('\n');
        return 0;
}

static int on_manager_signal(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        static const char *const sandbox_keys[] = { "sandbox", "path" };
        static const char *const attachment_keys[] = { "path", "sandbox", "interface", "state" };
        const Ctl *ctl = userdata;
        const char *v[4];
        int r;

        if (sd_bus_message_is_signal(m, NULL, "AttachmentChanged") > 0) {
                r = sd_bus_message_read(m, "osss", &v[0], &v[1], &v[2], &v[3]);
                if (r >= 0)
                        r = print_event(&ctl->output, "AttachmentChanged", attachment_keys, v, 4);
        } else {
                r = sd_bus_message_read(m, "so", &v[0], &v[1]);
                if (r >= 0)
                        r = print_event(&ctl->output, sd_bus_message_get_member(m), sandbox_keys, v,
                                        2);
        }
        fflush(stdout);
        return r == -ENOMEM ? r : 0;
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        static const char *const keys[] = { "path", "interface" };
        const Ctl *ctl = userdata;
        const char *v[2] = { sd_bus_message_get_path(m), NULL };

        if (sd_bus_message_read(m, "s", &v[1]) < 0)
                return 0;
        int r = print_event(&ctl->output, "PropertiesChanged", keys, v, 2);
        fflush(stdout);
        return r;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const Ctl *ctl = userdata;
        const char *name, *old, *new;

        if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        int r = print_event(&ctl->output, isempty(new) ? "DaemonGone" : "DaemonStarted", NULL, NULL,
                            0);
        fflush(stdout);
        return r;
}

static int subscribe(Ctl *ctl) {
        int r = sd_bus_match_signal(ctl->bus, NULL, NETMGR_BUS_NAME, NETMGR_PATH,
                                    NETMGR_BUS_NAME ".Manager", NULL, on_manager_signal, ctl);
        if (r >= 0)
                r = sd_bus_match_signal(ctl->bus, NULL, NETMGR_BUS_NAME, NULL,
                                        "org.freedesktop.DBus.Properties", "PropertiesChanged",
                                        on_properties_changed, ctl);
        if (r >= 0)
                r = sd_bus_add_match(
                                ctl->bus, NULL,
                                "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='" NETMGR_BUS_NAME "'",
                                on_owner_changed, ctl);
        return r;
}

int verb_monitor(Ctl *ctl, char **args _unused_, sd_bus_error *e) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        sigset_t mask;

        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGTERM);
        sigprocmask(SIG_BLOCK, &mask, NULL);

        int r = sd_event_new(&event);
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGINT, NULL,
                                        NULL); /* without a handler: ends the loop */
        if (r >= 0)
                r = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = subscribe(ctl);
        if (r >= 0)
                r = sd_bus_attach_event(ctl->bus, event, 0);
        /* Only a daemon that is there is worth waiting for. */
        if (r >= 0) {
                r = client_call(ctl->bus, 0, NETMGR_PATH, NETMGR_BUS_NAME ".Manager", "Describe",
                                NULL, e, NULL);
                if (r < 0)
                        return r;
                if (ctl->output.mode == OUTPUT_TEXT && ctl->output.legend)
                        printf("Watching org.netmgr1; Ctrl-C ends.\n");
                fflush(stdout);
                r = sd_event_loop(event);
        }
        return r < 0 ? sd_bus_error_set_errno(e, r) : 0;
}
