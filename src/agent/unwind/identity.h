/* What tells one loaded object from another. Ordinary threads. */
#ifndef PD_UNWIND_IDENTITY_H
#define PD_UNWIND_IDENTITY_H

#include "agent/unwind/loader.h"

struct pd_identity {
	uint8_t build_id[32];
	uint8_t build_id_len; /* 0 = none */
	uint64_t mark;        /* hash of .eh_frame_hdr where there is no build id, else 0 */
};

void pd_identify(const struct pd_object *o, struct pd_identity *out);

#endif
