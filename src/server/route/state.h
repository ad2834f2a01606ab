/* What the service knows of itself, written as JSON or for Prometheus; only route's files include it. */
#ifndef PD_SERVER_ROUTE_STATE_H
#define PD_SERVER_ROUTE_STATE_H

#include "base/buf.h"
#include "server/route/inside.h"

/*
 * Of the admin route, on the worker. Times are RFC 3339 or null, `_s` is seconds, other units end the name:
 *   program   path, build_id, pid, cpus, threads, rss_bytes, cpu_s; malloc_* where it is glibc's
 *   library   version, build_id of libpprofd, started, uptime_s, now
 *   listener  address, token (is one needed?), connections, connections_max, requests_waiting
 *   rates     by name: value, unit, initial, min, max, since; until and then (null, or what it returns to, when), help
 *   history   the last changes of rates, newest first: at, rate, was, now, for_s (0 = for good), source
 *   kinds     by name: counters (null while they are not known), facts, notes
 *   windows   open now: kind, client, left_s; windows_max
 *   self      facts of the agent as a whole
 *   audit     the last changes and refusals over HTTP, newest first: at, peer, status, what
 */
void pd_state_json(struct pd_routes *s, struct pd_buf *out);

#endif
