/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Set by the build: "0.1.0", and the git description with "-dirty" ("" outside a git checkout). */
extern const char netmgr_version[];
extern const char netmgr_git_version[];

/* One line for --version: "netmgrd 0.1.0 (abc1234-dirty)", or as JSON. */
void version_print(const char *program, int as_json);
