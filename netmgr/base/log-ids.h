/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * MESSAGE_ID= of what an administrator acts on. Each has an entry in systemd/netmgr.catalog, which
 * tests/check-catalog compares with this file. An id that was released keeps its meaning; a new
 * meaning gets a new one (journalctl --new-id128).
 */

/* An attachment was released and no runtime had asked: NETMGR_REASON= says why. */
#define LOG_ID_REAPED "045807db900d48aa961378a3b8a93e1b"
/* The kernel was made to agree with the ledger again; NETMGR_REASON= says what was missing or too much. */
#define LOG_ID_REPAIRED "daba02e32708439a9deb05d74d9408d5"
/* The rule tables were changed by another program (NETMGR_PROGRAM=) and built anew. */
#define LOG_ID_TABLES_REBUILT "3e130ca4efed4ca19ec53af4df0b1110"
/* The ledger could not be read, was renamed, and a new one begun. */
#define LOG_ID_LEDGER_SET_ASIDE "a7b6cf6c731d4d7794c30b40274b26ca"
/* What the ledger held from an earlier boot was released. */
#define LOG_ID_EARLIER_BOOT "786cd400b39b4feaa6f93eb0b027afac"
/* A DEL that had been spooled while netmgrd was down was carried out. */
#define LOG_ID_SPOOL_CONSUMED "aca1c6ef40ea4ddaa4dcef14e116b7af"
/* A file of the spool that is no request was moved away. */
#define LOG_ID_SPOOL_SET_ASIDE "d321185d09fb40efb7998ad83c9f3a64"
/* The lease of a DHCP server has run out, or was revoked: the interface is down. */
#define LOG_ID_LEASE_OVER "ae619643619d445f8de8462f213072a1"
/* Health became degraded for one more reason; and one reason is gone. */
#define LOG_ID_DEGRADED  "55a98ecf00a2445fb765b256d6d58c89"
#define LOG_ID_RECOVERED "ebafe51687df45478d3c2d421f3baac7"
