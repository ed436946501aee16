/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Numbers, booleans and names out of strings. The only number parser of the program: decimal,
 * the whole string, no sign, no white space, no leading '+', range checked; "" is -EINVAL.
 */

#include "base/macro.h"

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret);
/* 1/0 yes/no true/false on/off, without case. */
int parse_bool(const char *s, bool *ret);

/* CNI container ID and network name: [A-Za-z0-9][A-Za-z0-9_.-]*, at most max bytes. */
bool cni_id_is_valid(const char *s, size_t max);
/* RFC 1123 as Kubernetes has it: 1 to 63 lower-case letters, digits and '-', a letter or digit first and last
 * (of namespaces); and up to 253 bytes of such labels with dots between (of most other objects). */
bool dns_label_is_valid(const char *s, size_t n);
bool dns_subdomain_is_valid(const char *s);
/* 1 to 15 bytes, not "." or "..", no '/', ':', white space or control byte, valid UTF-8, no '%'
 * (the kernel would take it as a pattern). */
bool ifname_is_valid(const char *s);
/* Valid UTF-8 without control characters (so that it may be shown on a terminal). */
bool text_is_clean(const char *s, size_t size);
/* Each byte that is no UTF-8 becomes '?': a sentence with a piece of somebody's text, cut to a number of bytes
 * or never UTF-8, goes into D-Bus and JSON, and neither carries anything else. NULL is left alone. */
void text_make_utf8(char *s);

/* Lower-case hex of up to 16 digits, no leading zeros ("0" for 0). */
int parse_hex64(const char *s, uint64_t *ret);

/* RFC 3339 in UTC with seconds ("2026-11-21T10:00:00Z") of a CLOCK_REALTIME time in microseconds. */
#define RFC3339_SIZE 32
const char *format_rfc3339(uint64_t usec, char buf[static RFC3339_SIZE]);

/* "tcp", "udp", "sctp" of IPPROTO_*; NULL: another one. And back, in any case: -EINVAL. */
const char *protocol_name(uint8_t protocol);
int protocol_parse(const char *s, uint8_t *ret);

/* asprintf() that returns NULL when out of memory. */
char *strf(const char *format, ...) _printf_(1, 2);
